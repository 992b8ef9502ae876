"""A run: gather inputs, plan destinations, hold journals, restore files."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from blurdm_cli.choices import OnExists
from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.engine.foreign import describe
from blurdm_cli.files.journal import Journal, open_journal
from blurdm_cli.files.naming import FileJob
from blurdm_cli.pipeline.destinations import Destinations
from blurdm_cli.pipeline.mirror import Mirror
from blurdm_cli.pipeline.object_journals import BucketJournal, FetchedJournal
from blurdm_cli.pipeline.options import ModelOptions, PhotoOptions, RunOptions, VideoOptions
from blurdm_cli.pipeline.outcome import Outcome, exit_code
from blurdm_cli.pipeline.photos import PhotoRun
from blurdm_cli.pipeline.planning import is_moving, plan_jobs
from blurdm_cli.pipeline.reporter import Reporter
from blurdm_cli.pipeline.run import Run
from blurdm_cli.version import __version__
from blurdm_cli.zoo import fingerprint


def deblur_files(
    run: RunOptions,
    model: ModelOptions,
    photos: PhotoOptions,
    videos: VideoOptions,
    reporter: Reporter,
    deblurrer: Deblurrer | None = None,
) -> list[Outcome]:
    """Restore all files of a run; an error in one file does not end the run.

    Args:
        run: which files, and where the results go.
        model: the model that restores them.
        photos: options for photos.
        videos: options for videos.
        reporter: receives the outcome of each file as it finishes. If it raises a `BlurdmError`
            while it shows progress, the current file fails.
        deblurrer: the model, if it is open already.

    Returns:
        The outcomes of all files, in the order they finished.

    Raises:
        BlurdmError: there is nothing to restore, the options contradict each other, or the model
            cannot be opened.
    """
    with Mirror() as mirror:
        run = mirror.translate(run)
        return _deblur(run, model, photos, videos, mirror.reporting(reporter), mirror, deblurrer)


def _deblur(
    run: RunOptions,
    model: ModelOptions,
    photos: PhotoOptions,
    videos: VideoOptions,
    reporter: Reporter,
    mirror: Mirror,
    deblurrer: Deblurrer | None,
) -> list[Outcome]:
    """Restore all files of a run whose URLs are paths already."""
    begin = time.monotonic()
    outcomes: list[Outcome] = []
    jobs = mirror.adopt(plan_jobs(run, mirror.exists), run.output)
    run = replace(run, on_exists=_policy(run, jobs))
    deblurrer = deblurrer or model.open()
    facts = _facts(deblurrer)
    reporter.say(
        "{model} · {runtime} on {device} · {precision} · tiles of {tile} pixels".format(**facts)
    )
    if deblurrer.spec.graph:
        reporter.say(describe(deblurrer.spec, deblurrer.tiles.size))

    def tell(outcome: Outcome) -> None:
        outcome = mirror.settle(outcome)
        outcomes.append(outcome)
        reporter.finished(outcome, facts)

    settings = _settings(model, deblurrer, photos.decides(run))
    still: list[FileJob] = []
    moving: list[FileJob] = []
    for job in jobs:
        (moving if is_moving(job) else still).append(job)
    with _journals(jobs, settings, run.dry_run, reporter, mirror) as journals:
        try:
            if still:
                destinations = _destinations(run, jobs, journals, mirror)
                shared = Run(deblurrer, run, destinations, journals, reporter, tell, mirror.fetch)
                PhotoRun(shared, photos)(still)
            if moving and not (run.fail_fast and exit_code(outcomes)):
                # not imported for photos alone: it loads FFmpeg
                from blurdm_cli.pipeline.videos import VideoRun

                if photos.given:
                    unheeded = " and ".join(photos.given)
                    reporter.warn(f"{unheeded}: for photos only, ignored for videos")
                settings = _settings(model, deblurrer, videos.decides(run))
                journals = {home: journal.under(settings) for home, journal in journals.items()}
                destinations = _destinations(run, jobs, journals, mirror)
                shared = Run(deblurrer, run, destinations, journals, reporter, tell, mirror.fetch)
                VideoRun(shared, videos, settings)(moving)
        except KeyboardInterrupt:
            count = f"interrupted after {len(outcomes)} of {len(jobs)} files"
            reporter.say(f"{count}; finished files are complete, and the same command continues")
            raise
    reporter.summary(outcomes, time.monotonic() - begin)
    return outcomes


def _policy(run: RunOptions, jobs: Sequence[FileJob]) -> OnExists:
    """Choose the policy for existing outputs; by default an output given by name is an error."""
    if run.on_exists:
        return run.on_exists
    named = run.output is not None and [job.output for job in jobs] == [Path(run.output)]
    return "error" if named else "skip"


def _destinations(
    run: RunOptions,
    jobs: Sequence[FileJob],
    journals: Mapping[Path | None, Journal],
    mirror: Mirror,
) -> Destinations:
    return Destinations(
        jobs,
        journals,
        run.on_exists or "skip",
        in_place=run.in_place,
        resume=run.resume,
        exists=mirror.exists,
    )


@contextmanager
def _journals(
    jobs: Sequence[FileJob], settings: str, dry_run: bool, reporter: Reporter, mirror: Mirror
) -> Iterator[dict[Path | None, Journal]]:
    """Open the journals of all folders that jobs name as their homes."""
    homes = sorted({job.home for job in jobs if job.home})
    make = partial(FetchedJournal, mirror=mirror)
    with ExitStack() as stack:
        yield {
            home: BucketJournal(home, settings, mirror, [job.output for job in jobs])
            if mirror.url_of(home)
            else make(home, settings)
            if dry_run
            else stack.enter_context(open_journal(home, settings, reporter.warn, make))
            for home in homes
        }


def _facts(deblurrer: Deblurrer) -> dict[str, Any]:
    """Facts about a run: model, runtime, device, precision and tile."""
    used = deblurrer.runtime
    return {
        "model": deblurrer.spec.name,
        "runtime": used.name,
        "device": used.device,
        "precision": used.precision,
        "tile": deblurrer.tiles.side,
    }


def _settings(model: ModelOptions, deblurrer: Deblurrer, options: Mapping[str, Any]) -> str:
    """A hash of everything that determines the output, except the input."""
    decides = {
        "version": __version__,
        "model": fingerprint(model.model),
        "runtime": deblurrer.runtime.name,
        "precision": deblurrer.runtime.precision,
        "tile": deblurrer.tiles.side,
        "halo": deblurrer.tiles.halo,
        **model.decides(),
        **options,
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
