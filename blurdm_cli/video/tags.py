"""Metadata of a video and its frames.

Frames have colour, rotation and brightness. Files and streams have text tags, as keys and values.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from av.buffer import Buffer
from av.video.frame import VideoFrame

from blurdm_cli.choices import Keep

HDR = ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL", "DYNAMIC_HDR_PLUS", "DOVI_METADATA")
"""Kinds of side data on the mastering brightness."""

TELLING = re.compile(
    r"(?i)location|gps|iso6709|latitude|longitude|altitude|coordinate"
    r"|(?<![a-z])(geo(?!metr)|(xyz|loci)(?![a-z]))"
)
"""Matches keys of tags that contain the location."""

COORDINATES = re.compile(r"[+-]\d+\.\d+[+-]\d+\.\d+")
"""The start of a location in ISO 6709 format."""

NEEDED = frozenset({"language", "rotate", "stereo_mode", "alpha_mode", "filename", "mimetype"})
"""Tags that affect playback, in lower case; the last two identify fonts."""

Matrix = tuple[int, ...]
"""Display matrix of nine fixed-point numbers: rotation and mirroring by the player."""

ORIENTATIONS = {
    ((-1, 0), (0, 1)): 2,
    ((-1, 0), (0, -1)): 3,
    ((1, 0), (0, -1)): 4,
    ((0, 1), (1, 0)): 5,
    ((0, 1), (-1, 0)): 6,
    ((0, -1), (-1, 0)): 7,
    ((0, -1), (1, 0)): 8,
}
"""EXIF's Orientation by the directions that a display matrix maps right and down to, as (x, y)."""


@dataclass(frozen=True)
class Colour:
    """A stream's colour tags, as ITU-T H.273 numbers."""

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
    """A frame's display matrix, if its file has one."""
    found = _side_data(frame, "DISPLAYMATRIX")
    return None if found is None else tuple(np.frombuffer(found, np.int32).tolist())


def orientation_of(matrix: Matrix | None) -> int:
    """EXIF's Orientation, 1 to 8, equivalent to a matrix; 1 if it has no quarter turns."""
    signs = tuple(np.sign(matrix or ()).tolist())
    return ORIENTATIONS.get((signs[:2], signs[3:5]), 1)


def hdr_of(frame: VideoFrame) -> dict[str, bytes]:
    """FFmpeg's brightness structures, by kind."""
    found = {kind: _side_data(frame, kind) for kind in HDR}
    return {kind: data for kind, data in found.items() if data is not None}


SIDE_DATA = {"SPHERICAL": "360-degree projection", "STEREO3D": "stereo layout"}
"""FFmpeg's names of structures that are not written, and what they are."""

ALPHA_MODE = "alpha_mode"
"""Tag of VP8 and VP9 with transparency, which is in packets of its own."""


def side_data_of(frame: VideoFrame, tags: Mapping[str, str]) -> tuple[str, ...]:
    """Properties of a stream's picture that are not written, in words."""
    there = {data.type.name for data in list[Any](frame.side_data)}
    found = [words for name, words in SIDE_DATA.items() if name in there]
    return (*found, *(["transparency"] if tags.get(ALPHA_MODE) == "1" else []))


def kept_tags(tags: Mapping[str, str], keep: Keep) -> dict[str, str]:
    """Filter the tags of a file, or of one of its streams, for the output.

    Args:
        tags: all tags.
        keep: "strip" keeps only tags that affect playback; "strip-gps" drops tags that contain,
            or may contain, the location.
    """
    if keep == "keep":
        return dict(tags)
    if keep == "strip":
        return {key: value for key, value in tags.items() if key.lower() in NEEDED}
    return {
        key: value
        for key, value in tags.items()
        if not TELLING.search(key) and not COORDINATES.match(value)
    }


def _side_data(frame: VideoFrame, kind: str) -> bytes | None:
    found = cast("Mapping[str, Buffer]", frame.side_data).get(kind)
    return None if found is None else bytes(found)
