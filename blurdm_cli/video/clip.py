"""A video as its headers and its first frame describe it."""

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from blurdm_cli.video.tags import Colour, Matrix


@dataclass(frozen=True)
class Clip:
    """Properties of a video, from its headers and its first frame."""

    path: Path
    height: int
    width: int
    codec: str
    """FFmpeg's name of the codec family: "h264", "prores"."""
    profile: str
    pix_fmt: str
    """Pixel format of the frames from `read_frames`."""
    rate: Fraction
    """Average frame rate, per second."""
    time_base: Fraction
    """Seconds per unit of a timestamp."""
    aspect: Fraction | None
    """Pixel aspect ratio: width by height."""
    colour: Colour
    matrix: Matrix | None
    """Rotation for display."""
    hdr: dict[str, bytes] = field(default_factory=dict)
    """FFmpeg's structures of the first frame with the mastering brightness."""
    begin: Fraction = Fraction(0)
    """Start of the file's first stream, seconds."""
    end: Fraction | None = None
    """End of the video stream by its header, or else of the file; in the file's time, seconds."""
    is_own_end: bool = False
    """Whether `end` is the end of the video stream."""
    frames: int | None = None
    """Number of frames, from the header or estimated from duration and rate."""
    interlaced: bool = False
    side_data: tuple[str, ...] = ()
    """Properties of the picture that only the source states, in words: a 360-degree projection."""
    steady: Fraction | None = None
    """The lowest rate per second at which no two frames coincide; None: the average rate."""
    is_pictures: bool = False
    """Whether it is not a file but numbered images."""
    unkept: tuple[str, ...] = ()
    """Losses when numbered images are written as a video, a line each."""
