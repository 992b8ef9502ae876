import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from blurdm_cli.errors import DecodeError
from blurdm_cli.photo.photo import encode_photo, read_photo

FILES = Path(__file__).with_name("files")
"""turned.heic: 64 x 48 pixels, 8 bits, EXIF with Orientation 6, XMP and ICC. deep.heic: 10 bits.
turned.dng: 96 x 64 pixels, brighter to the right and to the bottom, Orientation 6."""


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """The RAW file, in a folder of its own."""
    return Path(shutil.copy(FILES / "turned.dng", tmp_path / "a.dng"))


def test_a_heic_photo_is_upright_and_keeps_its_metadata():
    photo = read_photo(FILES / "turned.heic")
    assert photo.pixels.shape == (64, 48, 3)
    down, across = photo.pixels[-8:].mean((0, 1)), photo.pixels[:, :8].mean((0, 1))
    assert down[1] > 220  # green grew with the columns, which go down now
    assert across[0] > 180  # red grew with the rows, which go to the left now
    exif = Image.Exif()
    exif.load(photo.metadata.exif)
    assert (exif[271], exif[274], exif.get_ifd(34853)[1]) == ("Acme", 1, "N")
    assert b"Orientation='1'" in photo.metadata.xmp
    assert b"Rating='4'" in photo.metadata.xmp
    assert photo.metadata.icc
    assert photo.format == "png"


def test_a_heic_photo_of_10_bits_has_16_and_its_white_is_white():
    photo = read_photo(FILES / "deep.heic")
    assert photo.pixels.dtype == np.uint16
    assert photo.pixels.max() == 65535
    assert len(np.unique(photo.pixels)) > 256


def test_the_colour_tags_of_heic_are_told_in_png():
    data = (FILES / "deep.heic").read_bytes()
    at = data.index(b"colrnclx") + 8
    photo = read_photo(data[:at] + bytes([0, 9, 0, 16]) + data[at + 4 :])
    assert photo.metadata.chunks == ((b"cICP", bytes([9, 16, 0, 1])),)
    assert read_photo(data).metadata.chunks == ()


def test_a_raw_photo_is_developed_to_16_bits_and_upright_and_no_raw_file_any_more(raw):
    photo = read_photo(raw)
    assert (photo.pixels.shape, photo.pixels.dtype) == ((96, 64, 3), np.uint16)
    top, bottom = photo.pixels[:16].mean(), photo.pixels[-16:].mean()
    left, right = photo.pixels[:, :16].mean(), photo.pixels[:, -16:].mean()
    assert top < bottom  # brighter to the right, turned right
    assert left > right
    assert "RAW" in photo.notes[0]
    (raw.with_name("a.tif")).write_bytes(encode_photo(photo))
    again = read_photo(raw.with_name("a.tif"))
    assert (again.pixels == photo.pixels).all()
    assert again.notes == ()
    with tifffile.TiffFile(raw.with_name("a.tif")) as file:
        assert file.pages.first.tags[271].value == "Acme"
        assert file.pages.first.tags[274].value == 1


@pytest.mark.parametrize("extra", ["heic", "raw"])
def test_without_the_extra_its_name_and_the_command_are_told(raw, monkeypatch, extra):
    monkeypatch.setitem(sys.modules, {"heic": "pi_heif", "raw": "rawpy"}[extra], None)
    path = raw if extra == "raw" else FILES / "turned.heic"
    with pytest.raises(DecodeError, match="not installed") as caught:
        read_photo(path)
    package = {"heic": "pi-heif", "raw": "rawpy"}[extra]
    assert caught.value.hint == f"pip install {package}"


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_file_that_is_cut_off_is_told_to_be(raw, share):
    for path in (raw, FILES / "turned.heic", FILES / "deep.heic"):
        data = path.read_bytes()
        cut = raw.with_name("cut")
        cut.write_bytes(data[: int(share * len(data))])
        with pytest.raises(DecodeError, match="damaged"):
            read_photo(cut)
