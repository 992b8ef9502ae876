"""Options for videos."""

from __future__ import annotations

from typing import Annotated

import typer

from blurdm_cli import choices

PANEL = "Video"

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
        help="Constant rate factor: lower gives better quality and larger files."
        " [default: 18 for H.264, 20 for HEVC, 24 for VP9 and AV1]",
        rich_help_panel=PANEL,
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|N",
        help="Encoder preset. [default: veryfast for H.264 and HEVC, 4 for VP9, 10 for AV1]",
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
    choices.Audio,
    typer.Option("--audio", help="Copy the sound, or drop it.", rich_help_panel=PANEL),
]
Start = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Start time: seconds, or [H:]M:S. [default: the beginning]",
        rich_help_panel=PANEL,
    ),
]
End = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="End time: seconds, or [H:]M:S. [default: the end]",
        rich_help_panel=PANEL,
    ),
]
Frames = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="Stop after N frames. [default: all]", rich_help_panel=PANEL
    ),
]
Every = Annotated[
    int,
    typer.Option(min=1, metavar="N", help="Process only every Nth frame.", rich_help_panel=PANEL),
]
AllFrames = Annotated[
    bool,
    typer.Option(
        "--all-frames",
        help="Also deblur sharp frames. By default they are copied unchanged.",
        rich_help_panel=PANEL,
    ),
]
Fps = Annotated[
    float,
    typer.Option(
        min=0.001,
        max=1000,
        metavar="N",
        help="Frame rate of an input image sequence.",
        rich_help_panel=PANEL,
    ),
]
