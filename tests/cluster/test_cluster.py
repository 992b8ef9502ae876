"""Runs on a Ray cluster, with nodes on this machine where only the loopback address exists."""

import json
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.cli import TINY, Blurdm
from tests.clips import make_clip, shown
from tests.pipeline.album import ROOT, results

pytest.importorskip("ray", reason="Ray is not installed")

NAMESPACE = ("unshare", "--map-root-user", "--net")


@cache
def _has_namespaces() -> bool:
    if not shutil.which("unshare") or not shutil.which("ip"):
        return False
    return subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0


namespaces = pytest.mark.skipif(
    not _has_namespaces(), reason="a network of its own needs unshare, ip and the right to use them"
)


class Scenario:
    """A scenario in a network of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        """Start it, with eight photos and a clip in `folder / "in"`."""
        self.folder = folder
        source = folder / "in"
        for each in (source, folder / "temporary", folder / "home"):
            each.mkdir()
        for number in range(8):
            noise = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
            large = Image.fromarray(noise).resize((64, 48), Image.Resampling.BICUBIC)
            large.save(source / f"{number}.png")
        make_clip(source / "clip.mkv", codec="ffv1")
        script = f"exec {sys.executable} -m tests.cluster.scenario {name} {folder}"
        words = [*NAMESPACE, "sh", "-c", f"ip link set lo up && {script}"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(words, stdout=pipe, stderr=pipe, cwd=ROOT, text=True)

    def told(self) -> dict[str, Any]:
        """Return its output, which is JSON alone."""
        out, err = self._process.communicate()
        assert self._process.returncode == 0, err
        return json.loads(out)


@pytest.fixture(scope="module")
def scenarios(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scenario]:
    """Both scenarios, side by side, as they wait for Ray most of the time."""
    return {name: Scenario(name, tmp_path_factory.mktemp(name)) for name in ("local", "nodes")}


@namespaces
def test_an_interrupted_local_cluster_leaves_nothing_and_a_plain_run_finishes(
    blurdm: Blurdm, scenarios: dict[str, Scenario]
) -> None:
    told, folder = scenarios["local"].told(), scenarios["local"].folder
    assert (told["code"], told["left"]) == (130, 0)
    assert told["seconds"] < 10
    assert told["listening"] == []
    assert (told["temporary"], told["home"]) == ([], [])
    assert told["first"]["status"] == "done"
    assert not list((folder / "out").rglob("*.part"))
    before = len(results(folder / "out"))
    assert 1 <= before < 9
    result = blurdm("deblur", folder / "in", "-o", folder / "out", *TINY)
    assert result.code == 0, result.err
    told_before = re.search(r"(\d+) done before", result.err)
    assert told_before  # one that was written but not yet recorded is made again
    assert 1 <= int(told_before[1]) <= before
    assert len(results(folder / "out")) == 9


@namespaces
def test_a_cluster_whose_nodes_and_workers_are_killed_gives_the_bytes_of_a_plain_run(
    blurdm: Blurdm, scenarios: dict[str, Scenario]
) -> None:
    folder = scenarios["nodes"].folder
    assert blurdm("deblur", folder / "in", "-o", folder / "plain", *TINY).code == 0
    told = scenarios["nodes"].told()
    assert [outcome["status"] for outcome in told["outcomes"]] == ["done"] * 9
    assert results(folder / "out") == results(folder / "plain")
    for name in results(folder / "plain"):
        ours, plain = folder / "out" / name, folder / "plain" / name
        if name == "clip.mkv":  # Matroska holds a random number
            frames = ([frame.to_ndarray() for frame in shown(path)] for path in (ours, plain))
            assert np.array_equal(*frames)
        else:
            assert ours.read_bytes() == plain.read_bytes()
    again = blurdm("deblur", folder / "in", "-o", folder / "out", *TINY)
    assert "9 done before" in again.err
