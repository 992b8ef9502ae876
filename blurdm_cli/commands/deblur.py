"""blurdm deblur: photos in, sharper photos out."""

from __future__ import annotations

import time
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
    from concurrent.futures import Future

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
    """Spent on reading, restoring and writing it."""
    message: str = ""
    hint: str = ""
    size: tuple[int, int] | None = None
    """Height and width in pixels."""
    notes: tuple[str, ...] = ()
    """What could not be kept, a line each."""


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
            help="A name from `blurdm models list` (its default), or the path of a folder or"
            " of a graph.",
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
    runtime: Annotated[
        str,
        typer.Option(help="auto (the fastest), torch, onnx or openvino.", rich_help_panel="Engine"),
    ] = "auto",
    precision: Annotated[
        str, typer.Option(help="auto, fp32, bf16, fp16 or int8.", rich_help_panel="Engine")
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
    from blurdm_cli.engine.deblur import Deblurrer
    from blurdm_cli.zoo import DEFAULT

    jobs = _plan(inputs, output, recursive)
    deblurrer = Deblurrer.open(
        model or DEFAULT,
        runtime=runtime,
        device=device,
        precision=precision,
        tile=side,
        seed=seed,
        strength=strength,
    )
    used = deblurrer.runtime
    say(
        f"{deblurrer.spec.name} · {used.name} on {used.device} · {used.precision}"
        f" · tiles of {deblurrer.tile} pixels"
    )
    outcomes = _deblur_all(jobs, deblurrer, settings)
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


def _deblur_all(jobs: list[Job], deblurrer: Deblurrer, settings: Settings) -> list[Outcome]:
    """Deblur photo by photo; meanwhile the next one is read and the last one written.

    No more than three photos are in memory. An error is reported, and the others go on.
    """
    from concurrent.futures import ThreadPoolExecutor

    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        coming = reader.submit(_read, jobs[0], settings)
        going: Future[Outcome] | None = None
        for number, job in enumerate(jobs, start=1):
            work = coming.result()
            if number < len(jobs):
                coming = reader.submit(_read, jobs[number], settings)
            where = f"{number}/{len(jobs)} {job.input.name}" if len(jobs) > 1 else job.input.name
            if isinstance(work, Work):
                work = _restore(work, deblurrer, where)
            if going:
                outcomes.append(_announce(going.result()))
            going = writer.submit(_write, work, settings)
        if going:
            outcomes.append(_announce(going.result()))
    return outcomes


@dataclass(frozen=True)
class Work:
    """A photo on its way."""

    job: Job
    target: Path
    photo: Photo
    result: Photo
    """The same as `photo` until it is restored."""
    seconds: float = 0.0


def _read(job: Job, settings: Settings) -> Work | Outcome:
    """Read a photo, if there is something to do for it."""
    from blurdm_cli.media.files import settle
    from blurdm_cli.media.image import read_photo

    begin = time.monotonic()
    try:
        target = settle(job.output, settings.on_exists.value)
        if target is None:
            return Outcome(str(job.input), str(job.output), "skipped")
        photo = read_photo(job.input)
    except BlurdmError as error:
        return _failed(job, error)
    return Work(job, target, photo, photo, time.monotonic() - begin)


def _restore(work: Work, deblurrer: Deblurrer, where: str) -> Work | Outcome:
    begin = time.monotonic()
    try:
        with hold_progress(where) as advance:
            restored = deblurrer(work.photo.rgb(), lambda done, of: advance(done / of, ""))
    except BlurdmError as error:
        return _failed(work.job, error)
    result = work.photo.with_rgb(restored)
    return replace(work, result=result, seconds=work.seconds + time.monotonic() - begin)


def _write(work: Work | Outcome, settings: Settings) -> Outcome:
    from blurdm_cli.media.image import write_photo

    if isinstance(work, Outcome):
        return work
    begin = time.monotonic()
    source, target, photo = work.job.input, work.target, work.photo
    try:
        notes = [*photo.notes, *write_photo(work.result, target, quality=settings.quality)]
        if settings.compare:
            _write_comparison(photo, work.result, target)
    except BlurdmError as error:
        return _failed(work.job, error)
    height, width = photo.pixels.shape[:2]
    seconds = round(work.seconds + time.monotonic() - begin, 3)
    return Outcome(
        str(source), str(target), "done", seconds=seconds, size=(height, width), notes=tuple(notes)
    )


def _failed(job: Job, error: BlurdmError) -> Outcome:
    said = Outcome(str(job.input), None, "failed", error.exit_code, message=str(error))
    return replace(said, hint=error.hint or "")


def _announce(outcome: Outcome) -> Outcome:
    """Tell the user what became of a photo."""
    for note in outcome.notes:
        warn(f"{Path(outcome.input).name}: {note}")
    if outcome.status == "skipped":
        say(f"skipped: {outcome.output} exists already; --on-exists overwrite replaces it")
    elif outcome.status == "failed":
        error = BlurdmError(outcome.message, hint=outcome.hint or None)
        report(error, about="" if outcome.input in outcome.message else outcome.input)
    elif outcome.size:
        height, width = outcome.size
        size = f"{width} x {height}"
        say(f"{outcome.input} -> {outcome.output}  {size}  {outcome.seconds:.1f} s")
    return outcome


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
