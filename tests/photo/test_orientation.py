"""Turned photos: pixels upright, tags and sizes to match."""

import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from blurdm_cli.photo.photo import encode_photo, read_photo

from .samples import FORMATS, MAKER_NOTE, exif_of, noise, photo_file, smooth, tiff_file


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", FORMATS)
def test_a_turned_photo_is_upright_and_stays_so(format: str, orientation: int) -> None:
    pixels = smooth()
    data = photo_file(format, pixels, orientation)
    with Image.open(io.BytesIO(photo_file(format, pixels))) as image:
        turned = Image.fromarray(np.array(image))
    turned.getexif()[274] = orientation
    expected = np.array(ImageOps.exif_transpose(turned))
    photo = read_photo(data)
    assert np.array_equal(photo.pixels, expected)
    written = encode_photo(photo)
    assert exif_of(written)[274] == 1
    assert b'tiff:Orientation="1"' in read_photo(written).metadata.xmp
    assert read_photo(written).pixels.shape == expected.shape
    assert np.abs(read_photo(written).pixels.astype(int) - expected).max() <= 9 * (format == "jpeg")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", [None, "lzw"])
def test_a_turned_16_bit_tiff_is_turned_once(compression: str | None, orientation: int) -> None:
    pixels = noise(5, 7, 3, dtype=np.uint16)
    data = tiff_file(pixels, orientation)
    if compression:  # Pillow and tifffile cannot write it, OpenCV does, and Pillow adds the tag
        data = lzw_with_orientation(pixels, orientation)
    turned = [np.asarray(Image.fromarray(pixels[..., c])) for c in range(3)]
    ops = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: np.transpose,
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a, 2).T,
        8: np.rot90,
    }
    expected = np.stack([ops[orientation](channel) for channel in turned], axis=2)
    assert np.array_equal(read_photo(data).pixels, expected)


def lzw_with_orientation(pixels: np.ndarray, orientation: int) -> bytes:
    data = bytearray(cv2.imencode(".tiff", pixels[..., ::-1])[1].tobytes())
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    entries = [bytes(data[start + 2 + 12 * n : start + 14 + 12 * n]) for n in range(count)]
    entries = [e for e in entries if e[:2] != struct.pack("<H", 274)]
    entries.append(struct.pack("<HHIHH", 274, 3, 1, orientation, 0))
    entries.sort(key=lambda e: struct.unpack("<H", e[:2]))
    struct.pack_into("<I", data, 4, len(data))
    return bytes(data) + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)


def exif_with_size(orientation: int, width: int, height: int) -> bytes:
    """EXIF of Pillow's making: numbers up to 65535 are SHORT, above them LONG."""
    tags = Image.Exif()
    tags[256], tags[257], tags[274] = width, height, orientation
    tags.get_ifd(34665).update({40962: width, 40963: height, 37500: MAKER_NOTE})
    return tags.tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(40, 24), (70000, 66000)])
def test_exif_and_xmp_tell_the_size_of_the_upright_photo(
    orientation: int, size: tuple[int, int]
) -> None:
    xmp = b"<x tiff:ImageWidth=\"40\" exif:PixelXDimension='40'><exif:PixelYDimension>24</x>"
    blob = exif_with_size(orientation, *size)
    photo = read_photo(photo_file("jpeg", smooth(24, 40), exif=blob, xmp=xmp))
    height, width = photo.pixels.shape[:2]
    assert (height, width) == ((24, 40) if orientation < 5 else (40, 24))
    found = exif_of(encode_photo(photo))
    inner = found.get_ifd(34665)
    assert (found[256], found[257], inner[40962], inner[40963]) == (width, height) * 2
    assert inner[37500] == MAKER_NOTE
    assert photo.metadata.exif.index(MAKER_NOTE) == blob.index(MAKER_NOTE) - 6
    told = f"<x tiff:ImageWidth=\"{width}\" exif:PixelXDimension='{width}'>"
    told += f"<exif:PixelYDimension>{height}</x>"
    assert photo.metadata.xmp == told.encode()
