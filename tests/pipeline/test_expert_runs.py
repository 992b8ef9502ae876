"""`--expert` of `deblur`, `watch` and `eval`, from the command line to the journal."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blurdm_cli import zoo
from blurdm_cli.engine import deblur
from blurdm_cli.engine.runtime import Runtime
from blurdm_cli.motion.found import Motion
from blurdm_cli.spec import ModelSpec
from tests import graphs
from tests.cli import Blurdm
from tests.clips import make_clip
from tests.engine.fake import FakeRuntime, spec
from tests.graphs import sharpened, write_graph

SAID = "--expert: for photos only, ignored for videos"


@pytest.fixture(autouse=True)
def default_model(blurdm: Blurdm, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default model changes nothing, and no motion is found."""
    plain = deblur.open_runtime

    def open_fake(model: str, *options: str) -> tuple[Runtime, ModelSpec]:
        if model == zoo.DEFAULT:
            return FakeRuntime(lambda tiles: tiles[:, :3]), spec(candidates=True)
        return plain(model, *options)

    monkeypatch.setattr(deblur, "open_runtime", open_fake)
    monkeypatch.setattr(deblur, "find_motion", lambda *_: Motion())


@pytest.fixture
def soft(tmp_path: Path) -> Path:
    """A photo with soft detail."""
    noise = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    path = tmp_path / "in" / "soft.png"
    path.parent.mkdir()
    Image.fromarray(noise).resize((90, 70), Image.Resampling.BICUBIC).save(path)
    return path


def test_the_experts_picture_is_taken_and_reported(
    blurdm: Blurdm, soft: Path, tmp_path: Path
) -> None:
    expert = write_graph(tmp_path / "expert.onnx")
    words = ("deblur", soft, "-o", tmp_path / "out.png", "--guard", "off", "--json")
    done = blurdm(*words, "--expert", expert)
    assert done.code == 0, done.err
    assert json.loads(done.out)["expert"] == "expert"
    assert "expert expert · " in done.err
    wanted = sharpened(np.asarray(Image.open(soft)) / np.float32(255))
    found = np.asarray(Image.open(tmp_path / "out.png")) / np.float32(255)
    assert np.abs(found - wanted.clip(0, 1))[8:-8, 8:-8].max() < 0.01
    assert json.loads(blurdm(*words, "--overwrite").out)["expert"] is None


def test_a_result_of_another_expert_is_made_again(
    blurdm: Blurdm, soft: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = write_graph(tmp_path / "one.onnx")
    make_clip(soft.with_name("clip.mkv"), codec="ffv1")

    def statuses(*options: object) -> dict[str, str]:
        done = blurdm("deblur", soft.parent, "-o", tmp_path / "out", "--json", *options)
        assert (SAID in done.err) == bool(options)
        rows = {row["kind"]: row for row in map(json.loads, done.out.splitlines())}
        assert rows["photo"]["expert"] == ("one" if options else None)
        assert rows["video"]["expert"] is None
        return {kind: row["status"] for kind, row in rows.items()}

    assert statuses() == {"photo": "done", "video": "done"}
    assert statuses("--expert", one) == {"photo": "done", "video": "skipped"}
    assert statuses("--expert", one) == {"photo": "skipped", "video": "skipped"}
    monkeypatch.setattr(graphs, "AMOUNT", 0.3)
    write_graph(one)
    assert statuses("--expert", one)["photo"] == "done"
    assert statuses()["photo"] == "done"


def test_watch_uses_the_expert_and_says_once_that_videos_are_restored_without_it(
    blurdm: Blurdm, soft: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expert = write_graph(tmp_path / "expert.onnx")
    clip = make_clip(soft.with_name("clip.mkv"), codec="ffv1")

    def wakes(*_: object) -> Iterator[None]:
        yield
        shutil.copy(clip, clip.with_name("later.mkv"))
        yield

    monkeypatch.setattr("blurdm_cli.pipeline.watching.wake", wakes)
    words = ("--settle", 0, "--guard", "off", "--json", "--expert", expert)
    done = blurdm("watch", soft.parent, "-o", tmp_path / "out", *words)
    rows = {Path(row["input"]).name: row for row in map(json.loads, done.out.splitlines())}
    experts = {name: row["expert"] for name, row in rows.items() if row["status"] == "done"}
    assert experts == {"soft.png": "expert", "clip.mkv": None, "later.mkv": None}, done.err
    assert done.err.count(SAID) == 1
    blurdm("deblur", soft, "-o", tmp_path / "wanted.png", *words[2:])
    wanted = (tmp_path / "wanted.png").read_bytes()
    assert (tmp_path / "out" / "soft.png").read_bytes() == wanted


def test_eval_scores_what_the_expert_restores(blurdm: Blurdm, soft: Path, tmp_path: Path) -> None:
    expert = write_graph(tmp_path / "expert.onnx")
    for kind in ("input", "target"):
        (tmp_path / "pairs" / kind).mkdir(parents=True)
        shutil.copy(soft, tmp_path / "pairs" / kind)
    words = ("--data", tmp_path / "pairs", "--json")
    report = tmp_path / "report.html"
    both = blurdm("eval", zoo.DEFAULT, *words, "--expert", expert, "--report", report)
    assert both.code == 0, both.err
    found, alone, plain = (
        json.loads(done.out)
        for done in (both, blurdm("eval", expert, *words), blurdm("eval", zoo.DEFAULT, *words))
    )
    assert [run["expert"] for run in (found, alone, plain)] == ["expert", None, None]
    restored = [run["mean"]["psnr_restored"] for run in (found, alone, plain)]
    assert restored[0] == pytest.approx(restored[1], abs=0.1)
    assert restored[2] > restored[0] + 10  # the default model changes nothing
    assert "expert, version" in report.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--expert", "maxin"), 6, "There is no model 'maxin'"),
        (("--expert", "blurdm-tiny", "--motion", "off"), 2, "Turn the motion on"),
        (("--expert", "blurdm-tiny", "--model", "blurdm-tiny"), 2, "Use no expert"),
    ],
)
def test_an_expert_that_cannot_be_used_is_one_line(
    options: tuple[str, ...], code: int, said: str, blurdm: Blurdm, soft: Path
) -> None:
    result = blurdm("deblur", soft, *options)
    assert (result.code, said in result.err) == (code, True), result.err
    assert [path.name for path in soft.parent.iterdir()] == [soft.name]
