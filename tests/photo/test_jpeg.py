import io
import re
import struct

import numpy as np
import pytest
from PIL import Image

from blurdm_cli.photo.jpeg import behind, write_segments
from blurdm_cli.photo.photo import encode_photo, losses, read_photo
from blurdm_cli.photo.privacy import apply_privacy

from .samples import XMP, exif, smooth

COMMENT, SENSOR = ("COM", b"a day at sea"), ("APP6", b"GoPro\0" + bytes(range(256)))
PICTURE_KINDS = (("APP0", b"JFXX\0small"), ("APP8", b"SPIFF\0x"))
EXIF = b"Exif\0\0" + exif()
FILM = b"\0\0\0\x18ftypmp42" + bytes(40)
JUMBF = b"JP\0\1\0\0\0\1" + struct.pack(">I4sI4s", 30, b"jumb", 22, b"jumd") + b"c2pa" + bytes(10)


def jpeg(*segments: tuple[str, bytes], then: bytes = b"", **options: object) -> bytes:
    """A file with segments in front of all others, and bytes behind its picture."""
    file = io.BytesIO()
    Image.fromarray(smooth()).save(file, "JPEG", quality=95, **options)
    data = file.getvalue()
    return data[:2] + write_segments(segments) + data[2:] + then


def segments_of(data: bytes) -> list[tuple[str, bytes]]:
    """As Pillow finds them."""
    with Image.open(io.BytesIO(data)) as image:
        return image.applist  # type: ignore[attr-defined]


def test_comments_and_makers_segments_are_kept_byte_for_byte_and_in_order():
    photo = read_photo(jpeg(COMMENT, SENSOR, ("COM", b""), *PICTURE_KINDS, exif=EXIF, xmp=XMP))
    assert photo.notes == ()
    assert losses(photo) == []
    found = segments_of(encode_photo(photo))
    assert [s for s in found if s[0] in ("COM", "APP6")] == [COMMENT, SENSOR, ("COM", b"")]
    assert not [data for _, data in found if data in dict(PICTURE_KINDS).values()]
    assert sum(data.startswith(b"Exif") for _, data in found) == 1
    assert read_photo(encode_photo(photo)).metadata.others == photo.metadata.others


def test_many_large_segments_are_kept():
    large = [("APP1", b"FLIR\0" + bytes([n]) * 65000) for n in range(20)]
    assert segments_of(encode_photo(read_photo(jpeg(*large))))[1:] == large


def test_other_formats_hold_none_of_them_and_say_so():
    photo = read_photo(jpeg(COMMENT, SENSOR))
    assert losses(photo, "png") == ["JPEG segments are not written to PNG: APP6, comments"]
    assert read_photo(encode_photo(photo, "png")).metadata.others == ()


def test_comments_stay_without_the_place_and_what_may_hold_it_goes():
    metadata = read_photo(jpeg(COMMENT, SENSOR)).metadata
    assert apply_privacy(metadata, "strip-gps").others == (COMMENT,)
    assert apply_privacy(metadata, "strip").others == ()


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff"])
def test_a_signature_goes_with_a_note(kind):
    if kind == "jpeg":
        data = jpeg(("APP11", JUMBF))
    else:
        file, options = io.BytesIO(), {"tiffinfo": {52545: JUMBF}} if kind == "tiff" else {}
        Image.fromarray(smooth()).save(file, kind, **options)
        data = file.getvalue()
    if kind == "png":
        from blurdm_cli.photo.png import chunk

        data = data[:33] + chunk(b"caBX", JUMBF[8:]) + data[33:]
    if kind == "webp":
        data += b"C2PA" + struct.pack("<I", len(JUMBF)) + JUMBF
        data = data[:4] + struct.pack("<I", len(data) - 8) + data[8:]
    photo = read_photo(data)
    assert [note for note in photo.notes if "C2PA" in note]
    assert b"jumb" not in encode_photo(photo)


def test_the_film_of_a_motion_photo_is_dropped_with_a_note_and_xmp_no_longer_tells_of_it():
    xmp = b'<x GCamera:MotionPhoto="1" GCamera:MicroVideo=\'1\' GCamera:MotionPhotoVersion="1"/>'
    photo = read_photo(jpeg(then=bytes(9) + FILM, xmp=xmp))
    assert photo.notes == ("the video after the image (motion photo) is dropped",)
    written = encode_photo(photo)
    assert b"ftyp" not in written
    assert re.findall(rb"(\w+)=.([01])", written) == [
        (b"MotionPhoto", b"0"),
        (b"MicroVideo", b"0"),
        (b"MotionPhotoVersion", b"1"),
    ]


def test_other_bytes_behind_the_picture_are_counted_and_padding_is_nothing():
    assert read_photo(jpeg(then=b"SEFHxyzSEFT")).notes == ("11 bytes after the image are dropped",)
    assert read_photo(jpeg(then=bytes(500) + b"\r\n")).notes == ()


def test_a_second_picture_is_named_once_and_a_film_behind_it_as_well():
    file = io.BytesIO()
    first, second = Image.fromarray(smooth()), Image.fromarray(smooth()[:8])
    first.save(file, "MPO", save_all=True, append_images=[second])
    assert len(read_photo(file.getvalue()).notes) == 1
    assert len(read_photo(file.getvalue() + FILM).notes) == 2


@pytest.mark.parametrize("progressive", [False, True])
def test_the_end_is_found_behind_thumbnails_and_scans(progressive):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(
        file, "JPEG", exif=EXIF, progressive=progressive, restart_marker_blocks=3
    )
    data = file.getvalue()
    assert behind(data) == b""
    assert behind(data + b"more\xff\xd9") == b"more\xff\xd9"
    assert all(behind(data[:size]) == b"" for size in range(2, len(data), 97))
