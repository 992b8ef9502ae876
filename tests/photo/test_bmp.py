"""The colour space of BMP files: kept in PNG, or said."""

import struct

import numpy as np
import pytest

from blurdm_cli.photo.photo import encode_photo, losses, read_photo

from .samples import ICC, smooth

SRGB, WINDOWS, LINKED, EMBEDDED = 0x73524742, 0x57696E20, 0x4C494E4B, 0x4D424544
BT709 = (0.4124, 0.2126, 0.0193, 0.3576, 0.7152, 0.1192, 0.1805, 0.0722, 0.9505)
"""XYZ of red, green and blue."""


def bmp(
    kind: int,
    *,
    size: int = 124,
    profile: bytes = b"",
    intent: int = 4,
    primaries: tuple[float, ...] = (0.0,) * 9,
    gammas: tuple[float, ...] = (0.0,) * 3,
) -> bytes:
    """A file with a header of version 4 (108 bytes) or 5 (124)."""
    pixels = smooth()[::-1, :, ::-1].tobytes()
    height, width = smooth().shape[:2]
    header = struct.pack("<IiiHHIIiiII", size, width, height, 1, 24, 0, len(pixels), 0, 0, 0, 0)
    header += bytes(16) + struct.pack("<I", kind)
    header += struct.pack("<9i", *(round(value * 2**30) for value in primaries))
    header += struct.pack("<3I", *(round(value * 2**16) for value in gammas))
    header += struct.pack("<IIII", intent, size + len(pixels), len(profile), 0)
    whole = header[:size] + pixels + profile
    return b"BM" + struct.pack("<IHHI", 14 + len(whole), 0, 0, 14 + size) + whole


def test_an_embedded_profile_is_kept_byte_for_byte() -> None:
    photo = read_photo(bmp(EMBEDDED, profile=ICC))
    np.testing.assert_array_equal(photo.pixels, smooth())
    assert photo.notes == ()
    assert read_photo(encode_photo(photo)).metadata.icc == ICC


@pytest.mark.parametrize("kind", [SRGB, WINDOWS])
@pytest.mark.parametrize(("intent", "number"), [(1, 2), (2, 1), (4, 0), (8, 3), (77, 0)])
def test_a_mark_of_srgb_becomes_png_s(kind: int, intent: int, number: int) -> None:
    photo = read_photo(bmp(kind, intent=intent))
    written = read_photo(encode_photo(photo))
    assert written.metadata.chunks == ((b"sRGB", bytes([number])),)
    assert losses(photo, "jpeg") == []
    assert read_photo(bmp(kind, size=108)).metadata.chunks == ((b"sRGB", b"\0"),)


@pytest.mark.parametrize("size", [108, 124])
def test_primaries_and_gamma_become_png_s(size: int) -> None:
    photo = read_photo(bmp(0, size=size, primaries=BT709, gammas=(2.2,) * 3))
    chunks = dict(read_photo(encode_photo(photo)).metadata.chunks)
    assert struct.unpack(">I", chunks[b"gAMA"])[0] == pytest.approx(45455, abs=2)
    points = [31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000]  # BT.709 and D65
    assert struct.unpack(">8I", chunks[b"cHRM"]) == pytest.approx(points, abs=20)
    assert any("cHRM" in line for line in losses(photo, "jpeg"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (bmp(LINKED, profile=b"adobe.icc\0"), "linked colour profile"),
        (bmp(EMBEDDED, profile=ICC[:300]), "colour profile is damaged"),
        (bmp(EMBEDDED, profile=ICC)[: -len(ICC)], "colour profile is damaged"),
        (bmp(0, primaries=BT709, gammas=(2.2, 2.2, 1.8)), "calibration"),
        (bmp(0, primaries=(-1.0, *BT709[1:]), gammas=(2.2,) * 3), "calibration"),
        (bmp(0, primaries=BT709), "calibration"),
    ],
)
def test_colours_that_are_not_kept_are_said(data: bytes, words: str) -> None:
    photo = read_photo(data)
    np.testing.assert_array_equal(photo.pixels, smooth())
    assert len(photo.notes) == 1
    assert words in photo.notes[0]
    assert photo.metadata.icc is None
    assert photo.metadata.chunks == ()


def test_a_file_without_a_colour_space_gets_none() -> None:
    photo = read_photo(bmp(0))
    assert photo.notes == ()
    assert photo.metadata.chunks == ()
