"""blurdm motion: how the camera moved, drawn over the photo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from blurdm_cli.commands.console import hold_progress, print_line, say, visible
from blurdm_cli.commands.options import (
    Exclude,
    Include,
    Inputs,
    Recursive,
    check_output,
    search_for,
)
from blurdm_cli.commands.report import announce
from blurdm_cli.errors import BlurdmError, InputError, UsageError
from blurdm_cli.pipeline.outcome import SCHEMA, Outcome, exit_code, failed

if TYPE_CHECKING:
    from blurdm_cli.motion.found import Motion
    from blurdm_cli.motion.regions import Region
    from blurdm_cli.photo.photo import Photo


def motion(
    inputs: Inputs,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Draw the path over the photo and write it here; a folder for several photos.",
            show_default="none is drawn",
        ),
    ] = None,
    recursive: Recursive = True,
    include: Include = None,
    exclude: Exclude = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace outputs that exist.")
    ] = False,
    json_lines: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per photo to stdout.")
    ] = False,
) -> None:
    """Estimate how the camera moved during the exposure. No model is needed.

    Lengths are in pixels, directions in degrees: 0 is horizontal, 90 is vertical. For a photo
    out of focus, the length is the diameter of the disc that each point becomes.
    """
    from blurdm_cli.files.inputs import gather

    search = search_for(recursive, include, exclude, videos=False)
    paths = [path for path, _ in gather(inputs, search)]
    if not paths:
        raise InputError(f"There is no photo in {', '.join(inputs)}", hint="Check the folder")
    pictures = _pictures(paths, output)
    for picture in pictures.values():
        check_output(picture, paths, overwrite, instead="--output")
    outcomes: list[Outcome] = []
    with hold_progress("") as advance:
        for number, path in enumerate(paths):
            advance(number / len(paths), f"{number + 1}/{len(paths)} {path.name}")
            outcomes.append(_look(path, pictures.get(path), json_lines))
    raise typer.Exit(exit_code(outcomes))


def _look(path: Path, picture: Path | None, json_lines: bool) -> Outcome:
    """Find the motion of one photo, print it, and draw it if a picture is wanted."""
    from blurdm_cli.machine import available_cores
    from blurdm_cli.motion.estimation import find_motion
    from blurdm_cli.motion.regions import regions
    from blurdm_cli.photo.photo import read_photo

    try:
        photo = read_photo(path)
        pixels = photo.rgb()
        found = find_motion(pixels, available_cores())
        parts = regions(pixels, found, available_cores())
        if picture:
            _draw(photo, found, parts, picture)
    except BlurdmError as error:
        outcome = failed(path, error)
        announce(outcome)
        return outcome
    if json_lines:
        print_line(json.dumps(_row(path, found, parts, picture), ensure_ascii=False))
    else:
        print_line(_line(path, found))
    if picture:
        say(f"{path.name} -> {picture}")
    height, width = pixels.shape[:2]
    return Outcome(str(path), str(picture) if picture else None, "done", size=(height, width))


def _draw(photo: Photo, found: Motion, parts: list[Region], picture: Path) -> None:
    """Write the picture of a photo's motion."""
    from dataclasses import replace

    from blurdm_cli.motion.regions import draw
    from blurdm_cli.photo.comparison import viewed
    from blurdm_cli.photo.photo import write_photo

    drawn = draw(viewed(photo), found, parts)
    write_photo(replace(photo, pixels=drawn, alpha=None), picture)


def _line(path: Path, found: Motion) -> str:
    best, name = found.best, visible(str(path))
    if best.kernel.size == 1:
        return f"no motion found                         {name}"
    way = "out of focus" if best.direction is None else f"{best.direction:4.0f} degrees"
    return f"{best.length:5.0f} px  {way:12}  confidence {best.confidence:.2f}  {name}"


def _row(path: Path, found: Motion, parts: list[Region], picture: Path | None) -> dict[str, Any]:

    from blurdm_cli.motion.regions import as_row

    output = str(picture) if picture else None
    row = {"schema": SCHEMA, "input": str(path), "status": "done", "output": output}
    return row | as_row(found, parts)


def _pictures(paths: list[Path], output: Path | None) -> dict[Path, Path]:
    """Choose the picture's path for each photo; empty if none is wanted."""
    if output is None:
        return {}
    if len(paths) == 1 and not output.is_dir():
        if not output.suffix:
            raise UsageError(
                f"{output} has no suffix", hint="Name a picture such as path.png, or a folder"
            )
        return {paths[0]: output}
    if output.suffix and not output.is_dir():
        raise UsageError(
            f"{output} is one picture for {len(paths)} photos", hint="Name a folder: --output DIR"
        )
    names = [f"{path.stem}.motion.png" for path in paths]
    if len(set(names)) < len(names):
        names = [f"{path.name}.motion.png" for path in paths]
    return {path: output / name for path, name in zip(paths, names, strict=True)}
