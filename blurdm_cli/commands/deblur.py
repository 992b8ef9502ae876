"""blurdm deblur: remove motion blur from photos and videos."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import typer

from blurdm_cli.choices import Audio, OnExists
from blurdm_cli.commands import deblur_options as options
from blurdm_cli.commands import video_options as video
from blurdm_cli.commands.console import be_quiet
from blurdm_cli.commands.ending import allow_for_ending
from blurdm_cli.commands.options import (
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

GRACE_OF_CLUSTER = 5.0
"""Seconds that an interrupted run has to end the processes of a cluster."""


def deblur(
    inputs: Inputs,
    recursive: Recursive = True,
    include: Include = None,
    exclude: Exclude = None,
    only_blurry: options.OnlyBlurry = False,
    blur_threshold: options.BlurThreshold = None,
    output: options.Output = None,
    name: options.Name = None,
    on_exists: options.Existing = None,
    overwrite: options.Overwrite = False,
    in_place: options.InPlace = False,
    format: options.OutputFormat = "keep",
    quality: options.Quality = "auto",
    metadata: options.Metadata = "keep",
    compare: options.Compare = False,
    model: options.Model = None,
    expert: options.Expert = None,
    strength: options.Strength = 1.0,
    seed: options.Seed = 0,
    steps: options.Steps = "auto",
    tta: options.Tta = False,
    motion: options.Motion = "auto",
    guard: options.GuardMode = "on",
    device: options.Devices = "auto",
    runtime: options.Runtime = "auto",
    precision: options.Precision = "auto",
    tile: options.Tile = "auto",
    halo: options.Halo = "auto",
    tiles: options.Batch = 1,
    cluster: options.Cluster = None,
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
    resume: options.Resume = True,
    dry_run: options.DryRun = False,
    fail_fast: options.FailFast = False,
    json_lines: options.JsonLines = False,
    quiet: options.Quiet = False,
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
        expert=expert,
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
        pool = None
        if cluster:
            from blurdm_cli.cluster.connection import open_cluster

            allow_for_ending(GRACE_OF_CLUSTER)
            pool = partial(open_cluster, cluster, reporter.warn)
        outcomes = deblur_files(run, restoring, photos, videos, reporter, open_pool=pool)
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
