"""Options of blurdm deblur, except those for videos; watch and serve share some of them."""

from __future__ import annotations

from typing import Annotated

import typer

from blurdm_cli.choices import Format, Guard, Keep, MotionMode, OnExists
from blurdm_cli.commands.options import INPUTS

OUTPUT, MODEL, ENGINE, RUN = "Output", "Model", "Engine", "Run"

OnlyBlurry = Annotated[
    bool,
    typer.Option("--only-blurry", help="Skip sharp photos.", rich_help_panel=INPUTS),
]
BlurThreshold = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="--only-blurry skips photos with a score up to this: 0 is sharp, 1 is blurred.",
        show_default="0.6",
        rich_help_panel=INPUTS,
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        help="Output file, folder, s3:// or gs:// URL, or - for stdout.",
        show_default="beside the input",
        rich_help_panel=OUTPUT,
    ),
]
Name = Annotated[
    str | None,
    typer.Option(
        metavar="TEMPLATE",
        help="File name template with {stem}, {ext}, {parent}, {index} and {model}.",
        show_default="{stem}{ext}; beside the input {stem}.deblurred{ext}",
        rich_help_panel=OUTPUT,
    ),
]
Existing = Annotated[
    OnExists | None,
    typer.Option(
        help="What to do if the output exists and is not an earlier result of this input.",
        show_default="skip; for --output FILE, error",
        rich_help_panel=OUTPUT,
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Same as --on-exists overwrite.", rich_help_panel=OUTPUT),
]
InPlace = Annotated[
    bool,
    typer.Option(
        "--in-place",
        help="Overwrite inputs. Originals are kept as NAME.EXT.orig.",
        rich_help_panel=OUTPUT,
    ),
]
OutputFormat = Annotated[Format, typer.Option(help="Output format.", rich_help_panel=OUTPUT)]
Quality = Annotated[
    str,
    typer.Option(
        metavar="auto|N",
        help="Quality of JPEG, WebP and AVIF, 1 to 100. auto keeps the input's quality if it"
        " was 90 or better, else 95.",
        rich_help_panel=OUTPUT,
    ),
]
Metadata = Annotated[
    Keep,
    typer.Option(
        help="Which metadata to keep: all, none, or all without GPS coordinates.",
        rich_help_panel=OUTPUT,
    ),
]
Compare = Annotated[
    bool,
    typer.Option(
        "--compare",
        help="Also write before and after side by side, as NAME.compare.EXT.",
        rich_help_panel=OUTPUT,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|PATH",
        help="A name from `blurdm models list`, or the path of a model folder or ONNX graph.",
        show_default="the list's default",
        rich_help_panel=MODEL,
    ),
]
Expert = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|PATH",
        help="Another model for photos, such as one trained on moving scenes. Each part of a photo"
        " is taken from the model that restores more of it.",
        show_default="none",
        rich_help_panel=MODEL,
    ),
]
Strength = Annotated[
    float,
    typer.Option(min=0, max=1, help="Mix of input (0) and result (1).", rich_help_panel=MODEL),
]
Seed = Annotated[
    int,
    typer.Option(min=0, help="Seed for the diffusion noise.", rich_help_panel=MODEL),
]
Steps = Annotated[
    str,
    typer.Option(
        metavar="auto|N",
        help="Number of diffusion steps: the number that the model was trained with.",
        rich_help_panel=MODEL,
    ),
]
Tta = Annotated[
    bool,
    typer.Option(
        "--tta",
        help="Average over eight flips and rotations of each tile. Takes eight times as long.",
        rich_help_panel=MODEL,
    ),
]
Motion = Annotated[
    MotionMode,
    typer.Option(
        help="Estimate the motion and undo it before the network runs: auto in photos, on also in"
        " each frame of a video, off nowhere.",
        rich_help_panel=MODEL,
    ),
]
GuardMode = Annotated[
    Guard,
    typer.Option(
        help="If a result looks wrong: on repairs it and warns, off keeps it, strict fails.",
        rich_help_panel=MODEL,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        metavar="auto|cpu|cuda[:N]|mps",
        help="Device to run on. Only auto falls back to another.",
        rich_help_panel=ENGINE,
    ),
]
Devices = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="auto|cpu|cuda[:N][,cuda:N]|all-cuda|mps",
        help="Device to run on. Only auto falls back to another. Each of several cards takes the"
        " next file.",
        rich_help_panel=ENGINE,
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="auto|local|HOST:PORT",
        help="Share the files among the machines of a Ray cluster: the one that this machine"
        " belongs to, one of this machine alone, or the one at an address.",
        rich_help_panel=ENGINE,
    ),
]
Runtime = Annotated[
    str,
    typer.Option(
        metavar="auto|torch|onnx|openvino",
        help="Inference library. auto picks the fastest.",
        rich_help_panel=ENGINE,
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        metavar="auto|fp32|bf16|fp16|int8",
        help="Numeric precision. auto picks the fastest with no visible difference.",
        rich_help_panel=ENGINE,
    ),
]
Tile = Annotated[
    str,
    typer.Option(
        metavar="auto|N",
        help="Largest tile, as the side of a square in pixels. auto takes the model's.",
        rich_help_panel=ENGINE,
    ),
]
Halo = Annotated[
    str,
    typer.Option(
        metavar="auto|N",
        help="Overlap of tiles on each side, in pixels. auto takes the model's.",
        rich_help_panel=ENGINE,
    ),
]
Batch = Annotated[
    int,
    typer.Option("--batch", min=1, help="Tiles per batch.", rich_help_panel=ENGINE),
]
Resume = Annotated[
    bool,
    typer.Option(
        help="Skip files that an earlier run finished with these settings, and continue"
        " interrupted videos.",
        rich_help_panel=RUN,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Print what would be written, and write nothing.", rich_help_panel=RUN
    ),
]
FailFast = Annotated[
    bool,
    typer.Option("--fail-fast", help="Stop at the first failure.", rich_help_panel=RUN),
]
JsonLines = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print one JSON object per file to stdout.",
        rich_help_panel=RUN,
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print errors only.", rich_help_panel=RUN)
]
