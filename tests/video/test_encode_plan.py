from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from blurdm_cli.errors import RuntimeMissing, UsageError
from blurdm_cli.video.clip import Clip
from blurdm_cli.video.codecs import FAMILIES, SAME, hardware_encoders
from blurdm_cli.video.encode_plan import Wish, plan_encoding
from blurdm_cli.video.encoder import as_encoded
from blurdm_cli.video.tags import Colour
from blurdm_cli.video.yuv import from_rgb, to_rgb

CLIP = Clip(
    path=Path("a.mkv"),
    height=48,
    width=64,
    codec="h264",
    profile="High",
    pix_fmt="yuv420p",
    rate=Fraction(30000, 1001),
    time_base=Fraction(1, 90000),
    aspect=None,
    colour=Colour(1, 1, 1, 1),
    matrix=None,
)


@pytest.mark.parametrize("codec", FAMILIES)
def test_a_source_s_family_and_format_stay(codec: str) -> None:
    pix_fmt = "yuv422p10le" if codec == "prores" else "yuv420p"
    clip = replace(CLIP, codec=codec, pix_fmt=pix_fmt)
    container = "mov" if codec == "prores" else "matroska"
    encoding, notes = plan_encoding(clip, container, Wish())
    assert encoding.encoder == FAMILIES[codec].encoder
    assert (encoding.pix_fmt, notes) == (pix_fmt, [])
    assert (encoding.time_base, encoding.rate) == (clip.time_base, clip.rate)


def test_what_is_wished_is_told_to_the_encoder() -> None:
    wish = Wish(codec="h265", crf=28, preset="ultrafast", pix_fmt="yuv444p")
    encoding, _ = plan_encoding(CLIP, "mp4", wish)
    assert encoding.encoder == "libx265"
    assert encoding.pix_fmt == "yuv444p"
    assert (encoding.options["crf"], encoding.options["preset"]) == ("28", "ultrafast")
    assert plan_encoding(CLIP, "mp4", Wish(codec="libx264"))[0].encoder == "libx264"


@pytest.mark.parametrize(
    ("codec", "container", "expected"),
    [("mpeg4", "avi", "libx264"), ("h264", "webm", "libvpx-vp9"), ("ffv1", "mov", "libx264")],
)
def test_a_codec_that_cannot_stay_is_named(codec: str, container: str, expected: str) -> None:
    encoding, notes = plan_encoding(replace(CLIP, codec=codec), container, Wish())
    assert encoding.encoder == expected
    assert len(notes) == 1
    assert codec in notes[0]


@pytest.mark.parametrize(
    ("facts", "wish", "word"),
    [
        ({"pix_fmt": "yuva444p"}, Wish(codec="h264"), "transparency"),
        ({"pix_fmt": "yuv444p12le"}, Wish(codec="h264"), "depth"),
        ({"pix_fmt": "yuv444p"}, Wish(codec="av1"), "resolution"),
        ({"pix_fmt": "gbrp"}, Wish(codec="h264"), "RGB"),
    ],
)
def test_what_a_format_loses_is_named(facts: dict[str, str], wish: Wish, word: str) -> None:
    _, notes = plan_encoding(replace(CLIP, **facts), "matroska", wish)
    assert len(notes) == 1
    assert word in notes[0]


def test_ten_bit_vp9_keeps_its_depth_as_av1() -> None:
    clip = replace(CLIP, codec="vp9", pix_fmt="yuv420p10le")
    encoding, notes = plan_encoding(clip, "webm", Wish())
    assert (encoding.encoder, encoding.pix_fmt) == ("libsvtav1", "yuv420p10le")
    assert "AV1" in notes[0]


def test_rgb_is_converted_and_tagged_bt709() -> None:
    clip = replace(CLIP, pix_fmt="gbrp", colour=Colour(2, 0, 1, 13))
    encoding, _ = plan_encoding(clip, "mp4", Wish(pix_fmt="yuv444p"))
    assert encoding.colour == Colour(1, 1, 1, 1)
    green = np.zeros((48, 64, 3), np.float32)
    green[..., 1] = 1
    frame = from_rgb(green, "gbrp")
    frame.pts, frame.time_base = 7, Fraction(1, 25)
    coded = as_encoded(frame, encoding)
    assert (coded.format.name, coded.colorspace, coded.color_range) == ("yuv444p", 1, 1)
    assert (coded.pts, coded.time_base) == (7, Fraction(1, 25))
    assert np.abs(to_rgb(coded) - green).max() * 255 <= 2


def test_a_deeper_format_keeps_range_and_colours() -> None:
    pixels = np.full((48, 64, 3), (0.1, 0.8, 0.4), np.float32)
    clip = replace(CLIP, pix_fmt="yuvj420p", colour=Colour(2, 1, 1, 1))
    encoding, notes = plan_encoding(clip, "mp4", Wish(pix_fmt="yuv420p10le"))
    coded = as_encoded(from_rgb(pixels, "yuv420p", 1, 2), encoding)
    assert notes == []
    assert coded.color_range == 2
    assert np.abs(to_rgb(coded) - pixels).max() * 255 < 2


def test_an_encoder_of_a_card_that_is_not_here_is_said_and_how_to_go_on() -> None:
    names = [name for name in hardware_encoders() if name == "h264_nvenc"]
    if not names or _has_nvenc():
        pytest.skip("FFmpeg here has no NVENC, or a card that has it")
    with pytest.raises(RuntimeMissing, match="does not start on this machine: ") as caught:
        plan_encoding(replace(CLIP, width=640, height=480), "mp4", Wish(codec=names[0]))
    assert "processor" in str(caught.value.hint)


def _has_nvenc() -> bool:
    context = av.CodecContext.create("h264_nvenc", "w")
    context.width, context.height, context.pix_fmt = 640, 480, "yuv420p"
    context.time_base = Fraction(1, 25)
    try:
        context.open()
    except av.FFmpegError:
        return False
    return True


def test_an_encoder_that_is_not_built_in_is_named_with_those_that_are() -> None:
    with pytest.raises(UsageError, match="h264_imaginary") as caught:
        plan_encoding(CLIP, "mp4", Wish(codec="h264_imaginary"))
    assert "hevc" in str(caught.value.hint)


def test_the_encoders_are_those_of_the_table() -> None:
    assert set(SAME.values()) <= set(FAMILIES)
    for family in FAMILIES.values():
        assert av.codec.Codec(family.encoder, "w").type == "video"
