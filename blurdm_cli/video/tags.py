"""What a video and its frames say of themselves beside the pixels.

Of a frame: colour, rotation, brightness. Of a file and its streams: texts, as keys and values.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
from av.buffer import Buffer
from av.video.frame import VideoFrame

from blurdm_cli.choices import Keep

HDR = ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL", "DYNAMIC_HDR_PLUS", "DOVI_METADATA")
"""Kinds of side data about how bright a clip was mastered."""

TELLING = re.compile(
    r"(?i)location|gps|iso6709|latitude|longitude|altitude|coordinate"
    r"|(?<![a-z])(geo(?!metr)|(xyz|loci)(?![a-z]))"
)
"""What is found in the keys of tags that tell the place."""

COORDINATES = re.compile(r"[+-]\d+\.\d+[+-]\d+\.\d+")
"""How a place begins as ISO 6709 writes it."""

NEEDED = frozenset({"language", "rotate", "stereo_mode", "alpha_mode", "filename", "mimetype"})
"""Tags that decide how a file plays, in small letters; the last two find fonts."""

Matrix = tuple[int, ...]
"""Nine fixed-point numbers: how a player turns and mirrors the picture."""

ORIENTATIONS = {
    ((-1, 0), (0, 1)): 2,
    ((-1, 0), (0, -1)): 3,
    ((1, 0), (0, -1)): 4,
    ((0, 1), (1, 0)): 5,
    ((0, 1), (-1, 0)): 6,
    ((0, -1), (-1, 0)): 7,
    ((0, -1), (1, 0)): 8,
}
"""EXIF's Orientation by where a display matrix has right and down point to, each as (x, y)."""


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


def orientation_of(matrix: Matrix | None) -> int:
    """EXIF's Orientation, 1 to 8, that says the same as a matrix; 1 for no quarter turns."""
    signs = tuple(np.sign(matrix or ()).tolist())
    return ORIENTATIONS.get((signs[:2], signs[3:5]), 1)


def hdr_of(frame: VideoFrame) -> dict[str, bytes]:
    """FFmpeg's structures about brightness, by their kind."""
    found = {kind: _side_data(frame, kind) for kind in HDR}
    return {kind: data for kind, data in found.items() if data is not None}


def kept_tags(tags: Mapping[str, str], keep: Keep) -> dict[str, str]:
    """The tags of a file, or of one of its streams, to write.

    Args:
        tags: all there are.
        keep: "strip" leaves what decides how the file plays; "strip-gps" drops what tells, or
            may tell, where it was taken.
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
