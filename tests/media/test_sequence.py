from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image

from blurdm_cli.errors import InputError
from blurdm_cli.media.sequence import (
    find_frames,
    frame_path,
    is_sequence,
    open_sequence,
    read_sequence,
)


def make(folder: Path, *names: str, size: tuple[int, int] = (8, 6)) -> None:
    for number, name in enumerate(names):
        Image.new("RGB", size, (number, 2, 3)).save(folder / name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("f%05d.png", True),
        ("%d.jpg", True),
        ("%3d.tif", True),
        ("50%.png", False),
        ("50%done.mp4", False),
        ("50%done", False),
        ("%d.ts", False),
        ("a.png", False),
    ],
)
def test_a_pattern_has_a_number_in_its_name_and_a_photo_s_suffix(name: str, expected: bool) -> None:
    assert is_sequence(Path(name)) is expected


def test_frames_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    make(tmp_path, "f2.png", "f10.png", "f1.png", "g3.png", "f4.jpg")
    assert [path.name for path in find_frames(tmp_path / "f%d.png")] == [
        "f1.png",
        "f2.png",
        "f10.png",
    ]
    names = [path.name for path in find_frames(tmp_path)]
    assert names == ["f1.png", "f2.png", "f4.jpg", "f10.png", "g3.png"]


def test_a_pattern_that_nothing_fits_is_said(tmp_path: Path) -> None:
    for path in (tmp_path / "f%d.png", tmp_path, tmp_path / "none" / "%d.png"):
        with pytest.raises(InputError) as caught:
            find_frames(path)
        assert caught.value.hint


def test_names_of_results_begin_with_1_and_are_padded() -> None:
    assert frame_path(Path("a/f%04d.png"), 7) == Path("a/f0007.png")
    assert frame_path(Path("%d.png"), 12) == Path("12.png")


def test_pictures_are_frames_of_the_rate_that_was_asked_for(tmp_path: Path) -> None:
    make(tmp_path, "1.png", "2.png")
    files = find_frames(tmp_path)
    clip = open_sequence(tmp_path, files, Fraction(24))
    frames = list(read_sequence(clip, files))
    assert (clip.height, clip.width, clip.frames) == (6, 8, 2)
    assert [frame.pts * frame.time_base for frame in frames if frame.time_base] == [
        0,
        1 / Fraction(24),
    ]
    assert frames[1].to_ndarray(format="rgb24")[3, 4].tolist() == [1, 2, 3]


def test_a_picture_of_another_size_is_named(tmp_path: Path) -> None:
    make(tmp_path, "1.png")
    make(tmp_path, "2.png", size=(9, 6))
    files = find_frames(tmp_path)
    with pytest.raises(InputError, match=r"2\.png"):
        list(read_sequence(open_sequence(tmp_path, files, Fraction(24)), files))
