"""Convert video frames to RGB and back; only changes are written to the planes.

A frame has planes of luma and chroma (or of green, blue and red) of 8 to 16 bits, with the
matrix and the range that its tags specify or imply. It is converted to RGB; the restored RGB is
written back as the difference that it makes to each plane:

    Y', Cb, Cr  +=  M · (restored − blurred)        chroma averaged over the pixels it covers

So an unchanged frame keeps its values exactly, including colours outside RGB and details that
would not survive a round trip through 8 bits or subsampled chroma. Chroma is assumed to be
centred on its pixels; an offset of half a pixel only affects the network's input.

Sources of the matrices: ITU-T H.273, table 4.
"""

from collections.abc import Iterable

import cv2
import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from jaxtyping import Float32, Shaped

RGB, BT709, UNSPECIFIED, FCC, BT470BG, SMPTE170M, SMPTE240M = 0, 1, 2, 4, 5, 6, 7
BT2020_NCL, BT2020_CL = 9, 10

RED_AND_BLUE = {
    BT709: (0.2126, 0.0722),
    FCC: (0.30, 0.11),
    BT470BG: (0.299, 0.114),
    SMPTE170M: (0.299, 0.114),
    SMPTE240M: (0.212, 0.087),
    BT2020_NCL: (0.2627, 0.0593),
    BT2020_CL: (0.2627, 0.0593),
}
"""Weights of red and blue in luma, by the matrix's number."""

IMPLIED = {1: BT709, 9: BT2020_NCL, 5: BT470BG, 6: SMPTE170M, 7: SMPTE240M}
"""The matrix implied by primaries, if only these are tagged."""

LIMITED, FULL = 1, 2

PlaneList = list[Shaped[np.ndarray, "rows columns"]]


def to_rgb(frame: VideoFrame) -> Float32[np.ndarray, "height width 3"]:
    """Convert a frame to RGB in [0, 1], with the transfer function still applied.

    In memory, each colour is a separate plane, as in the engine's tiles.

    Args:
        frame: in a format that `is_planar`.
    """
    planes = colour_planes(frame)
    white = np.float32(2 ** frame.format.components[0].bits - 1)
    if len(planes) == 1:
        gray = (planes[0].astype(np.float32) - _black(frame)) / _span(frame)
        return np.stack([np.clip(gray, 0, 1)] * 3).transpose(1, 2, 0)
    if frame.format.is_rgb:
        green, blue, red = planes
        return (np.stack([red, green, blue]) / white).transpose(1, 2, 0)
    size = (frame.width, frame.height)
    whole = [
        cv2.resize(p, size, interpolation=cv2.INTER_LINEAR) if p.shape != size[::-1] else p
        for p in planes
    ]
    pixels = np.empty((3, *size[::-1]), np.float32)
    for colour, (*weights, black) in zip(pixels, _to_rgb_matrix(frame), strict=True):
        _weighted(whole, weights, black, into=colour)
    return np.clip(pixels, 0, 1, out=pixels).transpose(1, 2, 0)


def change(frame: VideoFrame, difference: Float32[np.ndarray, "height width 3"]) -> None:
    """Add an RGB difference in [-1, 1] to a frame; the rest stays unchanged."""
    frame.make_writable()
    bits = frame.format.components[0].bits
    weights = matrix(frame)
    if frame.format.is_rgb:
        weights = np.eye(3)[[1, 2, 0]] * (2**bits - 1)
    colours = list(difference.transpose(2, 0, 1))
    for plane, row in zip(colour_planes(frame), weights, strict=False):
        if plane.shape != colours[0].shape:
            size = plane.shape[::-1]
            colours = [cv2.resize(c, size, interpolation=cv2.INTER_AREA) for c in colours]
        step = _weighted(colours, row)
        values = cv2.add(step, plane, dtype=cv2.CV_8U if bits == 8 else cv2.CV_16U)
        np.minimum(values, 2**bits - 1, out=plane) if bits % 8 else np.copyto(plane, values)


def _weighted(
    planes: PlaneList,
    weights: Iterable[float],
    offset: float = 0.0,
    into: Float32[np.ndarray, "rows columns"] | None = None,
) -> Float32[np.ndarray, "rows columns"]:
    """The weighted sum of the planes plus an offset."""
    (first, a), *rest = [(p, weight) for p, weight in zip(planes, weights, strict=True) if weight]
    second, b = rest.pop() if rest else (first, 0.0)
    total = cv2.addWeighted(first, a, second, b, offset, dst=into, dtype=cv2.CV_32F)
    for plane, weight in rest:
        cv2.addWeighted(total, 1, plane, weight, 0, dst=total, dtype=cv2.CV_32F)
    return total


def from_rgb(
    pixels: Float32[np.ndarray, "height width 3"],
    format: str,
    colorspace: int = BT709,
    range: int = LIMITED,
    alpha_of: VideoFrame | None = None,
) -> VideoFrame:
    """Make a frame from RGB pixels, tagged with its matrix and range.

    Args:
        pixels: in [0, 1].
        format: one that `is_planar`.
        colorspace: the matrix's number, for luma and chroma.
        range: `LIMITED` or `FULL`, for luma and chroma.
        alpha_of: a frame whose alpha is copied, if the format has alpha.
    """
    height, width = pixels.shape[:2]
    if alpha_of is not None and any(c.is_alpha for c in VideoFormat(format).components):
        frame = alpha_of.reformat(format=format)
    else:
        frame = VideoFrame(width, height, format)
    frame.color_range = FULL if frame.format.is_rgb else range
    frame.colorspace = RGB if frame.format.is_rgb else colorspace
    black = (0,) * 3 if frame.format.is_rgb else (_black(frame), _middle(frame), _middle(frame))
    for plane, value in zip(colour_planes(frame), black, strict=False):
        plane[:] = value
    change(frame, pixels)
    return frame


def colour_planes(frame: VideoFrame) -> PlaneList:
    """Views of a frame's memory: planes of luma and chroma, or of green, blue and red."""
    dtype = np.dtype(np.uint8 if frame.format.components[0].bits == 8 else np.uint16)
    found = []
    for plane, component in zip(frame.planes, frame.format.components, strict=True):
        if component.is_alpha:
            continue
        rows = np.frombuffer(memoryview(plane), dtype).reshape(
            -1, plane.line_size // dtype.itemsize
        )
        found.append(rows[: plane.height, : plane.width])
    return found


def is_planar(format: VideoFormat) -> bool:
    """Whether `to_rgb` and `change` support frames of this format directly."""
    bits = {component.bits for component in format.components}
    return (
        (format.is_planar or len(format.components) == 1)
        and not format.is_big_endian
        and not format.is_bit_stream
        and not format.has_palette
        and len(bits) == 1
        and 8 <= max(bits) <= 16
        and not format.name.endswith(("f16le", "msble"))
        and len({component.plane for component in format.components}) == len(format.components)
    )


def planar(frame: VideoFrame) -> VideoFrame:
    """Convert to a format that `is_planar`, with the same values: packed formats are split."""
    if is_planar(frame.format):
        return frame
    other = frame.reformat(
        format=_planar_format(frame.format),
        src_color_range=frame.color_range,
        dst_color_range=frame.color_range,
    )
    return timed_as(frame, other)


def timed_as(frame: VideoFrame, other: VideoFrame) -> VideoFrame:
    """Copy the first frame's timing to the other frame, and return that."""
    other.pts, other.duration = frame.pts, frame.duration
    if frame.time_base is not None:
        other.time_base = frame.time_base
    return other


def _planar_format(format: VideoFormat) -> str:
    components = format.components
    deep = max(component.bits for component in components)
    depth = "" if deep <= 8 else f"{deep}le" if deep in (9, 10, 12, 14, 16) else "16le"
    alpha = "a" if any(component.is_alpha for component in components) else ""
    if format.is_rgb or format.has_palette or format.is_bayer:
        return f"gbr{alpha}p{depth}"
    if len(components) - bool(alpha) == 1:
        return f"gray{depth}"
    ratio = (format.chroma_width(8), format.chroma_height(8))
    sampling = {(8, 8): "444", (4, 8): "422", (4, 4): "420", (2, 8): "411", (2, 2): "410"}
    return f"yuv{alpha}{sampling.get(ratio, '444')}p{depth}"


def matrix(frame: VideoFrame) -> Shaped[np.ndarray, "3 3"]:
    """The matrix from RGB in [0, 1] to its contribution to the codes of luma, Cb and Cr."""
    red, blue = RED_AND_BLUE[colorspace_of(frame)]
    luma = np.array([red, 1 - red - blue, blue])
    cb = (np.array([0, 0, 1]) - luma) / (2 * (1 - blue))
    cr = (np.array([1, 0, 0]) - luma) / (2 * (1 - red))
    return np.stack([luma * _span(frame), cb * _chroma_span(frame), cr * _chroma_span(frame)])


def _to_rgb_matrix(frame: VideoFrame) -> Shaped[np.ndarray, "3 4"]:
    """The inverse of `matrix`, with the codes of black in its last column.

    It is written out because a solver's last digits may depend on the machine.
    """
    red, blue = RED_AND_BLUE[colorspace_of(frame)]
    green = 1 - red - blue
    y, c = 1 / _span(frame), 1 / _chroma_span(frame)
    from_cr, from_cb = 2 * (1 - red) * c, 2 * (1 - blue) * c
    rows = (
        (y, 0.0, from_cr),
        (y, -blue / green * from_cb, -red / green * from_cr),
        (y, from_cb, 0.0),
    )
    black, middle = _black(frame), _middle(frame)
    return np.array([(*row, -row[0] * black - (row[1] + row[2]) * middle) for row in rows])


def colorspace_of(frame: VideoFrame) -> int:
    """The matrix that a frame's tags specify or imply; else the players' default for its size."""
    if frame.colorspace in RED_AND_BLUE:
        return int(frame.colorspace)
    if frame.color_primaries in IMPLIED:
        return IMPLIED[frame.color_primaries]
    if frame.color_trc == 1:
        return BT709
    return BT709 if frame.width >= 1280 or frame.height > 576 else SMPTE170M


def is_full(frame: VideoFrame) -> bool:
    """Whether codes range from 0 for black to the maximum for white."""
    return bool(frame.color_range == FULL or frame.format.name.startswith("yuvj"))


def _black(frame: VideoFrame) -> float:
    return 0.0 if is_full(frame) else 16.0 * _unit(frame)


def _middle(frame: VideoFrame) -> float:
    return 128.0 * _unit(frame)


def _span(frame: VideoFrame) -> float:
    """The range from black to white in luma codes."""
    bits = frame.format.components[0].bits
    return float(2**bits - 1) if is_full(frame) else 219.0 * _unit(frame)


def _chroma_span(frame: VideoFrame) -> float:
    bits = frame.format.components[0].bits
    return float(2**bits - 1) if is_full(frame) else 224.0 * _unit(frame)


def _unit(frame: VideoFrame) -> int:
    """Number of codes per 8-bit code."""
    return 1 << (frame.format.components[0].bits - 8)
