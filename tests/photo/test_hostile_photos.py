"""Small photos that ask for much memory or time: each is read, or refused, in little of either."""

import io
import os
import struct
import time
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest
from PIL import Image

from blurdm_cli.errors import DecodeError
from blurdm_cli.photo.photo import encode_photo, read_photo
from blurdm_cli.photo.png import SIGNATURE, chunk

from .samples import exif, smooth
from .test_jpeg import jpeg

MOST_SECONDS, MOST_BYTES = 3.0, 200_000_000
"""For any of these; each is of a few kilobytes, or took minutes or gigabytes."""


@pytest.fixture(autouse=True)
def within_a_budget() -> Iterator[None]:
    begin = time.process_time()
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MOST_BYTES
    assert time.process_time() - begin < MOST_SECONDS


def png(*chunks: tuple[bytes, bytes], width: int = 40, height: int = 24) -> bytes:
    """A PNG file with more chunks behind its header."""
    file = io.BytesIO()
    Image.fromarray(smooth(24, 40)).save(file, "PNG")
    plain = file.getvalue()
    header = struct.pack(">II", width, height) + plain[24:29]
    more = b"".join(chunk(kind, data) for kind, data in chunks)
    return SIGNATURE + chunk(b"IHDR", header) + more + plain[33:]


@pytest.mark.parametrize(("width", "height"), [(1, 400_000_000), (300_000, 1), (30_000, 30_000)])
def test_a_side_or_an_area_that_is_claimed_is_refused_before_it_is_decoded(
    width: int, height: int
) -> None:
    with pytest.raises(DecodeError, match="too large") as caught:
        read_photo(png(width=width, height=height))
    assert "on a side" in str(caught.value.hint)


@pytest.mark.parametrize(("channels", "words"), [(65535, "65535 channels"), (40, "too large")])
def test_channels_that_are_claimed_are_refused_before_they_are_decoded(
    channels: int, words: str
) -> None:
    side = 8 if channels > 64 else 8000
    values = {256: side, 257: side, 258: 8, 259: 1, 262: 1, 273: 8, 277: channels, 279: 64}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in values.items())
    data = b"II*\0" + struct.pack("<IH", 8, len(values)) + entries + bytes(4)
    with pytest.raises(DecodeError, match=words):
        read_photo(data)


def test_a_thumbnail_that_claims_gigabytes_is_damaged_exif() -> None:
    whole = exif()
    at = whole.index(struct.pack("<HHI", 513, 4, 1))
    begin, size = (struct.pack("<I", value) for value in (4, 0xFFFF_FFF0))
    broken = whole[: at + 8] + begin + whole[at + 12 : at + 20] + size + whole[at + 24 :]
    photo = read_photo(jpeg(exif=b"Exif\0\0" + broken))
    assert photo.notes == ("EXIF is damaged and is dropped",)


@pytest.mark.parametrize("name", ["xmp:Thumbnails", "Container:Directory"])
def test_xmp_that_opens_a_tag_very_often_is_damaged(name: str) -> None:
    text = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(f"<{name}>".encode() * 250_000)
    photo = read_photo(png((b"iTXt", text)))
    assert photo.notes == ("XMP is damaged and is dropped",)
    assert photo.metadata.xmp is None


def test_chunks_that_inflate_to_much_are_refused_together() -> None:
    text = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(2**25), 9)
    with pytest.raises(DecodeError, match="damaged"):
        read_photo(png(*[(b"iTXt", text)] * 8))


def test_fill_bytes_take_no_time() -> None:
    whole = jpeg()
    filled = whole[:-2] + b"\xff" * 200_000 + whole[-2:]
    photo = read_photo(filled)
    assert photo.pixels.shape == smooth().shape
    assert encode_photo(photo)[:2] == b"\xff\xd8"


@pytest.mark.skipif(os.name == "nt", reason="Pillow for Windows hides its libtiff")
def test_damage_that_libtiff_passes_over_is_noted_and_not_printed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    file = io.BytesIO()
    Image.fromarray(smooth(200, 300)[..., 1] > 127).save(file, "TIFF", compression="group4")
    whole = bytearray(file.getvalue())
    assert not [note for note in read_photo(bytes(whole)).notes if "damaged" in note]
    whole[20:24] = bytes(4)
    photo = read_photo(bytes(whole))
    assert photo.pixels.shape[:2] == (200, 300)
    assert [note for note in photo.notes if "damaged" in note]
    assert capfd.readouterr().err == ""
