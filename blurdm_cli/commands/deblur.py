"""blurdm deblur: remove motion blur from photos and videos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from blurdm_cli.choices import Audio, Format, Guard, Keep, MotionMode, OnExists
from blurdm_cli.commands import video_options as video
from blurdm_cli.commands.console import be_quiet
from blurdm_cli.commands.options import (
    INPUTS,
    Exclude,
    Include,
    Inputs,
    Recursive,
    auto_or_number,
    search_for,
)
from blurdm_cli.commands.pipes import piped
from blurdm_cli.commands.report import ConsoleReporter
from blurdm_cli.errors import UsageError

OUTPUT, MODEL, ENGINE, RUN = "Output", "Model", "Engine", "Run"


def deblur(
    inputs: Inputs,
    recursive: Recursive = True,
    include: Include = None,
    exclude: Exclude = None,
    only_blurry: Annotated[
        bool,
        typer.Option("--only-blurry", help="Skip sharp photos.", rich_help_panel=INPUTS),
    ] = False,
    blur_threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="--only-blurry skips photos with a score up to this: 0 is sharp, 1 is blurred.",
            show_default="0.6",
            rich_help_panel=INPUTS,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="Output file, folder, or - for stdout.",
            show_default="beside the input",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="TEMPLATE",
            help="File name template with {stem}, {ext}, {parent}, {index} and {model}.",
            show_default="{stem}{ext}; beside the input {stem}.deblurred{ext}",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    on_exists: Annotated[
        OnExists | None,
        typer.Option(
            help="What to do if the output exists and is not an earlier result of this input.",
            show_default="skip; for --output FILE, error",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Same as --on-exists overwrite.", rich_help_panel=OUTPUT),
    ] = False,
    in_place: Annotated[
        bool,
        typer.Option(
            "--in-place",
            help="Overwrite inputs. Originals are kept as NAME.EXT.orig.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    format: Annotated[Format, typer.Option(help="Output format.", rich_help_panel=OUTPUT)] = "keep",
    quality: Annotated[
        str,
        typer.Option(
            metavar="auto|N",
            help="Quality of JPEG, WebP and AVIF, 1 to 100. auto keeps the input's quality if it"
            " was 90 or better, else 95.",
            rich_help_panel=OUTPUT,
        ),
    ] = "auto",
    metadata: Annotated[
        Keep,
        typer.Option(
            help="Which metadata to keep: all, none, or all without GPS coordinates.",
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
            help="A name from `blurdm models list`, or the path of a model folder or ONNX graph.",
            show_default="the list's default",
            rich_help_panel=MODEL,
        ),
    ] = None,
    strength: Annotated[
        float,
        typer.Option(min=0, max=1, help="Mix of input (0) and result (1).", rich_help_panel=MODEL),
    ] = 1.0,
    seed: Annotated[
        int,
        typer.Option(min=0, help="Seed for the diffusion noise.", rich_help_panel=MODEL),
    ] = 0,
    steps: Annotated[
        str,
        typer.Option(
            metavar="auto|N",
            help="Number of diffusion steps: the number that the model was trained with.",
            rich_help_panel=MODEL,
        ),
    ] = "auto",
    tta: Annotated[
        bool,
        typer.Option(
            "--tta",
            help="Average over eight flips and rotations of each tile. Takes eight times as long.",
            rich_help_panel=MODEL,
        ),
    ] = False,
    motion: Annotated[
        MotionMode,
        typer.Option(
            help="Estimate the motion of each photo and undo it before the network runs."
            " Always off for videos.",
            rich_help_panel=MODEL,
        ),
    ] = "auto",
    guard: Annotated[
        Guard,
        typer.Option(
            help="If a result looks wrong: on repairs it and warns, off keeps it, strict fails.",
            rich_help_panel=MODEL,
        ),
    ] = "on",
    device: Annotated[
        str,
        typer.Option(
            metavar="auto|cpu|cuda[:N]|mps",
            help="Device to run on. Only auto falls back to another.",
            rich_help_panel=ENGINE,
        ),
    ] = "auto",
    runtime: Annotated[
        str,
        typer.Option(
            metavar="auto|torch|onnx|openvino",
            help="Inference library. auto picks the fastest.",
            rich_help_panel=ENGINE,
        ),
    ] = "auto",
    precision: Annotated[
        str,
        typer.Option(
            metavar="auto|fp32|bf16|fp16|int8",
            help="Numeric precision. auto picks the fastest with no visible difference.",
            rich_help_panel=ENGINE,
        ),
    ] = "auto",
    tile: Annotated[
        str,
        typer.Option(
            metavar="auto|N",
            help="Largest tile, as the side of a square in pixels. auto takes the model's.",
            rich_help_panel=ENGINE,
        ),
    ] = "auto",
    halo: Annotated[
        str,
        typer.Option(
            metavar="auto|N",
            help="Overlap of tiles on each side, in pixels. auto takes the model's.",
            rich_help_panel=ENGINE,
        ),
    ] = "auto",
    tiles: Annotated[
        int,
        typer.Option("--batch", min=1, help="Tiles per batch.", rich_help_panel=ENGINE),
    ] = 1,
    codec: video.Codec = None,
    crf: video.Crf = None,
    preset: video.Preset = None,
    pix_fmt: video.PixFmt = None,
    audio: video.Sound = Audio.copy,
    start: video.Start = None,
    end: video.End = None,
    frames: video.Frames = None,
    every: video.Every = 1,
    all_frames: video.AllFrames = False,
    fps: video.Fps = 25.0,
    resume: Annotated[
        bool,
        typer.Option(
            help="Skip files that an earlier run finished with these settings, and continue"
            " interrupted videos.",
            rich_help_panel=RUN,
        ),
    ] = True,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Print what would be written, and write nothing.", rich_help_panel=RUN
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
            help="Print one JSON object per file to stdout.",
            rich_help_panel=RUN,
        ),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print errors only.", rich_help_panel=RUN)
    ] = False,
) -> None:
    """Deblur photos and videos. "-" reads a photo from stdin and writes it to stdout.

    Inputs are never changed without --in-place. Bit depth, metadata, sound and timing are kept.

    \b
    blurdm deblur photo.jpg                       writes photo.deblurred.jpg
    blurdm deblur photo.jpg -o sharp.png          another name and format
    blurdm deblur holiday/ -o sharp/              a folder, with its sub-folders
    blurdm deblur clip.mp4 -o sharp.mp4           a video, with its sound
    """  # noqa: D301  # Click looks for this control character
    if quiet:
        be_quiet()
    from blurdm_cli.files.naming import Naming
    from blurdm_cli.pipeline.batch import deblur_files
    from blurdm_cli.pipeline.options import ModelOptions, PhotoOptions, RunOptions, VideoOptions
    from blurdm_cli.pipeline.outcome import exit_code
    from blurdm_cli.zoo import DEFAULT

    suffix = None if format == "keep" else f".{format}"
    run = RunOptions(
        inputs=inputs,
        output=output,
        search=search_for(recursive, include, exclude, videos=True),
        naming=Naming(name, suffix, Path(model or DEFAULT).stem, in_place),
        on_exists=_policy(on_exists, overwrite),
        quality=auto_or_number("quality", quality, 1, 100) or "auto",
        metadata=metadata,
        resume=resume,
        dry_run=dry_run,
        fail_fast=fail_fast,
    )
    restoring = ModelOptions(
        model or DEFAULT,
        runtime=runtime,
        device=device,
        precision=precision,
        tile=auto_or_number("tile", tile, 1, 2**16),
        halo=auto_or_number("halo", halo, 0, 2**16),
        batch=tiles,
        steps=auto_or_number("steps", steps, 1, 1000),
        seed=seed,
        strength=strength,
        tta=tta,
        motion=motion,
        guard=guard,
    )
    photos = PhotoOptions(compare, _threshold(only_blurry, blur_threshold))
    videos = VideoOptions.read(
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
    )
    with piped(run, compare=compare, json_lines=json_lines) as (run, shown):
        reporter = ConsoleReporter(json_lines=json_lines, shown=shown)
        outcomes = deblur_files(run, restoring, photos, videos, reporter)
    raise typer.Exit(exit_code(outcomes))


def _policy(on_exists: OnExists | None, overwrite: bool) -> OnExists | None:
    """Policy for existing outputs; None if neither option is given."""
    if overwrite and on_exists not in (None, "overwrite"):
        raise UsageError(
            f"--overwrite contradicts --on-exists {on_exists}", hint="Leave out one of them"
        )
    return "overwrite" if overwrite else on_exists


def _threshold(only_blurry: bool, threshold: float | None) -> float | None:
    """The blur score up to which photos are skipped; None to skip none."""
    from blurdm_cli.photo.blur_score import BLURRED

    if only_blurry:
        return BLURRED if threshold is None else threshold
    if threshold is not None:
        raise UsageError("--blur-threshold needs --only-blurry", hint="Add --only-blurry")
    return None
