"""What GIF files store besides pixels: kept in PNG, or said."""

import io

import numpy as np
import pytest
from PIL import Image

from blurdm_cli.photo.photo import encode_photo, losses, read_photo

from .samples import ICC, smooth

XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/' xmp:Rating='4'></x:xmpmeta>"
TRAILER = b"\1" + bytes(range(255, -1, -1)) + b"\0"


def extension(label: int, *parts: bytes) -> bytes:
    """An extension block of sub-blocks, each of at most 255 bytes."""
    pieces = [part[at : at + 255] for part in parts for at in range(0, len(part), 255)]
    return bytes([0x21, label]) + b"".join(bytes([len(p)]) + p for p in pieces) + b"\0"


def gif(*before: bytes, behind: bytes = b"") -> bytes:
    """A file with extensions before its image and behind it."""
    file = io.BytesIO()
    Image.fromarray(smooth()).quantize(32).save(file, "GIF")
    whole = file.getvalue()
    table = 13 + 3 * 2 ** ((whole[10] & 7) + 1)
    return b"GIF89a" + whole[6:table] + b"".join(before) + whole[table:-1] + behind + b";"


def texts(data: bytes) -> dict[str, str]:
    """The texts of a PNG file, as Pillow finds them."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return dict(image.info)


@pytest.mark.parametrize("comment", ["a day at sea", "été 文", "long " * 400])
@pytest.mark.parametrize("last", [False, True])
def test_a_comment_is_kept_in_png_and_named_elsewhere(comment: str, last: bool) -> None:
    block = extension(0xFE, comment.encode())
    photo = read_photo(gif(behind=block) if last else gif(block))
    assert texts(encode_photo(photo))["Comment"] == comment
    assert losses(photo) == []
    assert any("Xt" in line for line in losses(photo, "jpeg"))


def test_all_comments_are_kept() -> None:
    photo = read_photo(gif(extension(0xFE, b"one"), behind=extension(0xFE, b"t\xf6o")))
    assert photo.metadata.chunks == ((b"tEXt", b"Comment\0one"), (b"tEXt", b"Comment\0t\xf6o"))


def test_profile_and_xmp_are_kept() -> None:
    profile = extension(0xFF, b"ICCRGBG1012", ICC)
    xmp = b"\x21\xff\x0bXMP DataXMP" + XMP + TRAILER
    photo = read_photo(gif(profile, xmp, extension(0xFE, b"kept")))
    assert photo.metadata.icc == ICC
    assert photo.metadata.xmp == XMP
    assert texts(encode_photo(photo))["Comment"] == "kept"


def test_what_png_does_not_store_is_said() -> None:
    drawn = extension(0x01, bytes(12), b"Hello")
    data = bytearray(gif(drawn))
    data[12] = 2 * 64 - 15
    notes = read_photo(bytes(data)).notes
    assert "text that is drawn over the image is dropped" in notes
    assert "the pixel aspect ratio 2.00:1 is dropped" in notes


def test_a_cut_file_ends_its_list_of_blocks() -> None:
    whole = gif(extension(0xFE, b"kept"))
    photo = read_photo(whole[:-1])
    assert (b"tEXt", b"Comment\0kept") in photo.metadata.chunks
    np.testing.assert_array_equal(photo.pixels, read_photo(whole).pixels)
