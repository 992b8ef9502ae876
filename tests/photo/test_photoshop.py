import struct

import pytest

from blurdm_cli.photo.photoshop import BEGIN, read_segments, without, write_segments


def resource(number: int, data: bytes, name: bytes = b"") -> bytes:
    label = bytes([len(name)]) + name
    label += b"\0" * (len(label) % 2)
    size = struct.pack(">I", len(data))
    return b"8BIM" + struct.pack(">H", number) + label + size + data + b"\0" * (len(data) % 2)


CAPTION = resource(0x0404, b"\x1c\x02\x78\0\3day", b"name")
THUMBNAIL = resource(0x040C, b"picture")
OTHER = resource(0x03ED, bytes(16))


def segment(*resources: bytes) -> bytes:
    return write_segments([BEGIN + b"".join(resources)])


def test_a_resource_goes_and_the_others_stay_byte_for_byte():
    assert without(segment(CAPTION, THUMBNAIL, OTHER), {0x040C}) == segment(CAPTION, OTHER)
    assert without(segment(THUMBNAIL), {0x040C}) == b""


def test_nothing_to_take_out_leaves_the_segments_as_they_are():
    apart = segment(CAPTION) + segment(OTHER)
    assert without(apart, {0x040C}) == apart
    assert without(b"", {0x040C}) == b""


def test_a_resource_that_goes_on_in_the_next_segment_is_one():
    long = resource(0x0422, bytes(80_001))
    joined = CAPTION + long + OTHER
    apart = segment(joined[:60_000]) + segment(joined[60_000:])
    assert without(apart, {0x0422}) == segment(CAPTION, OTHER)
    kept = read_segments(without(apart + segment(THUMBNAIL), {0x040C}))
    assert b"".join(data.removeprefix(BEGIN) for data in kept) == joined
    assert all(len(data) <= 65533 for data in kept)


@pytest.mark.parametrize(
    "damaged", [segment(CAPTION[:-4]), segment(b"8B"), write_segments([b"Adobe_CM\0"])]
)
def test_what_is_not_understood_is_an_error(damaged):
    with pytest.raises(ValueError, match=r"cut off|not Photoshop"):
        without(damaged, {0x0404})
