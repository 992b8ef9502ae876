"""What is kept of numbered pictures, and that none of the user's is replaced."""

import hashlib
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from blurdm_cli.errors import InputError, OutputError
from blurdm_cli.files.numbered import frame_path
from blurdm_cli.photo.photo import Photo, read_photo, write_photo
from blurdm_cli.pipeline import clip, sequences
from blurdm_cli.pipeline.options import RunOptions, VideoOptions
from blurdm_cli.pipeline.sequences import find_other
from blurdm_cli.video.segments import open_state
from tests import clips
from tests.cli import TINY, Blurdm
from tests.clips import make_clip, scene, shown

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def make(pattern: Path, numbers: Iterable[int], mode: str = "RGB") -> dict[str, str]:
    """Write numbered pictures; returns their hashes."""
    pattern.parent.mkdir(exist_ok=True)
    for number in numbers:
        pixels = (scene(number, 20, 30) * 255).astype(np.uint8)
        Image.fromarray(pixels).convert(mode).save(frame_path(pattern, number))
    return hashes(pattern.parent)


def make_rich(pattern: Path, numbers: Iterable[int]) -> None:
    """Write numbered pictures with all that a picture may hold."""
    pattern.parent.mkdir(exist_ok=True)
    exif, texts = Image.Exif(), PngImagePlugin.PngInfo()
    exif[0x010F] = "Camera"
    exif.get_ifd(0x8825)[1] = "N"
    texts.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta xmlns:x='adobe:ns:meta/'/>")
    for number in numbers:
        pixels = (scene(number, 20, 30) * 255).astype(np.uint8)
        alpha = np.full((20, 30, 1), 40 * number, np.uint8)
        alpha[:5] = 0
        image = Image.fromarray(np.concatenate([pixels, alpha], axis=2))
        path = frame_path(pattern, number)
        image.save(path, icc_profile=PROFILE, exif=exif, pnginfo=texts, dpi=(300, 300))


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.is_file()
    }


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


deblurred = partial(clips.deblurred, gain=0.25)


@pytest.mark.parametrize("policy", ["skip", "overwrite", "rename", "error"])
@pytest.mark.parametrize("source", ["%04d.png", ""])
def test_pictures_are_not_replaced_by_their_results(
    blurdm: Blurdm, tmp_path: Path, policy: str, source: str
) -> None:
    pattern = tmp_path / "shot" / "%04d.png"
    before = make(pattern, range(5, 9))
    words = ("--on-exists", policy, "--dry-run")
    result = blurdm("deblur", tmp_path / "shot" / source, "-o", pattern, *words, *TINY)
    assert result.code == 2
    assert "0005.png is an input" in result.err
    assert "fix" in result.err
    assert hashes(tmp_path / "shot") == before


@pytest.mark.parametrize(
    ("policy", "code", "made"),
    [("skip", 0, []), ("error", 5, []), ("rename", 0, ["0001-2.png", "0002-2.png", "0003-2.png"])],
)
def test_a_picture_that_is_there_already_is_not_replaced(
    blurdm: Blurdm, tmp_path: Path, policy: str, code: int, made: list[str]
) -> None:
    source, pattern = make_clip(tmp_path / "a.mp4"), tmp_path / "out" / "%04d.png"
    before = make(pattern, [2])
    words = ("--frames", 3, "--on-exists", policy)
    result = blurdm("deblur", source, "-o", pattern, *words, *TINY)
    assert result.code == code, result.err
    assert ("0002.png exists already" in result.err) is (policy != "rename")
    assert hashes(tmp_path / "out").items() >= before.items()
    assert names(tmp_path / "out") == sorted(["0002.png", *made])


def test_pictures_are_replaced_where_that_is_asked_for(blurdm: Blurdm, tmp_path: Path) -> None:
    source, pattern = make_clip(tmp_path / "a.mp4"), tmp_path / "out" / "%04d.png"
    before = make(pattern, [2, 9])
    words = ("--frames", 3, "--on-exists", "overwrite")
    result = blurdm("deblur", source, "-o", pattern, *words, *TINY)
    assert result.code == 0, result.err
    after = hashes(tmp_path / "out")
    assert after["0002.png"] != before["0002.png"]
    assert after["0009.png"] == before["0009.png"]


def interrupt(monkeypatch: pytest.MonkeyPatch, at: int) -> Callable[[], None]:
    """Have Ctrl-C come when a picture of this number is written; returns what ends that."""

    def write(photo: Photo, path: Path, **options: Any) -> list[str]:
        if path.stem == str(at):
            raise KeyboardInterrupt
        return write_photo(photo, path, **options)

    monkeypatch.setattr(sequences, "write_photo", write)
    return lambda: monkeypatch.setattr(sequences, "write_photo", write_photo)


def test_what_an_interrupted_run_wrote_is_gone_on_with_by_the_same_run_alone(
    blurdm: Blurdm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = make_clip(tmp_path / "a.mp4")
    other = make_clip(tmp_path / "b.mp4", size=(48, 80))
    pattern = tmp_path / "f" / "%d.png"
    end = interrupt(monkeypatch, at=4)
    assert blurdm("deblur", one, "-o", pattern, *TINY).code == 130
    end()
    before = hashes(tmp_path / "f")
    assert sorted(before) == ["1.png", "2.png", "3.png"]

    for words in ((other,), (one, "--strength", "0.5"), (one, "--metadata", "strip")):
        result = blurdm("deblur", *words, "-o", pattern, *TINY)
        assert (result.code, "1.png exists already" in result.err) == (5, True)
        assert hashes(tmp_path / "f") == before

    result = blurdm("deblur", one, "-o", pattern, *TINY)
    assert result.code == 0, result.err
    assert names(tmp_path / "f") == sorted(f"{number}.png" for number in range(1, 13))


@pytest.mark.parametrize("number", [2, 8], ids=["written", "to come"])
def test_a_picture_of_the_users_between_two_runs_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(clip, "SECONDS", 0.08)  # two frames
    source, pattern = make_clip(tmp_path / "a.mp4"), tmp_path / "f" / "%d.png"
    end = interrupt(monkeypatch, at=4)
    with pytest.raises(KeyboardInterrupt):
        deblurred(source, pattern)
    end()
    options = VideoOptions(all_frames=True), RunOptions(), ""
    assert find_other(source, pattern, *options) is None
    theirs = frame_path(pattern, number)
    theirs.write_bytes(b"mine")
    assert find_other(source, pattern, *options) == theirs
    with pytest.raises(OutputError, match=f"{number}.png exists already"):
        deblurred(source, pattern)
    assert theirs.read_bytes() == b"mine"
    deblurred(source, pattern, on_exists="overwrite")
    assert read_photo(theirs).pixels.shape == (48, 64, 3)


@pytest.mark.parametrize("number", [4, 5], ids=["being written", "next"])
def test_a_picture_of_the_users_that_comes_during_the_run_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def write(photo: Photo, path: Path, **options: Any) -> list[str]:
        if path.stem == "4":
            path.with_stem(str(number)).write_bytes(b"mine")
        return write_photo(photo, path, **options)

    monkeypatch.setattr(sequences, "write_photo", write)
    source, pattern = make_clip(tmp_path / "a.mp4"), tmp_path / "f" / "%d.png"
    with pytest.raises(OutputError, match=f"{number}.png"):
        deblurred(source, pattern)
    assert frame_path(pattern, number).read_bytes() == b"mine"


def test_two_runs_do_not_write_the_same_pictures_at_once(tmp_path: Path) -> None:
    source, pattern = make_clip(tmp_path / "a.mp4"), tmp_path / "f" / "%d.png"
    with open_state(pattern), pytest.raises(OutputError, match="Another run"):
        deblurred(source, pattern)
    deblurred(source, pattern)
    assert names(tmp_path / "f") == sorted(f"{number}.png" for number in range(1, 13))


def test_pictures_that_were_taken_away_meanwhile_are_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clip, "SECONDS", 0.08)  # two frames
    source, pattern = make_clip(tmp_path / "a.mp4"), tmp_path / "f" / "%d.png"
    end = interrupt(monkeypatch, at=6)
    with pytest.raises(KeyboardInterrupt):
        deblurred(source, pattern)
    end()
    (tmp_path / "f" / "2.png").unlink()
    deblurred(source, pattern)
    assert names(tmp_path / "f") == sorted(f"{number}.png" for number in range(1, 13))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [1001, 1002, 1004, 1007]),
        ({"every": 2}, [1001, 1004]),
        ({"frames": 3}, [1001, 1002, 1004]),
        ({"every": 3, "frames": 2}, [1001, 1007]),
    ],
)
def test_pictures_keep_their_numbers(
    tmp_path: Path, options: dict[str, int], expected: list[int]
) -> None:
    make(tmp_path / "in" / "sh.%04d.png", [1001, 1002, 1004, 1007])
    for source in (tmp_path / "in" / "sh.%04d.png", tmp_path / "in"):
        folder = tmp_path / f"out{len(source.parts)}"
        deblurred(source, folder / "x.%d.png", gain=0.0, **options)
        assert names(folder) == [f"x.{number}.png" for number in expected]
        for number in expected:
            given = read_photo(tmp_path / "in" / f"sh.{number}.png").pixels
            made = read_photo(folder / f"x.{number}.png").pixels
            np.testing.assert_array_equal(made, given)


def test_a_video_of_pictures_closes_gaps_and_says_so(tmp_path: Path) -> None:
    pattern = tmp_path / "in" / "%d.png"
    make(pattern, [3, 4, 6, 9])
    gapped = deblurred(pattern, tmp_path / "a.mp4")
    assert len(shown(tmp_path / "a.mp4")) == 4
    assert [note for note in gapped.notes if "3 numbers are missing from 3 to 9" in note]
    whole = deblurred(pattern, tmp_path / "b.mp4", frames=2)
    assert not [note for note in whole.notes if "missing" in note]


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_pictures_keep_what_photos_keep(tmp_path: Path, ending: str) -> None:
    pattern = tmp_path / "in" / "%d.png"
    make_rich(pattern, [1, 2])
    result = deblurred(pattern, tmp_path / "out" / f"%d.{ending}")
    for number in (1, 2):
        given = read_photo(frame_path(pattern, number))
        made = read_photo(tmp_path / "out" / f"{number}.{ending}")
        assert made.metadata.icc == given.metadata.icc == PROFILE
        assert made.metadata.exif
        assert b"Camera" in made.metadata.exif
        assert made.metadata.xmp == given.metadata.xmp is not None
        assert made.metadata.dpi == pytest.approx((300, 300), rel=0.001)
        np.testing.assert_array_equal(made.alpha, given.alpha)
        np.testing.assert_array_equal(made.pixels[:5], given.pixels[:5])  # hidden
        expected = given.pixels[5:] * 0.75 + 255 * 0.25
        assert np.abs(made.pixels[5:] - expected).max() <= 1
    assert result.notes == ()


def test_what_the_pictures_format_cannot_hold_is_said(tmp_path: Path) -> None:
    pattern = tmp_path / "in" / "%d.png"
    make_rich(pattern, [1, 2])
    result = deblurred(pattern, tmp_path / "out" / "%d.jpg")
    assert [note for note in result.notes if "transparency" in note]
    assert len(set(result.notes)) == len(result.notes)


def test_metadata_of_pictures_is_left_out_where_that_is_asked_for(
    blurdm: Blurdm, tmp_path: Path
) -> None:
    pattern = tmp_path / "in" / "%d.png"
    make_rich(pattern, [1, 2])
    for keep, exif in (("strip-gps", True), ("strip", False)):
        target = tmp_path / keep / "%d.png"
        result = blurdm("deblur", pattern, "-o", target, "--metadata", keep, *TINY)
        assert result.code == 0, result.err
        with Image.open(frame_path(target, 2)) as made:
            assert not made.getexif().get_ifd(0x8825)
            assert bool(made.getexif().get(0x010F)) is exif
            assert made.info["icc_profile"] == PROFILE


@pytest.mark.parametrize("mode", ["L", "I;16"])
def test_gray_and_deep_pictures_stay_so(tmp_path: Path, mode: str) -> None:
    values = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) * (1 if mode == "L" else 20)
    given = values.astype(np.uint8 if mode == "L" else np.uint16)
    Image.fromarray(given).save(tmp_path / "7.png")
    deblurred(tmp_path / "%d.png", tmp_path / "out" / "%d.png", gain=0.0)
    made = read_photo(tmp_path / "out" / "7.png").pixels
    np.testing.assert_array_equal(made, given[..., None])


def test_what_a_video_does_not_hold_of_pictures_is_said(blurdm: Blurdm, tmp_path: Path) -> None:
    pattern = tmp_path / "in" / "%d.png"
    make_rich(pattern, [1, 2])
    notes = deblurred(pattern, tmp_path / "a.mp4").notes
    (note,) = [note for note in notes if "not written to a video" in note]
    assert all(word in note for word in ("profile", "EXIF", "XMP", "dpi"))
    assert [note for note in notes if "transparency" in note]
    planned = blurdm("deblur", pattern, "-o", tmp_path / "b.mp4", "--dry-run", *TINY)
    assert "not written to a video" in planned.err


@pytest.mark.parametrize(("codec", "ending"), [("ffv1", "mkv"), ("prores", "mov")])
def test_a_codec_with_transparency_keeps_that_of_pictures(
    tmp_path: Path, codec: str, ending: str
) -> None:
    pattern = tmp_path / "in" / "%d.png"
    make_rich(pattern, [1, 2])
    result = deblurred(pattern, tmp_path / f"a.{ending}", codec=codec, gain=0.0)
    assert not [note for note in result.notes if "transparency" in note]
    for number, frame in enumerate(shown(tmp_path / f"a.{ending}"), start=1):
        alpha = frame.to_ndarray(format="rgba")[..., 3].astype(int)
        given = read_photo(frame_path(pattern, number)).alpha
        assert given is not None
        assert np.abs(alpha - given).max() <= 1


def test_transparency_that_only_later_pictures_have_is_missed_aloud(tmp_path: Path) -> None:
    pattern = tmp_path / "in" / "%d.png"
    make_rich(pattern, [1, 2])
    make(pattern, [1])
    result = deblurred(pattern, tmp_path / "a.mp4")
    assert [note for note in result.notes if "the transparency of later ones is lost" in note]
    assert deblurred(pattern, tmp_path / "out" / "%d.png").notes == ()
    assert read_photo(tmp_path / "out" / "2.png").alpha is not None


ONE = 1 << 16

TURNS = {
    (ONE, 0, 0, ONE): lambda pixels: pixels,
    (-ONE, 0, 0, -ONE): lambda pixels: pixels[::-1, ::-1],
    (-ONE, 0, 0, ONE): lambda pixels: pixels[:, ::-1],
    (ONE, 0, 0, -ONE): lambda pixels: pixels[::-1],
    (0, -ONE, ONE, 0): lambda pixels: np.rot90(pixels, 1),  # counterclockwise
    (0, ONE, -ONE, 0): lambda pixels: np.rot90(pixels, -1),
}
"""Display matrices by their numbers for (x, y), and what they make of a picture."""


@pytest.mark.parametrize("turn", TURNS)
def test_a_turned_clip_becomes_upright_pictures(
    tmp_path: Path, turn: tuple[int, int, int, int]
) -> None:
    a, b, c, d = turn
    matrix = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    source = make_clip(tmp_path / "a.mov", matrix=matrix, options={"crf": "1"})
    result = deblurred(source, tmp_path / "p" / "%d.png", gain=0.0, frames=2)
    expected = TURNS[turn](scene(1, 48, 64))
    made = read_photo(tmp_path / "p" / "2.png").pixels
    assert result.size == made.shape[:2] == expected.shape[:2]
    assert np.abs(made / 255 - expected).mean() < 0.02


@pytest.mark.parametrize("target", ["out.mp4", "%d.png"])
def test_a_folder_of_videos_does_not_go_into_one_file(
    blurdm: Blurdm, tmp_path: Path, target: str
) -> None:
    (tmp_path / "clips").mkdir()
    make_clip(tmp_path / "clips" / "a.mp4")
    result = blurdm("deblur", tmp_path / "clips", "-o", tmp_path / target, *TINY)
    assert result.code == 2
    assert "cannot go into one file" in result.err
    assert "Name a folder" in result.err


def test_each_video_of_a_folder_becomes_pictures_in_a_folder_of_its_own(
    blurdm: Blurdm, tmp_path: Path
) -> None:
    (tmp_path / "clips").mkdir()
    for name in ("a.mp4", "b.mp4"):
        make_clip(tmp_path / "clips" / name, times=range(2))
    words = ("-o", tmp_path / "out", "--name", "{stem}/%d.png")
    result = blurdm("deblur", tmp_path / "clips", *words, *TINY)
    assert result.code == 0, result.err
    for name in ("a", "b"):
        assert names(tmp_path / "out" / name) == ["1.png", "2.png"]


def test_pictures_have_no_place_of_one_file(blurdm: Blurdm, tmp_path: Path) -> None:
    pattern = tmp_path / "in" / "%d.png"
    before = make(pattern, [1])
    result = blurdm("deblur", pattern, "-o", tmp_path / "a.mp4", "--in-place", *TINY)
    assert result.code == 2
    assert hashes(tmp_path / "in") == before


def test_a_pattern_that_nothing_fits_is_an_error(blurdm: Blurdm, tmp_path: Path) -> None:
    result = blurdm("deblur", tmp_path / "%d.png", "-o", tmp_path / "a.mp4", *TINY)
    assert result.code == 3
    with pytest.raises(InputError):
        deblurred(tmp_path / "%d.png", tmp_path / "a.mp4")
