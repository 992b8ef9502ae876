import numpy as np
import pytest
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from hypothesis import given, settings
from hypothesis import strategies as st

from blurdm_cli.video.yuv import (
    BT709,
    change,
    colorspace_of,
    colour_planes,
    from_rgb,
    is_planar,
    planar,
    to_rgb,
)

FORMATS = ("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv444p12le", "gbrp", "gbrp16le")


def flat(colour: tuple[float, float, float], height: int = 20, width: int = 30) -> np.ndarray:
    return np.full((height, width, 3), colour, np.float32)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(*[st.floats(0, 1, width=32)] * 3),
    st.sampled_from(FORMATS),
    st.sampled_from([1, 5, 6, 7, 9]),
    st.sampled_from([1, 2]),
)
def test_a_colour_comes_back_from_planes(
    colour: tuple[float, float, float], pix_fmt: str, matrix: int, range: int
) -> None:
    pixels = flat(colour)
    back = to_rgb(from_rgb(pixels, pix_fmt, matrix, range))
    # Half a code of luma and half of chroma, which counts at most 1.8814 times (BT.2020's blue):
    codes = 0.5 / 219 + 1.8814 * 0.5 / 224
    steps = 255 * codes if VideoFormat(pix_fmt).components[0].bits == 8 else 255 * codes / 4
    assert np.abs(back - pixels).max() * 255 <= steps + 1e-3


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv422p10le"])
@pytest.mark.parametrize(("matrix", "name"), [(1, "ITU709"), (5, "ITU601")])
def test_the_matrices_are_those_of_ffmpeg(pix_fmt: str, matrix: int, name: str) -> None:
    for colour in ((0, 1, 0), (1, 0, 0), (0.1, 0.8, 0.3), (1, 1, 1), (0, 0, 0)):
        frame = from_rgb(flat(colour), pix_fmt, matrix)
        theirs = frame.reformat(format="rgb24", src_colorspace=name, dst_color_range="JPEG")
        assert np.abs(theirs.to_ndarray() / 255 - colour).max() * 255 <= 3


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(FORMATS), st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
def test_no_change_changes_nothing_whatever_the_planes_hold(
    pix_fmt: str, height: int, width: int, seed: int
) -> None:
    frame = noise(pix_fmt, height, width, seed)
    before = [bytes(plane) for plane in frame.planes]
    assert to_rgb(frame).shape == (height, width, 3)
    change(frame, np.zeros((height, width, 3), np.float32))
    assert [bytes(plane) for plane in frame.planes] == before


def noise(pix_fmt: str, height: int, width: int, seed: int = 0) -> VideoFrame:
    rng, frame = np.random.default_rng(seed), VideoFrame(width, height, pix_fmt)
    bits = frame.format.components[0].bits
    dtype = np.uint8 if bits == 8 else np.uint16
    for plane in frame.planes:
        count = plane.buffer_size // np.dtype(dtype).itemsize
        plane.update(rng.integers(0, 2**bits, count, dtype).tobytes())
    frame.color_range = 1
    return frame


def test_a_change_is_written_and_stays_in_range() -> None:
    frame = from_rgb(flat((0.5, 0.4, 0.3)), "yuv444p10le")
    change(frame, flat((0.2, -0.1, 0.05)))
    assert np.abs(to_rgb(frame) - (0.7, 0.3, 0.35)).max() < 0.002
    change(frame, flat((1, 1, 1)))
    change(frame, flat((1, 1, 1)))
    assert colour_planes(frame)[0].max() == 1023


def test_transparency_is_not_touched() -> None:
    frame = noise("yuva444p", 20, 30)
    alpha = bytes(frame.planes[3])
    change(frame, flat((0.2, 0.1, 0)))
    assert bytes(frame.planes[3]) == alpha


@pytest.mark.parametrize(
    ("size", "tags", "expected"),
    [
        ((720, 1280), (2, 2, 2), BT709),
        ((480, 640), (2, 2, 2), 6),
        ((576, 720), (2, 2, 2), 6),
        ((480, 640), (1, 2, 2), BT709),
        ((480, 640), (2, 1, 2), BT709),
        ((480, 640), (2, 2, 1), BT709),
        ((480, 640), (2, 9, 18), 9),
        ((1080, 1920), (5, 2, 2), 5),
    ],
)
def test_the_matrix_is_what_the_tags_say_or_imply(
    size: tuple[int, int], tags: tuple[int, int, int], expected: int
) -> None:
    frame = VideoFrame(size[1], size[0], "yuv420p")
    frame.colorspace, frame.color_primaries, frame.color_trc = tags
    assert colorspace_of(frame) == expected


@pytest.mark.parametrize(
    ("pix_fmt", "expected"),
    [
        ("nv12", "yuv420p"),
        ("p010le", "yuv420p10le"),
        ("yuyv422", "yuv422p"),
        ("rgb24", "gbrp"),
        ("bgra", "gbrap"),
        ("rgb48le", "gbrp16le"),
        ("gray16be", "gray16le"),
        ("yuv420p10be", "yuv420p10le"),
        ("yuvj422p", "yuvj422p"),
    ],
)
def test_packed_frames_are_taken_apart_without_a_loss(pix_fmt: str, expected: str) -> None:
    frame = VideoFrame(30, 20, pix_fmt)
    for plane in frame.planes:
        plane.update(np.random.default_rng(0).bytes(plane.buffer_size))
    frame.color_range = 1
    apart = planar(frame)
    assert apart.format.name == expected
    assert is_planar(apart.format)
    if pix_fmt not in ("p010le", "yuvj422p"):
        back = apart.reformat(format=pix_fmt, src_color_range=1, dst_color_range=1)
        if pix_fmt in ("nv12", "yuyv422", "rgb24"):
            np.testing.assert_array_equal(back.to_ndarray(), frame.to_ndarray())
