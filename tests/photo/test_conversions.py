"""Pixels that are converted on reading, and files of which a part is read."""

import numpy as np
import pytest
from PIL import Image

from .samples import converted, smooth


def test_cmyk_becomes_rgb_and_loses_its_profile() -> None:
    colour = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    for format in ("JPEG", "TIFF"):
        for profile in (None, b"damaged"):
            photo = converted(colour, format, icc_profile=profile)
            assert photo.pixels[4, 4, 0] > 200
            assert photo.pixels[4, 4, 1] < 90
            assert photo.metadata.icc is None
            assert photo.notes == ("CMYK converted to RGB",)


def test_lab_becomes_rgb() -> None:
    pixels = Image.merge("LAB", [Image.new("L", (8, 8), v) for v in (255, 128, 128)])
    photo = converted(pixels, "TIFF")
    assert (photo.pixels > 240).all()
    assert photo.notes == ("LAB converted to RGB",)


def test_palettes_become_rgb_and_keep_transparency() -> None:
    palette = Image.fromarray(smooth()).quantize(16)
    photo = converted(palette, "PNG")
    assert np.array_equal(photo.pixels, np.asarray(palette.convert("RGB")))
    assert photo.notes == ("palette converted to RGB",)
    photo = converted(palette, "PNG", transparency=int(palette.getpixel((0, 0))))
    assert photo.alpha[0, 0] == 0
    assert photo.alpha.max() == 255
    photo = converted(palette, "GIF")
    assert photo.format == "png"


def test_one_bit_becomes_gray() -> None:
    photo = converted(Image.fromarray(smooth()).convert("1"), "PNG")
    assert set(np.unique(photo.pixels)) <= {0, 255}
    assert photo.pixels.shape[2] == 1
    assert "1-bit" in photo.notes[0]


def test_bmp_is_read_and_written_as_png() -> None:
    photo = converted(Image.fromarray(smooth()), "BMP")
    assert np.array_equal(photo.pixels, smooth())
    assert photo.format == "png"


@pytest.mark.parametrize("format", ["png", "webp", "tiff", "gif"])
def test_of_many_pictures_the_first_is_taken_with_a_note(format: str) -> None:
    frames = [Image.fromarray(np.full((8, 8, 3), v, np.uint8)) for v in (10, 200)]
    options = {"lossless": True} if format == "webp" else {}
    photo = converted(frames[0], format, save_all=True, append_images=frames[1:], **options)
    assert (photo.pixels == 10).all()
    assert any("first" in note for note in photo.notes)
