from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from blurdm_cli.files.numbered import frame_path
from blurdm_cli.photo.photo import read_photo
from tests import clips
from tests.cli import TINY, Blurdm
from tests.clips import make_clip, scene, shown
from tests.pipeline.sequences import make

deblurred = partial(clips.deblurred, gain=0.25)


PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


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
