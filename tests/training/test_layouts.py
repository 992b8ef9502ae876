from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blurdm_cli.errors import InputError
from blurdm_cli.training.layouts import find_pairs


def write(path: Path, size: int = 8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((size, size, 3), dtype=np.uint8)).save(path)


def test_gopro_is_read_video_by_video(tmp_path: Path) -> None:
    for video in ("v2", "v1"):
        for kind in ("blur", "blur_gamma", "sharp"):
            write(tmp_path / video / kind / "000001.png")
    plain, gamma = find_pairs(tmp_path), find_pairs(tmp_path, gamma=True)
    assert [pair.name for pair in plain] == ["v1/000001.png", "v2/000001.png"]
    assert plain[0].blurred == tmp_path / "v1" / "blur" / "000001.png"
    assert gamma[0].blurred == tmp_path / "v1" / "blur_gamma" / "000001.png"
    assert plain[0].sharp == gamma[0].sharp == tmp_path / "v1" / "sharp" / "000001.png"


def test_the_root_of_a_data_set_gets_a_hint(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for kind in ("blur", "sharp"):
            write(tmp_path / part / "v1" / kind / "000001.png")
    with pytest.raises(InputError, match="holds no pairs") as caught:
        find_pairs(tmp_path)
    assert str(tmp_path / "test") in str(caught.value.hint)


def test_hide_has_its_sharp_photos_in_one_folder(tmp_path: Path) -> None:
    for kind, name in (("test-long-shot", "b.png"), ("test-close-ups", "a.png")):
        write(tmp_path / "test" / kind / name)
        write(tmp_path / "GT" / name)
    write(tmp_path / "GT" / "of_training.png")
    found = find_pairs(tmp_path)
    assert [pair.name for pair in found] == ["test-close-ups/a.png", "test-long-shot/b.png"]
    assert found[1].sharp == tmp_path / "GT" / "b.png"
    (tmp_path / "GT" / "b.png").unlink()
    with pytest.raises(InputError, match="no partner"):
        find_pairs(tmp_path)


def test_a_realblur_list_names_the_sharp_photo_first(tmp_path: Path) -> None:
    write(tmp_path / "set" / "scene7" / "gt" / "gt_1.png")
    write(tmp_path / "set" / "scene7" / "blur" / "blur_1.png")
    listed = tmp_path / "RealBlur_J_test_list.txt"
    listed.write_text("set/scene7/gt/gt_1.png set/scene7/blur/blur_1.png \n\n")
    (pair,) = find_pairs(listed)
    assert pair.name == "scene7/blur_1.png"
    assert (pair.blurred.name, pair.sharp.name) == ("blur_1.png", "gt_1.png")


@pytest.mark.parametrize(
    ("text", "what"),
    [("one.png\n", "two photos"), ("a.png b.png\n", "does not exist"), ("\n", "holds no pairs")],
)
def test_a_list_that_cannot_be_followed_says_why(tmp_path: Path, text: str, what: str) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text(text)
    with pytest.raises(InputError, match=what):
        find_pairs(listed)


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no"):
        find_pairs(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("half", "other"), [("input", "target"), ("blur", "sharp"), ("target", "input")]
)
def test_the_half_that_is_missing_is_named(tmp_path: Path, half: str, other: str) -> None:
    write(tmp_path / half / "a.png")
    with pytest.raises(InputError, match=f"{half}/ but no {other}/"):
        find_pairs(tmp_path)
