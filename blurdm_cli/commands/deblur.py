"""blurdm deblur: photos and videos in, sharper ones out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from blurdm_cli.commands import video_options as video
from blurdm_cli.commands.batch import Batch, Computing, deblur_batch
from blurdm_cli.commands.console import be_quiet
from blurdm_cli.commands.options import INPUTS, Exclude, Include, Inputs, Recursive, search_for
from blurdm_cli.commands.photos import PhotoOptions
from blurdm_cli.errors import UsageError
from blurdm_cli.media.naming import OnExists

OUTPUT, MODEL, ENGINE, RUN = "Output", "Model", "Engine", "Run"


Format = Literal["keep", "jpg", "png", "webp", "tiff", "avif"]
Metadata = Literal["keep", "strip", "strip-gps"]
Guard = Literal["on", "off", "strict"]
MotionMode = Literal["auto", "off"]


def deblur(
    inputs: Inputs,
    recursive: Recursive = True,
    include: Include = None,
    exclude: Exclude = None,
    only_blurry: Annotated[
        str | None,
        typer.Option(
            metavar="[T]",
            help="Skip photos whose blur score is T or less, of 0 to 1; without a T it is 0.6.",
            show_default="take all",
            rich_help_panel=INPUTS,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="File, folder, or - for stdout.",
            show_default="beside the input",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="TEMPLATE",
            help="Of {stem}, {ext}, {parent}, {index} and {model}.",
            show_default="{stem}{ext}; beside the input {stem}.deblurred{ext}",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    on_exists: Annotated[
        OnExists,
        typer.Option(
            help="Where a file is at the output that no run of blurdm is known to have made"
            " of this input.",
            rich_help_panel=OUTPUT,
        ),
    ] = "skip",
    in_place: Annotated[
        bool,
        typer.Option(
            "--in-place",
            help="Results take their inputs' places; those are kept as NAME.EXT.orig.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    format: Annotated[
        Format, typer.Option(help="Of the results.", rich_help_panel=OUTPUT)
    ] = "keep",
    quality: Annotated[
        str,
        typer.Option(
            metavar="auto|N",
            help="Of JPEG, WebP and AVIF: 1 to 100, or auto for the input's own where it was"
            " good, else 95.",
            rich_help_panel=OUTPUT,
        ),
    ] = "auto",
    metadata: Annotated[
        Metadata,
        typer.Option(
            help="EXIF, XMP, captions, tags of videos: all of it, none, or all but coordinates.",
            rich_help_panel=OUTPUT,
        ),
    ] = "keep",
    compare: Annotated[
        bool,
        typer.Option(
            "--compare",
            help="Also write before and after side by side, as NAME.compare.EXT.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH",
            help="A name from `blurdm models list`, or the path of a folder or of a graph.",
            show_default="the list's default",
            rich_help_panel=MODEL,
        ),
    ] = None,
    strength: Annotated[
        float,
        typer.Option(min=0, max=1, help="0 keeps the photo, 1 restores it.", rich_help_panel=MODEL),
    ] = 1.0,
    seed: Annotated[
        int,
        typer.Option(min=0, help="Of the noise the diffusion starts from.", rich_help_panel=MODEL),
    ] = 0,
    steps: Annotated[
        str,
        typer.Option(
            metavar="auto|N",
            help="Of the diffusion. A model is trained for its own number; another is refused.",
            rich_help_panel=MODEL,
        ),
    ] = "auto",
    tta: Annotated[
        bool,
        typer.Option(
            "--tta",
            help="Average over eight turned and mirrored copies: eight times the work.",
            rich_help_panel=MODEL,
        ),
    ] = False,
    motion: Annotated[
        MotionMode,
        typer.Option(
            help="Find the motion of each photo and undo it before the network runs, or not."
            " Videos: always off.",
            rich_help_panel=MODEL,
        ),
    ] = "auto",
    guard: Annotated[
        Guard,
        typer.Option(
            help="Where an answer cannot be right: mend it and say so, take it, or fail.",
            rich_help_panel=MODEL,
        ),
    ] = "on",
    device: Annotated[
        str,
        typer.Option(
            metavar="auto|cpu|cuda[:N]|mps",
            help="What computes; only auto looks for another.",
            rich_help_panel=ENGINE,
        ),
    ] = "auto",
    runtime: Annotated[
        str,
        typer.Option(
            metavar="auto|torch|onnx|openvino",
            help="The library; auto is the fastest.",
            rich_help_panel=ENGINE,
        ),
    ] = "auto",
    precision: Annotated[
        str,
        typer.Option(
            metavar="auto|fp32|bf16|fp16|int8",
            help="Of the numbers; auto is the fastest without a visible change.",
            rich_help_panel=ENGINE,
        ),
    ] = "auto",
    tile: Annotated[
        str,
        typer.Option(
            metavar="auto|N",
            help="Largest area of a tile: side of a square, pixels; auto is the model's.",
            rich_help_panel=ENGINE,
        ),
    ] = "auto",
    halo: Annotated[
        str,
        typer.Option(
            metavar="auto|N",
            help="Pixels that tiles overlap by, each; auto is the model's.",
            rich_help_panel=ENGINE,
        ),
    ] = "auto",
    tiles: Annotated[
        int,
        typer.Option("--batch", min=1, help="Tiles computed at a time.", rich_help_panel=ENGINE),
    ] = 1,
    codec: video.Codec = None,
    crf: video.Crf = None,
    preset: video.Preset = None,
    pix_fmt: video.PixFmt = None,
    audio: video.Sound = video.Audio.copy,
    start: video.Start = None,
    end: video.End = None,
    frames: video.Frames = None,
    every: video.Every = 1,
    all_frames: video.AllFrames = False,
    fps: video.Fps = 25.0,
    resume: Annotated[
        bool,
        typer.Option(
            help="Skip what the folder's journal says was done with these settings, and go on"
            " with videos where a run was interrupted.",
            rich_help_panel=RUN,
        ),
    ] = True,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Say what would be written where, no more.", rich_help_panel=RUN
        ),
    ] = False,
    fail_fast: Annotated[
        bool,
        typer.Option("--fail-fast", help="Stop at the first failure.", rich_help_panel=RUN),
    ] = False,
    json_lines: Annotated[
        bool,
        typer.Option(
            "--json",
            help="One JSON object a file on stdout, as it is done.",
            rich_help_panel=RUN,
        ),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print errors only.", rich_help_panel=RUN)
    ] = False,
) -> None:
    """Deblur photos and videos; - reads a photo from stdin and writes it to stdout.

    Inputs are never changed unless --in-place says so; depth, metadata, sound and timing are kept.
    """
    if quiet:
        be_quiet()
    from blurdm_cli.media.naming import Naming
    from blurdm_cli.zoo import DEFAULT

    suffix = None if format == "keep" else f".{format}"
    batch = Batch(
        inputs=inputs,
        output=output,
        search=search_for(recursive, include, exclude, videos=True),
        naming=Naming(name, suffix, Path(model or DEFAULT).stem, in_place),
        on_exists=on_exists,
        resume=resume,
        dry_run=dry_run,
        fail_fast=fail_fast,
        json_lines=json_lines,
    )
    photos = PhotoOptions(
        quality=_auto_or_number("quality", quality, 1, 100) or "auto",
        metadata=metadata,
        compare=compare,
        in_place=in_place,
        only_blurry=_threshold(only_blurry),
        dry_run=dry_run,
        fail_fast=fail_fast,
    )
    computing = Computing(
        model or DEFAULT,
        runtime=runtime,
        device=device,
        precision=precision,
        tile=_auto_or_number("tile", tile, 1, 2**16),
        halo=_auto_or_number("halo", halo, 0, 2**16),
        batch=tiles,
        steps=_auto_or_number("steps", steps, 1, 1000),
        seed=seed,
        strength=strength,
        tta=tta,
        motion=motion,
        guard=guard,
    )
    moving = video.VideoOptions.read(
        start=start,
        end=end,
        codec=codec,
        crf=crf,
        preset=preset,
        pix_fmt=pix_fmt,
        audio=audio,
        frames=frames,
        every=every,
        all_frames=all_frames,
        fps=fps,
        quality=photos.quality,
        metadata=metadata,
        resume=resume,
        in_place=in_place,
        on_exists=on_exists,
        dry_run=dry_run,
        fail_fast=fail_fast,
        unheeded=("--compare",) * compare + ("--only-blurry",) * (only_blurry is not None),
    )
    raise typer.Exit(deblur_batch(batch, computing, photos, moving))


def _auto_or_number(option: str, value: str, least: int, most: int) -> int | None:
    """The number that an option says, or None for "auto"."""
    if value == "auto":
        return None
    if value.isdecimal() and least <= int(value) <= most:
        return int(value)
    raise UsageError(
        f"--{option} cannot be {value!r}", hint=f"It is auto, or a number from {least} to {most}"
    )


def _threshold(value: str | None) -> float | None:
    """The blur score that --only-blurry asks for."""
    if value is None:
        return None
    if value == "auto":
        from blurdm_cli.media.score import BLURRED

        return BLURRED
    try:
        threshold = float(value)
    except ValueError:
        threshold = -1
    if 0 <= threshold <= 1:
        return threshold
    raise UsageError(
        f"--only-blurry cannot be {value!r}", hint="It is a blur score from 0 to 1: =0.6"
    )
