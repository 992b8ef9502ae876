"""EXIF, XMP, profiles, texts and captions."""

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from blurdm_cli import __version__
from blurdm_cli.errors import DecodeError
from blurdm_cli.photo.photo import Photo, encode_photo, losses, read_photo
from blurdm_cli.photo.photoshop import BEGIN, write_segments

from .samples import (
    FORMATS,
    ICC,
    MAKER_NOTE,
    THUMBNAIL,
    XMP,
    again,
    exif,
    exif_of,
    noise,
    photo_file,
    smooth,
    tiff_file,
)
from .test_photoshop import resource


@pytest.mark.parametrize("format", FORMATS)
def test_profile_xmp_and_resolution_are_kept(format: str) -> None:
    written = encode_photo(read_photo(photo_file(format, smooth())))
    with Image.open(io.BytesIO(written)) as image:
        image.load()
        assert image.info["icc_profile"] == ICC
        if format != "webp":
            assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)
    xmp = read_photo(written).metadata.xmp
    assert b'xmp:Rating="4"' in xmp
    assert b'tiff:Orientation="1"' in xmp


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "avif"])
@pytest.mark.parametrize("target", [*FORMATS, "avif"])
def test_exif_is_kept_from_every_format_to_every_other(
    format: str, target: str, order: str
) -> None:
    photo = read_photo(photo_file(format, smooth(), 6, order))
    found = exif_of(encode_photo(photo, target))
    assert found[271] == "Acme"
    assert found.get(274, 1) == 1
    assert found[305] == f"Cam 1.0; blurdm {__version__}"
    assert found.get_ifd(34665)[37500] == MAKER_NOTE
    assert found.get_ifd(34665)[33434] == 1 / 50
    assert found.get_ifd(34853)[2] == (48, 8, 14)
    assert not found.get_ifd(513)


@pytest.mark.parametrize("format", ["png", "tiff"])
def test_exif_is_kept_for_16_bit(format: str) -> None:
    photo = read_photo(photo_file("png", smooth(), 3))
    deep = Photo(
        noise(9, 8, 3, dtype=np.uint16), format="png", metadata=photo.metadata, notes=photo.notes
    )
    written = encode_photo(deep, format)
    back = read_photo(written)
    assert np.array_equal(back.pixels, deep.pixels)
    assert exif_of(written).get_ifd(34665)[37500] == MAKER_NOTE
    assert (back.metadata.icc, back.metadata.xmp) == (ICC, photo.metadata.xmp)


def test_maker_notes_stay_at_their_offset() -> None:
    blob = exif(6)
    for target in ("jpeg", "png", "webp", "avif", "tiff"):
        written = encode_photo(read_photo(photo_file("jpeg", smooth(), 6)), target)
        start = (
            0
            if target == "tiff"
            else min(written.find(head) for head in (b"II*\0",) if head in written)
        )
        if target != "avif":  # Pillow writes AVIF's EXIF anew
            assert written.find(MAKER_NOTE) - start == blob.find(MAKER_NOTE)


@pytest.mark.parametrize("format", FORMATS)
def test_thumbnails_of_the_blurred_photo_are_dropped(format: str) -> None:
    written = encode_photo(read_photo(photo_file(format, smooth(), 6)))
    assert b"BLURREDTHUMB" not in written
    assert exif_of(written).get_ifd(1) == {}


def test_a_thumbnail_amid_other_exif_is_blanked() -> None:
    blob = exif() + b"something that is still in use"
    photo = read_photo(photo_file("png", smooth(), exif=b"Exif\0\0" + blob))
    assert THUMBNAIL not in photo.metadata.exif
    assert photo.metadata.exif.startswith(blob[:4])
    assert b"something that is still in use" in photo.metadata.exif


@pytest.mark.parametrize("format", FORMATS)
def test_a_second_pass_changes_no_metadata(format: str) -> None:
    once = again(read_photo(photo_file(format, smooth(), 6)))
    twice = again(once)
    assert exif_of(encode_photo(twice))[305] == f"Cam 1.0; blurdm {__version__}"
    assert once.metadata.xmp == twice.metadata.xmp
    assert once.metadata.icc == twice.metadata.icc


def big_tiff(pixels: np.ndarray, orientation: int, order: str = "<") -> bytes:
    """A BigTIFF file with a place and an exposure time, in directories at its end."""
    at = [0, 0]
    for _ in range(2):
        file = io.BytesIO()
        tags = [(34666, 16, 1, at[0], True), (34854, 16, 1, at[1], True)]
        tags += [(271, 2, 5, "Acme", True), (274, 3, 1, orientation, True)]
        tags += [(700, 1, len(XMP), XMP, True), (34675, 7, len(ICC), ICC, True)]
        options = {"photometric": "rgb", "metadata": None, "bigtiff": True, "byteorder": order}
        tifffile.imwrite(file, pixels, extratags=tags, resolution=(300, 300), **options)
        at = [len(file.getvalue()), len(file.getvalue()) + 36]
    entry = struct.pack(f"{order}QHHQII", 1, 33434, 5, 1, 1, 50) + bytes(8)
    place = struct.pack(f"{order}QHHQ", 1, 1, 2, 2) + b"N".ljust(8, b"\0") + bytes(8)
    data = file.getvalue()
    for tag in (34665, 34853):  # tifffile writes them under other numbers only
        data = data.replace(*(struct.pack(f"{order}HHQ", tag + n, 16, 1) for n in (1, 0)))
    return data + entry + place


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_bigtiff_is_read_with_its_metadata(dtype: type[np.generic]) -> None:
    pixels = noise(5, 7, 3, dtype=dtype)
    photo = read_photo(big_tiff(pixels, 3))
    assert np.array_equal(photo.pixels, pixels[::-1, ::-1])
    assert photo.notes == ()
    assert photo.metadata.icc == ICC
    assert photo.metadata.dpi == pytest.approx((300, 300))
    found = exif_of(encode_photo(photo))
    assert (found[271], found[274]) == ("Acme", 1)
    assert found.get_ifd(34665)[33434] == 1 / 50
    assert found.get_ifd(34853)[1] == "N"


def test_bigtiff_of_the_other_byte_order_is_not_called_damaged() -> None:
    with pytest.raises(DecodeError, match="BigTIFF") as caught:
        read_photo(big_tiff(smooth(), 1, ">"))
    assert "Convert" in caught.value.hint


def test_damaged_exif_is_dropped_with_a_note() -> None:
    for blob in (b"nonsense", b"II*\0\xff\xff\0\0", exif()[:40]):
        photo = read_photo(photo_file("png", smooth(), exif=b"Exif\0\0" + blob))
        assert photo.metadata.exif is None
        assert any("EXIF" in note for note in photo.notes)


def test_a_photo_without_exif_gets_none() -> None:
    file = io.BytesIO()
    Image.fromarray(smooth()).save(file, "PNG")
    assert read_photo(file.getvalue()).metadata.exif is None


def test_png_texts_and_colour_chunks_are_kept_in_png_and_named_elsewhere() -> None:
    photo = read_photo(photo_file("png", smooth()))
    with Image.open(io.BytesIO(encode_photo(photo))) as image:
        image.load()
        assert image.text["Comment"] == "kept"
    assert any("tEXt" in loss for loss in losses(photo, "webp"))
    assert losses(photo) == []


def test_jpeg_captions_are_kept_in_jpeg_and_named_elsewhere() -> None:
    segment = write_segments([BEGIN + b"caption"])
    photo = read_photo(photo_file("jpeg", smooth(), extra=segment))
    assert segment in encode_photo(photo)
    assert any("IPTC" in loss for loss in losses(photo, "png"))


def test_photoshops_picture_of_the_blurred_photo_is_dropped() -> None:
    caption, thumbnail = resource(0x0404, b"day"), resource(0x040C, b"picture")
    file = photo_file("jpeg", smooth(), extra=write_segments([BEGIN + caption + thumbnail]))
    result = encode_photo(read_photo(file))
    assert caption in result
    assert thumbnail in file
    assert thumbnail not in result


def test_metadata_too_long_for_jpeg_is_left_out_and_said() -> None:
    photo = read_photo(photo_file("png", smooth(), exif=b"Exif\0\0" + exif() + bytes(70000)))
    assert any("EXIF" in loss for loss in losses(photo, "jpeg"))
    assert read_photo(encode_photo(photo, "jpeg")).metadata.exif is None
    assert losses(photo, "png") == []


def test_tiff_tags_that_cannot_be_copied_are_dropped_with_a_note_and_the_photo_is_turned() -> None:
    pixels = noise(5, 7, 3)
    data = tiff_file(pixels, 3)
    was = struct.pack("<HHI", 271, 2, 5)
    assert was in data
    photo = read_photo(data.replace(was, struct.pack("<HHI", 271, 5, 1)))  # a maker's ratio
    assert np.array_equal(photo.pixels, pixels[::-1, ::-1])
    assert photo.notes == ("EXIF is damaged and is dropped",)
