"""`blurdm deblur --expert`, from the command line to the journal."""

import json
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
        assert ("--expert: for photos only" in done.err) == bool(options)
        rows = map(json.loads, done.out.splitlines())
        return {row["kind"]: row["status"] for row in rows}

    assert statuses() == {"photo": "done", "video": "done"}
    assert statuses("--expert", one) == {"photo": "done", "video": "skipped"}
    assert statuses("--expert", one) == {"photo": "skipped", "video": "skipped"}
    monkeypatch.setattr(graphs, "AMOUNT", 0.3)
    write_graph(one)
    assert statuses("--expert", one)["photo"] == "done"
    assert statuses()["photo"] == "done"


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--expert", "maxin"), 6, "There is no model 'maxin'"),
        (("--expert", "blurdm-tiny", "--motion", "off"), 2, "Leave out --motion off"),
        (("--expert", "blurdm-tiny", "--model", "blurdm-tiny"), 2, "Leave out --expert"),
    ],
)
def test_an_expert_that_cannot_be_used_is_one_line(
    options: tuple[str, ...], code: int, said: str, blurdm: Blurdm, soft: Path
) -> None:
    result = blurdm("deblur", soft, *options)
    assert (result.code, said in result.err) == (code, True), result.err
    assert [path.name for path in soft.parent.iterdir()] == [soft.name]
