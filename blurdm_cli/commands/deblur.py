"""blurdm deblur: photos in, sharper photos out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from blurdm_cli.commands.console import (
    be_quiet,
    hold_progress,
    print_json,
    report,
    say,
    warn,
)
from blurdm_cli.errors import BlurdmError, InputError, UsageError

if TYPE_CHECKING:
    from blurdm_cli.engine.deblur import Deblurrer
    from blurdm_cli.media.files import Job
    from blurdm_cli.media.image import Photo


class OnExists(StrEnum):
    """What to do where the output exists already."""

    skip = "skip"
    overwrite = "overwrite"
    rename = "rename"
    error = "error"


@dataclass(frozen=True)
class Outcome:
    """What became of one photo."""

    input: str
    output: str | None
    status: str
    """"done", "skipped" or "failed"."""
    exit_code: int = 0
    seconds: float = 0.0
    message: str = ""


@dataclass(frozen=True)
class Settings:
    """What is asked for beyond the model's own work."""

    on_exists: OnExists
    quality: Literal["auto"] | int
    compare: bool


def deblur(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT...", help="Photos, and folders of photos.")
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="File or folder (beside the input, as NAME.deblurred.EXT).",
            rich_help_panel="Output",
        ),
    ] = None,
    on_exists: Annotated[
        OnExists, typer.Option(help="Where the output exists already.", rich_help_panel="Output")
    ] = OnExists.skip,
    quality: Annotated[
        str,
        typer.Option(
            help="Of JPEG, WebP and AVIF: 1 to 100, or auto for the input's own.",
            rich_help_panel="Output",
        ),
    ] = "auto",
    compare: Annotated[
        bool,
        typer.Option(
            "--compare",
            help="Also write before and after side by side, as NAME.compare.EXT.",
            rich_help_panel="Output",
        ),
    ] = False,
    recursive: Annotated[
        bool, typer.Option(help="Take sub-folders too.", rich_help_panel="Output")
    ] = True,
    model: Annotated[
        str | None,
        typer.Option(
            help="A name from `blurdm models list` (its default), or the path of a folder.",
            rich_help_panel="Model",
        ),
    ] = None,
    strength: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="0 keeps the photo, 1 restores it.", rich_help_panel="Model"
        ),
    ] = 1.0,
    seed: Annotated[
        int,
        typer.Option(
            min=0, help="Of the noise the diffusion starts from.", rich_help_panel="Model"
        ),
    ] = 0,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel="Engine")
    ] = "auto",
    precision: Annotated[
        str, typer.Option(help="auto, fp32, bf16 or fp16.", rich_help_panel="Engine")
    ] = "auto",
    tile: Annotated[
        str,
        typer.Option(
            help="Side of a tile in pixels; auto is the model's.", rich_help_panel="Engine"
        ),
    ] = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="An array on stdout, one object a photo.")
    ] = False,
) -> None:
    """Deblur photos. The inputs are never changed; size, depth and metadata are kept."""
    if quiet:
        be_quiet()
    wanted = _auto_or_number("quality", quality, 1, 100)
    settings = Settings(on_exists, "auto" if wanted is None else wanted, compare)
    side = _auto_or_number("tile", tile, 1, 2**16)
    jobs = _plan(inputs, output, recursive)
    deblurrer = _open(model, device, precision, side, seed, strength)
    outcomes = []
    for number, job in enumerate(jobs, start=1):
        where = f"{number}/{len(jobs)} {job.input.name}" if len(jobs) > 1 else job.input.name
        with hold_progress(where) as advance:
            outcomes.append(
                _attempt(job, deblurrer, settings, lambda done, of: advance(done / of, ""))
            )
    if as_json:
        print_json([asdict(outcome) for outcome in outcomes])
    raise typer.Exit(_exit_code(outcomes))


def _plan(inputs: list[Path], output: str | None, recursive: bool) -> list[Job]:
    from blurdm_cli.media.files import gather_photos, plan_outputs

    photos = gather_photos(inputs, recursive, skip=Path(output) if output else None)
    if not photos:
        names = ", ".join(map(str, inputs))
        raise InputError(f"There is no photo in {names}", hint="JPEG, PNG, WebP, TIFF or AVIF")
    return plan_outputs(photos, output)


def _open(
    model: str | None, device: str, precision: str, tile: int | None, seed: int, strength: float
) -> Deblurrer:
    from blurdm_cli.engine.deblur import Deblurrer
    from blurdm_cli.zoo import DEFAULT

    deblurrer = Deblurrer.open(
        model or DEFAULT,
        device=device,
        precision=precision,
        tile=tile,
        seed=seed,
        strength=strength,
    )
    runtime = deblurrer.runtime
    say(
        f"{deblurrer.spec.name} · {runtime.name} on {runtime.device} · {runtime.precision}"
        f" · tiles of {deblurrer.tile} pixels"
    )
    return deblurrer


def _attempt(
    job: Job, deblurrer: Deblurrer, settings: Settings, advance: Callable[[int, int], None]
) -> Outcome:
    """Deblur one photo; an error is reported, and the others go on."""
    from blurdm_cli.media.files import settle

    try:
        target = settle(job.output, settings.on_exists.value)
        if target is None:
            say(f"skipped: {job.output} exists already; --on-exists overwrite replaces it")
            return Outcome(str(job.input), str(job.output), "skipped")
        begin = time.monotonic()
        height, width = _deblur_file(job.input, target, deblurrer, settings, advance)
        seconds = time.monotonic() - begin
    except BlurdmError as error:
        code = report(error, about="" if str(job.input) in str(error) else str(job.input))
        return Outcome(str(job.input), None, "failed", code, message=str(error))
    say(f"{job.input} -> {target}  {width} x {height}  {seconds:.1f} s")
    return Outcome(str(job.input), str(target), "done", seconds=round(seconds, 3))


def _deblur_file(
    source: Path,
    target: Path,
    deblurrer: Deblurrer,
    settings: Settings,
    advance: Callable[[int, int], None],
) -> tuple[int, int]:
    """Read, deblur and write one photo; returns its height and width."""
    from blurdm_cli.media.image import read_photo, write_photo

    photo = read_photo(source)
    blurred = photo.rgb()
    restored = deblurrer(blurred, advance)
    result = photo.with_rgb(restored)
    notes = [*photo.notes, *write_photo(result, target, quality=settings.quality)]
    for note in notes:
        warn(f"{source.name}: {note}")
    if settings.compare:
        _write_comparison(photo, result, target)
    return blurred.shape[0], blurred.shape[1]


def _auto_or_number(option: str, value: str, least: int, most: int) -> int | None:
    """The number that an option says, or None for "auto"."""
    if value == "auto":
        return None
    if value.isdecimal() and least <= int(value) <= most:
        return int(value)
    raise UsageError(
        f"--{option} cannot be {value!r}", hint=f"It is auto, or a number from {least} to {most}"
    )


def _write_comparison(photo: Photo, result: Photo, target: Path) -> None:
    """Write before and after as one picture: side by side, or one above the other if wide."""
    import numpy as np

    from blurdm_cli.media.image import write_photo

    height, width = photo.pixels.shape[:2]
    axis = 0 if width > 2 * height else 1
    alpha = None if photo.alpha is None else np.concatenate([photo.alpha, result.alpha], axis)
    both = replace(result, pixels=np.concatenate([photo.pixels, result.pixels], axis), alpha=alpha)
    write_photo(both, target.with_name(f"{target.stem}.compare{target.suffix}"))


def _exit_code(outcomes: list[Outcome]) -> int:
    """0, or the single photo's own code, or 4 for some failed, 5 for all."""
    failed = [outcome.exit_code for outcome in outcomes if outcome.status == "failed"]
    if not failed:
        return 0
    if len(outcomes) == 1:
        return failed[0]
    return 5 if len(failed) == len(outcomes) else 4
