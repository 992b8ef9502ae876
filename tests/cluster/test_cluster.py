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


def scenario(name: str, folder: Path) -> dict[str, Any]:
    """Run a scenario in a network of its own."""
    words = f"ip link set lo up && exec {sys.executable} -m tests.cluster.scenario {name} {folder}"
    made = subprocess.run(
        [*NAMESPACE, "sh", "-c", words], capture_output=True, cwd=ROOT, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    return json.loads(made.stdout)  # nothing else is printed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with eight photos and a clip."""
    source = tmp_path / "in"
    source.mkdir()
    for number in range(8):
        noise = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        large = Image.fromarray(noise).resize((64, 48), Image.Resampling.BICUBIC)
        large.save(source / f"{number}.png")
    make_clip(source / "clip.mkv", codec="ffv1")
    (tmp_path / "temporary").mkdir()
    (tmp_path / "home").mkdir()
    return tmp_path


@namespaces
def test_an_interrupted_local_cluster_leaves_nothing_and_a_plain_run_finishes(
    blurdm: Blurdm, folder: Path
) -> None:
    told = scenario("local", folder)
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
    blurdm: Blurdm, folder: Path
) -> None:
    told = scenario("nodes", folder)
    assert [outcome["status"] for outcome in told["outcomes"]] == ["done"] * 9
    assert blurdm("deblur", folder / "in", "-o", folder / "plain", *TINY).code == 0
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
