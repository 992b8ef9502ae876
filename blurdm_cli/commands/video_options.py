"""What may be asked for videos, beyond the model's own work."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any

import typer

from blurdm_cli.errors import UsageError

if TYPE_CHECKING:
    from blurdm_cli.media.encode import Quality
    from blurdm_cli.media.naming import OnExists
    from blurdm_cli.media.privacy import Keep

PANEL = "Video"


class Audio(StrEnum):
    """What becomes of the sound."""

    copy = "copy"
    none = "none"


Codec = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="h264, hevc, vp9, av1, prores, ffv1, or an encoder such as h264_nvenc."
        " [default: the source's codec]",
        rich_help_panel=PANEL,
    ),
]
Crf = Annotated[
    int | None,
    typer.Option(
        min=0,
        metavar="N",
        help="Quality; less is better, and larger. [default: 18 for H.264, 20 HEVC, 24 VP9 and"
        " AV1]",
        rich_help_panel=PANEL,
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|N",
        help="Effort of the encoder. [default: veryfast for H.264 and HEVC, 4 for VP9, 10 for AV1]",
        rich_help_panel=PANEL,
    ),
]
PixFmt = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Pixel format, such as yuv420p or yuv420p10le. [default: the source's]",
        rich_help_panel=PANEL,
    ),
]
Sound = Annotated[
    Audio, typer.Option("--audio", help="Keep all sound, or none.", rich_help_panel=PANEL)
]
Start = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Where to begin: seconds, or [H:]M:S. [default: the begin]",
        rich_help_panel=PANEL,
    ),
]
End = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Where to stop: seconds, or [H:]M:S. [default: the end]",
        rich_help_panel=PANEL,
    ),
]
Frames = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="Stop after so many. [default: all]", rich_help_panel=PANEL
    ),
]
Every = Annotated[
    int,
    typer.Option(min=1, metavar="N", help="Take every N-th frame only.", rich_help_panel=PANEL),
]
AllFrames = Annotated[
    bool,
    typer.Option(
        "--all-frames",
        help="Restore sharp frames too; else they are left as they are.",
        rich_help_panel=PANEL,
    ),
]
Fps = Annotated[
    float,
    typer.Option(
        min=0.001,
        max=1000,
        metavar="N",
        help="Frames a second of numbered pictures as input.",
        rich_help_panel=PANEL,
    ),
]


@dataclass(frozen=True)
class VideoOptions:
    """What is asked for."""

    codec: str | None = None
    crf: int | None = None
    preset: str | None = None
    pix_fmt: str | None = None
    audio: Audio = Audio.copy
    start: Fraction | None = None
    """Seconds from the clip's begin."""
    end: Fraction | None = None
    frames: int | None = None
    every: int = 1
    all_frames: bool = False
    fps: float = 25.0
    quality: Quality = "auto"
    """Of numbered pictures."""
    metadata: Keep = "keep"
    resume: bool = True
    in_place: bool = False
    on_exists: OnExists = "skip"
    dry_run: bool = False
    fail_fast: bool = False
    unheeded: tuple[str, ...] = ()
    """Options of photos that were asked for too."""

    @classmethod
    def read(cls, start: str | None = None, end: str | None = None, **options: Any) -> VideoOptions:
        """From what was typed.

        Raises:
            UsageError: a time is none, or the end is not after the start.
        """
        first, last = (_seconds("start", start), _seconds("end", end))
        if last is not None and last <= (first or 0):
            raise UsageError(
                f"--end {end} is not after --start {start or 0}", hint="Both are seconds, or M:S"
            )
        return cls(start=first, end=last, **options)

    def decides(self) -> dict[str, str]:
        """Those that decide what is written, as text."""
        how = ("codec", "crf", "preset", "pix_fmt", "audio")
        names = (*how, "start", "end", "frames", "every", "all_frames", "fps", "metadata")
        return {name: str(getattr(self, name)) for name in names}


def _seconds(option: str, text: str | None) -> Fraction | None:
    if text is None:
        return None
    if not re.fullmatch(r"([0-9]+:){0,2}[0-9]+(\.[0-9]+)?", text):
        raise UsageError(f"--{option} cannot be {text!r}", hint="Such as 90, 1:30 or 0:01:30.5")
    total = Fraction(0)
    for part in text.split(":"):
        total = total * 60 + Fraction(part)
    return total
