"""A run of `blurdm deblur`: inputs are gathered, places planned, journals held, files deblurred."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blurdm_cli import __version__
from blurdm_cli.commands.console import print_line, say, write_data
from blurdm_cli.commands.outcome import Outcome, announce, as_json, exit_code, summarise
from blurdm_cli.commands.photos import PhotoOptions, PhotoRun
from blurdm_cli.commands.video_options import VideoOptions
from blurdm_cli.commands.videos import VideoRun, named_one_by_one, pictures_job
from blurdm_cli.errors import InputError, OutputError, UsageError

if TYPE_CHECKING:
    from blurdm_cli.commands.places import Places
    from blurdm_cli.engine.candidates import MotionMode
    from blurdm_cli.engine.deblur import Deblurrer
    from blurdm_cli.engine.guard import Guard
    from blurdm_cli.media.inputs import Search
    from blurdm_cli.media.journal import Journal
    from blurdm_cli.media.naming import Job, Naming, OnExists

PIPE = "-"
"""What stdin and stdout are called."""


@dataclass(frozen=True)
class Batch:
    """Which files are deblurred, and where the results go."""

    inputs: Sequence[str]
    output: str | None
    search: Search
    naming: Naming
    on_exists: OnExists
    resume: bool
    dry_run: bool
    fail_fast: bool
    json_lines: bool
    alone: bool = False
    """Whether there is room for one result only: stdout."""


@dataclass(frozen=True)
class Computing:
    """What decides the pixels: the model, and how it is run."""

    model: str
    runtime: str
    device: str
    precision: str
    tile: int | None
    halo: int | None
    batch: int
    steps: int | None
    seed: int
    strength: float
    tta: bool
    motion: MotionMode
    guard: Guard

    def open(self) -> Deblurrer:
        """Open the model.

        Raises:
            UsageError: an option is out of its range, or the model takes other steps.
        """
        from blurdm_cli.engine.deblur import Deblurrer

        options = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "steps"}
        deblurrer = Deblurrer.open(**options)
        schedule = deblurrer.spec.prior.schedule
        own = len(schedule.alpha) - 1 if schedule else 0
        if self.steps not in (None, own):
            raise UsageError(
                f"{deblurrer.spec.name} is trained for {own} steps, and takes no other number",
                hint="Leave out --steps",
            )
        return deblurrer


def deblur_batch(
    batch: Batch, computing: Computing, photos: PhotoOptions, videos: VideoOptions
) -> int:
    """Deblur all files of a run, and tell of each; returns the exit code."""
    begin = time.monotonic()
    outcomes: list[Outcome] = []
    with _piped(batch, compare=photos.compare) as (batch, shown):
        jobs = _plan(batch)
        deblurrer = computing.open()
        facts = _facts(deblurrer)
        say(
            "{model} · {runtime} on {device} · {precision} · tiles of {tile} pixels".format(**facts)
        )

        def tell(outcome: Outcome) -> None:
            outcome = shown(outcome)
            outcomes.append(outcome)
            announce(outcome)
            if batch.json_lines:
                print_line(as_json(outcome, facts))

        def given_up() -> bool:
            return batch.fail_fast and exit_code(outcomes) != 0

        settings = _settings(computing, deblurrer, photos)
        with _journals(jobs, settings, batch.dry_run) as journals:
            still: list[Job] = []
            moving: list[Job] = []
            for job in jobs:
                (moving if _is_moving(job) else still).append(job)
            try:
                if still:
                    places = _places(batch, jobs, journals)
                    PhotoRun(deblurrer, photos, places, journals, tell)(still)
                if moving and not given_up():
                    settings = _settings(computing, deblurrer, videos)
                    journals = {home: journal.under(settings) for home, journal in journals.items()}
                    places = _places(batch, jobs, journals)
                    VideoRun(deblurrer, videos, places, journals, settings, tell)(moving)
            except KeyboardInterrupt:
                count = f"interrupted with {len(outcomes)} of {len(jobs)} files seen to"
                say(f"{count}; what was done is whole, and the same command goes on")
                raise
    summarise(outcomes, time.monotonic() - begin)
    return exit_code(outcomes)


def _is_moving(job: Job) -> bool:
    """Whether a job is one of videos: its input is, or it is numbered pictures for one."""
    from blurdm_cli.media.kinds import VIDEO, kind_of_file
    from blurdm_cli.media.sequence import is_sequence

    if job.input.is_file():
        return kind_of_file(job.input) == VIDEO
    return job.input.is_dir() or is_sequence(job.input)


def _places(batch: Batch, jobs: Sequence[Job], journals: Mapping[Path | None, Journal]) -> Places:
    from blurdm_cli.commands.places import Places

    return Places(
        jobs, journals, batch.on_exists, in_place=batch.naming.in_place, resume=batch.resume
    )


def _plan(batch: Batch) -> list[Job]:
    """Which files are deblurred, and where each result goes."""
    from blurdm_cli.media.inputs import gather
    from blurdm_cli.media.journal import Past
    from blurdm_cli.media.naming import plan_outputs

    output = batch.output
    if not batch.naming.in_place and (pictures := pictures_job(batch.inputs, output)):
        return [pictures]
    skip = Path(output) if output and Path(output).is_dir() else None
    past = Past()
    found = gather(named_one_by_one(batch.inputs), replace(batch.search, skip=skip))
    found = past.without_results(found)
    if batch.naming.in_place:
        found = past.at_home(found)
    jobs = plan_outputs(found, output, batch.naming)
    if not jobs:
        names = ", ".join(map(str, batch.inputs))
        raise InputError(
            f"There is no photo or video in {names}",
            hint="JPEG, PNG, WebP, TIFF, AVIF, BMP, GIF, HEIC and RAW are read, and videos",
        )
    if batch.alone and len(jobs) > 1:
        raise UsageError(
            f"stdout holds one photo, not {len(jobs)}", hint="Name a folder with --output"
        )
    return jobs


@contextmanager
def _piped(batch: Batch, *, compare: bool) -> Iterator[tuple[Batch, Callable[[Outcome], Outcome]]]:
    """Files in place of stdin and stdout, and outcomes with "-" in place of those files."""
    reads = PIPE in batch.inputs
    writes = batch.output == PIPE or (reads and batch.output is None)
    if not reads and not writes:
        yield batch, lambda outcome: outcome
        return
    _check_pipes(batch, writes, compare)
    results: list[str] = []
    with tempfile.TemporaryDirectory(prefix="blurdm-") as folder:
        if reads:
            batch = replace(batch, inputs=[str(_spooled(Path(folder)))])
        if writes:
            batch = replace(batch, output=str(Path(folder, "out")), alone=True)
        spooled = batch.inputs[0]

        def shown(outcome: Outcome) -> Outcome:
            sharp = outcome.input if outcome.reason == "not-blurred" else None
            if writes and (result := outcome.output or sharp):
                results.append(result)
            names = {spooled: PIPE} if reads else {}
            names |= {outcome.output: PIPE} if writes and outcome.output else {}
            said = outcome.message
            for path, name in names.items():
                said = said.replace(path, name)
            return replace(
                outcome,
                input=names.get(outcome.input, outcome.input),
                output=names.get(outcome.output or "", outcome.output),
                message=said,
            )

        yield batch, shown
        for path in filter(os.path.exists, results):
            write_data(Path(path))


def _check_pipes(batch: Batch, writes: bool, compare: bool) -> None:
    if len(batch.inputs) > 1 or os.path.isdir(batch.inputs[0]):
        raise UsageError("stdin and stdout hold one photo", hint="Name one input")
    if batch.naming.in_place:
        raise UsageError("stdin and stdout have no place", hint="Leave out --in-place")
    if writes and sys.stdout is None:
        raise OutputError("stdout is closed", hint="Name a file with --output")
    if writes and compare:
        raise UsageError(
            "stdout has no room for the picture that --compare writes",
            hint="Name a file with --output",
        )
    if writes and batch.json_lines:
        raise UsageError("--json and a photo both want stdout", hint="Name a file with --output")


def _spooled(folder: Path) -> Path:
    """All that comes from stdin, in a file."""
    from blurdm_cli.media.files import SUFFIX_OF
    from blurdm_cli.media.kinds import kind_of_file

    if sys.stdin is None:
        raise InputError("stdin is closed", hint="Name a file, or pipe one in")
    path = folder / "stdin"
    with path.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    suffix = SUFFIX_OF.get(kind_of_file(path) or "", "")
    return path.rename(path.with_suffix(suffix))


@contextmanager
def _journals(
    jobs: Sequence[Job], settings: str, dry_run: bool
) -> Iterator[dict[Path | None, Journal]]:
    """The journals of all folders that jobs name as their homes."""
    from blurdm_cli.media.journal import Journal, open_journal

    homes = sorted({job.home for job in jobs if job.home})
    with ExitStack() as stack:
        yield {
            home: Journal(home, settings)
            if dry_run
            else stack.enter_context(open_journal(home, settings))
            for home in homes
        }


def _facts(deblurrer: Deblurrer) -> dict[str, Any]:
    """What the files of a run are restored with."""
    used = deblurrer.runtime
    return {
        "model": deblurrer.spec.name,
        "runtime": used.name,
        "device": used.device,
        "precision": used.precision,
        "tile": deblurrer.tiles.side,
    }


def _settings(
    computing: Computing, deblurrer: Deblurrer, options: PhotoOptions | VideoOptions
) -> str:
    """A hash of all that decides what is written, but for the input."""
    from blurdm_cli.zoo import fingerprint

    facts = _facts(deblurrer)
    decides = {
        "version": __version__,
        "model": fingerprint(computing.model),
        "runtime": facts["runtime"],
        "precision": facts["precision"],
        "tile": deblurrer.tiles.side,
        "halo": deblurrer.tiles.halo,
        "seed": computing.seed,
        "strength": computing.strength,
        "tta": computing.tta,
        "motion": computing.motion,
        "guard": computing.guard,
        **options.decides(),
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
