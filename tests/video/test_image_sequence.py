from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image

from blurdm_cli.errors import InputError
from blurdm_cli.files.numbered import by_number, find_existing, find_frames, frame_path, is_sequence
from blurdm_cli.video.image_sequence import open_sequence, read_sequence


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


def test_names_of_results_are_padded_numbers() -> None:
    assert frame_path(Path("a/f%04d.png"), 7) == Path("a/f0007.png")
    assert frame_path(Path("%d.png"), 12) == Path("12.png")


def test_pictures_are_frames_of_the_rate_that_was_asked_for(tmp_path: Path) -> None:
    make(tmp_path, "1.png", "2.png")
    files = by_number(tmp_path)
    clip = open_sequence(tmp_path, files, Fraction(24))
    frames = list(read_sequence(clip, files, {}))
    assert (clip.height, clip.width, clip.frames) == (6, 8, 2)
    assert [frame.pts * frame.time_base for frame in frames if frame.time_base] == [
        0,
        1 / Fraction(24),
    ]
    assert frames[1].to_ndarray(format="rgb24")[3, 4].tolist() == [1, 2, 3]


def test_a_picture_of_another_size_is_named(tmp_path: Path) -> None:
    make(tmp_path, "1.png")
    make(tmp_path, "2.png", size=(9, 6))
    files = by_number(tmp_path)
    with pytest.raises(InputError, match=r"2\.png"):
        list(read_sequence(open_sequence(tmp_path, files, Fraction(24)), files, {}))


def test_frames_are_known_by_the_numbers_of_their_names(tmp_path: Path) -> None:
    make(tmp_path, "v2.1002.png", "v2.1001.png", "v2.1004.png")
    for path in (tmp_path / "v2.%04d.png", tmp_path):
        names = {number: file.name for number, file in by_number(path).items()}
        assert names == {1001: "v2.1001.png", 1002: "v2.1002.png", 1004: "v2.1004.png"}


@pytest.mark.parametrize("names", [("a.png", "b.png"), ("a7.png", "b3.png"), ("a1.png", "b1.png")])
def test_a_folder_whose_numbers_do_not_rise_is_counted_from_1(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    make(tmp_path, *names)
    assert {number: file.name for number, file in by_number(tmp_path).items()} == dict(
        enumerate(names, start=1)
    )


def test_two_pictures_of_one_number_are_named(tmp_path: Path) -> None:
    make(tmp_path, "1.png", "2.png", "02.png")
    with pytest.raises(InputError, match="same number") as caught:
        by_number(tmp_path / "%d.png")
    assert caught.value.hint


def test_a_picture_is_in_the_way_only_where_it_would_be_replaced(tmp_path: Path) -> None:
    pattern = tmp_path / "f%03d.png"
    make(tmp_path, "f007.png", "f02.png", "g003.png")
    assert find_existing(pattern, range(1, 10)) == [tmp_path / "f007.png"]
    assert find_existing(pattern, (9, 7, 8)) == [tmp_path / "f007.png"]
    assert find_existing(pattern, range(1, 7)) == []
    assert find_existing(tmp_path / "none" / "%d.png", range(1, 10)) == []
