"""blurdm watch: deblur what arrives in a folder."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Annotated

import typer

from blurdm_cli.commands import deblur_options as options
from blurdm_cli.commands.console import be_quiet, say, warn
from blurdm_cli.commands.options import Exclude, Include, Recursive, auto_or_number, search_for
from blurdm_cli.commands.report import ConsoleReporter

POLL = 10.0
"""Seconds between scans of a network drive."""


def watch(
    folder: Annotated[Path, typer.Argument(help="Folder to watch.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the results.")],
    recursive: Recursive = True,
    include: Include = None,
    exclude: Exclude = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="TEMPLATE",
            help="File name template with {stem}, {ext}, {parent} and {model}.",
            show_default="{stem}{ext}",
        ),
    ] = None,
    format: options.OutputFormat = "keep",
    quality: options.Quality = "auto",
    metadata: options.Metadata = "keep",
    model: options.Model = None,
    expert: options.Expert = None,
    strength: options.Strength = 1.0,
    motion: options.Motion = "auto",
    guard: options.GuardMode = "on",
    device: options.Device = "auto",
    runtime: options.Runtime = "auto",
    precision: options.Precision = "auto",
    settle: Annotated[
        float,
        typer.Option(min=0, help="Seconds without a change after which a file is complete."),
    ] = 2.0,
    poll: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            metavar="SECONDS",
            help="Scan the folder this often instead of waiting for reports of the system.",
            show_default="10 on network drives",
        ),
    ] = None,
    json_lines: options.JsonLines = False,
    quiet: options.Quiet = False,
) -> None:
    """Deblur the photos and videos of a folder, and all that arrive later.

    Files are never changed, and each is done once: a restart continues where it ended, also if
    results were moved elsewhere. Ctrl-C ends it.

    \b
    blurdm watch incoming/ -o sharp/
    blurdm watch /mnt/nas/incoming -o sharp/ --poll 30
    """  # noqa: D301  # Click looks for this control character
    if quiet:
        be_quiet()
    from blurdm_cli.files.naming import Naming
    from blurdm_cli.pipeline.options import ModelOptions, PhotoOptions, RunOptions, VideoOptions
    from blurdm_cli.pipeline.watching import Watching, is_network, watch_folder
    from blurdm_cli.zoo import DEFAULT

    if poll is None and is_network(folder):
        warn(f"{folder} is on a network drive: it is scanned every {POLL:.0f} s; see --poll")
        poll = POLL
    suffix = None if format == "keep" else f".{format}"
    run = RunOptions(
        output=str(output),
        search=search_for(recursive, include, exclude, videos=True),
        naming=Naming(name, suffix, Path(model or DEFAULT).stem),
        quality=auto_or_number("quality", quality, 1, 100) or "auto",
        metadata=metadata,
    )
    restoring = ModelOptions(
        model or DEFAULT,
        runtime=runtime,
        device=device,
        precision=precision,
        strength=strength,
        motion=motion,
        guard=guard,
        expert=expert,
    )
    models = " and ".join(filter(None, (model or DEFAULT, expert)))
    say(f"watching {folder} with {models}; Ctrl-C ends it")
    reporter = ConsoleReporter(json_lines=json_lines)
    watching = Watching(folder, settle, poll)
    watch_folder(watching, run, restoring, PhotoOptions(), VideoOptions(), reporter, Event())
