import io
import struct

import av
import numpy as np
import pytest
from PIL import Image

from blurdm_cli.photo.metadata import Metadata
from blurdm_cli.photo.photo import Photo, encode_photo, losses, read_photo
from blurdm_cli.photo.png import chunks_of

P3, PQ, BT709 = (12, 13), (9, 16), (1, 1)


def avif(primaries: int, transfer: int, **options: bytes) -> bytes:
    """An AVIF file with tags in its box only, as they count."""
    file = io.BytesIO()
    pixels = np.full((16, 24, 3), (200, 90, 30), np.uint8)
    Image.fromarray(pixels).save(file, "AVIF", quality=95, subsampling="4:4:4", **options)
    data = file.getvalue()
    at = data.index(b"colrnclx") + 8
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


def seen(data: bytes) -> tuple[tuple[int, int], tuple[int, int]]:
    """What FFmpeg finds in the file's box, and in its bitstream."""
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        box = (int(stream.codec_context.color_primaries), int(stream.codec_context.color_trc))
        frame = next(container.decode(stream))
        return box, (int(frame.color_primaries), int(frame.color_trc))


@pytest.mark.parametrize("tags", [P3, PQ, BT709])
def test_the_colour_tags_of_avif_are_kept_in_box_and_bitstream_and_the_pixels_too(tags):
    photo = read_photo(avif(*tags))
    written = encode_photo(photo)
    assert seen(written) == (tags, tags)
    assert struct.pack(">HHHB", *tags, 6, 0x80) in written
    assert losses(photo) == []
    assert np.abs(read_photo(written).pixels.astype(int) - photo.pixels).max() <= 3
    assert read_photo(written).metadata == photo.metadata


@pytest.mark.parametrize("tags", [P3, PQ, BT709])
def test_the_colour_tags_of_avif_are_told_in_png_and_come_back(tags):
    photo = read_photo(avif(*tags))
    png = encode_photo(photo, "png")
    assert dict(chunks_of(png))[b"cICP"] == bytes([*tags, 0, 1])
    assert losses(photo, "png") == []
    assert seen(encode_photo(read_photo(png), "avif")) == (tags, tags)


@pytest.mark.parametrize("format", ["jpeg", "webp", "tiff"])
def test_a_format_without_colour_tags_says_which_are_lost_where_it_can_be_seen(format):
    assert [line for line in losses(read_photo(avif(*P3)), format) if "Display P3" in line]
    assert [line for line in losses(read_photo(avif(*PQ)), format) if "BT.2020, PQ" in line]
    assert losses(read_photo(avif(*BT709)), format) == []


def test_srgb_and_a_profile_need_no_tags():
    assert read_photo(avif(1, 13)).metadata.chunks == ()
    assert seen(encode_photo(Photo(np.zeros((8, 8, 3), np.uint8)), "avif")) == ((1, 13), (1, 13))
    assert read_photo(avif(*P3, icc_profile=b"icc")).metadata.chunks == ()


@pytest.mark.parametrize("content", [bytes([12, 13, 0, 0]), bytes([200, 13, 0, 1]), b"", b"\1"])
def test_tags_that_avif_cannot_hold_are_left_out_and_the_photo_is_written(content):
    photo = read_photo(avif(*P3))
    odd = Photo(photo.pixels, metadata=Metadata(chunks=((b"cICP", content),)))
    assert seen(encode_photo(odd, "avif"))[0] == (1, 13)
    assert bool(losses(odd, "avif")) == (len(content) == 4)
    assert read_photo(encode_photo(odd, "png")).metadata.chunks == odd.metadata.chunks
