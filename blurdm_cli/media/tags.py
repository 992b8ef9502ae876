"""What a video's frame says of itself beside its pixels: colour, rotation, brightness."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
from av.buffer import Buffer
from av.video.frame import VideoFrame

HDR = ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL", "DYNAMIC_HDR_PLUS", "DOVI_METADATA")
"""Kinds of side data about how bright a clip was mastered."""

Matrix = tuple[int, ...]
"""Nine fixed-point numbers: how a player turns and mirrors the picture."""


@dataclass(frozen=True)
class Colour:
    """A stream's colour tags, as the numbers of ITU-T H.273."""

    range: int
    matrix: int
    primaries: int
    transfer: int


def colour_of(frame: VideoFrame) -> Colour:
    """A frame's colour tags."""
    full = frame.format.name.startswith("yuvj")
    return Colour(
        2 if full else int(frame.color_range),
        int(frame.colorspace),
        int(frame.color_primaries),
        int(frame.color_trc),
    )


def matrix_of(frame: VideoFrame) -> Matrix | None:
    """How a frame is turned, where its file says so."""
    found = _side_data(frame, "DISPLAYMATRIX")
    return None if found is None else tuple(np.frombuffer(found, np.int32).tolist())


def hdr_of(frame: VideoFrame) -> dict[str, bytes]:
    """FFmpeg's structures about brightness, by their kind."""
    found = {kind: _side_data(frame, kind) for kind in HDR}
    return {kind: data for kind, data in found.items() if data is not None}


def _side_data(frame: VideoFrame, kind: str) -> bytes | None:
    found = cast("Mapping[str, Buffer]", frame.side_data).get(kind)
    return None if found is None else bytes(found)
