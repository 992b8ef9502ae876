import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blurdm_cli.motion.estimation import HYPOTHESES, find_motion
from blurdm_cli.motion.focus import disc
from blurdm_cli.motion.found import Motion
from tests.cli import Blurdm
from tests.motion.scenes import blurred, leaves, path_kernel


@pytest.fixture(autouse=True, scope="module")
def few_hypotheses() -> Iterator[None]:
    """The motion of a photo is found once, with few hypotheses."""
    few = [each for each in HYPOTHESES if each.name in ("half", "short")]
    found: dict[bytes, Motion] = {}

    def look(photo: np.ndarray, threads: int = 1) -> Motion:
        pixels = photo.tobytes()
        if pixels not in found:
            found[pixels] = find_motion(photo, threads, few)
        return found[pixels]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("blurdm_cli.motion.estimation.find_motion", look)
        yield


@pytest.fixture
def shaken(tmp_path: Path) -> Path:
    path = tmp_path / "shaken.png"
    photo = blurred(leaves(200, 2), path_kernel(14, 2))
    Image.fromarray(np.rint(photo * 255).astype(np.uint8)).save(path)
    return path


def test_a_path_is_told_and_drawn(blurdm: Blurdm, shaken: Path, tmp_path: Path) -> None:
    picture = tmp_path / "path.png"
    told = blurdm("motion", shaken, "-o", picture)
    assert told.code == 0
    assert "px" in told.out
    assert "degrees" in told.out
    drawn, photo = (np.asarray(Image.open(p).convert("RGB")).astype(int) for p in (picture, shaken))
    assert drawn.shape == photo.shape
    assert 0.001 < (np.abs(drawn - photo).sum(2) > 30).mean() < 0.5


def test_a_photo_out_of_focus_is_told_as_such(blurdm: Blurdm, tmp_path: Path) -> None:
    path = tmp_path / "soft.png"
    photo = blurred(leaves(300, 2), disc(20))
    Image.fromarray(np.rint(photo * 255).astype(np.uint8)).save(path)
    assert "20 px  out of focus" in blurdm("motion", path).out
    row = json.loads(blurdm("motion", path, "--json").out)
    assert row["linear"]["direction"] is None
    assert row["linear"]["length"] == pytest.approx(20, abs=2)


def test_json_names_both_motions_and_every_region(blurdm: Blurdm, shaken: Path) -> None:
    row = json.loads(blurdm("motion", shaken, "--json").out)
    assert row["found"]
    assert row["linear"]["length"] > 5
    assert 0 <= row["linear"]["direction"] < 180
    area = sum(part["height"] * part["width"] for part in row["regions"])
    assert area == 200 * 200
    assert all(0 <= part["confidence"] <= 1 for part in row["regions"])


def test_a_photo_of_one_colour_has_no_motion(blurdm: Blurdm, tmp_path: Path) -> None:
    Image.new("RGB", (60, 50), (90, 90, 90)).save(tmp_path / "flat.png")
    told = blurdm("motion", tmp_path / "flat.png", "-o", tmp_path / "path.png")
    assert told.code == 0
    assert "no motion found" in told.out
    assert (tmp_path / "path.png").exists()


def test_a_picture_that_exists_is_kept(blurdm: Blurdm, shaken: Path, tmp_path: Path) -> None:
    (tmp_path / "path.png").write_bytes(b"mine")
    told = blurdm("motion", shaken, "-o", tmp_path / "path.png")
    assert told.code == 5
    assert (tmp_path / "path.png").read_bytes() == b"mine"


def test_one_bad_photo_does_not_stop_the_others(
    blurdm: Blurdm, shaken: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 no photo")
    told = blurdm("motion", tmp_path, "-o", tmp_path / "paths")
    assert told.code == 4
    assert [path.name for path in (tmp_path / "paths").iterdir()] == ["shaken.motion.png"]


def test_several_photos_need_a_folder(blurdm: Blurdm, shaken: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.png"
    other.write_bytes(shaken.read_bytes())
    told = blurdm("motion", shaken, other, "-o", tmp_path / "one.png")
    assert told.code == 2
    assert "folder" in told.err
