"""A run: gather inputs, plan destinations, hold journals, restore files."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from blurdm_cli.choices import OnExists
from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.engine.devices import list_devices
from blurdm_cli.files.inputs import Search
from blurdm_cli.files.journal import Journal, open_journal
from blurdm_cli.files.naming import FileJob
from blurdm_cli.pipeline.cards import Cards
from blurdm_cli.pipeline.destinations import Destinations
from blurdm_cli.pipeline.mirror import Mirror
from blurdm_cli.pipeline.object_journals import BucketJournal, FetchedJournal
from blurdm_cli.pipeline.opened import Opened
from blurdm_cli.pipeline.options import ModelOptions, PhotoOptions, RunOptions, VideoOptions
from blurdm_cli.pipeline.outcome import Outcome, exit_code
from blurdm_cli.pipeline.photos import PhotoRun
from blurdm_cli.pipeline.planning import is_moving, plan_jobs
from blurdm_cli.pipeline.pool import Pool
from blurdm_cli.pipeline.reporter import Reporter
from blurdm_cli.pipeline.run import Run
from blurdm_cli.pipeline.shared_files import Group
from blurdm_cli.pipeline.sharing import SharedRun
from blurdm_cli.pipeline.worker import WorkerOptions
from blurdm_cli.version import __version__
from blurdm_cli.zoo import fingerprint

OpenPool = Callable[[ModelOptions, WorkerOptions], AbstractContextManager[Pool]]
"""Opens the model for workers that share the files of a run."""


def deblur_files(
    run: RunOptions,
    model: ModelOptions,
    photos: PhotoOptions,
    videos: VideoOptions,
    reporter: Reporter,
    deblurrer: Deblurrer | None = None,
    open_pool: OpenPool | None = None,
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
        open_pool: opens the model for workers that share the files; None: in this process, on
            each device that `model` names.

    Returns:
        The outcomes of all files, in the order they finished.

    Raises:
        BlurdmError: there is nothing to restore, the options contradict each other, or the model
            cannot be opened.
    """
    with Mirror() as mirror:
        run = mirror.translate(run)
        reporter = mirror.reporting(reporter)
        return _deblur(run, model, photos, videos, reporter, mirror, deblurrer, open_pool)


def _deblur(
    run: RunOptions,
    model: ModelOptions,
    photos: PhotoOptions,
    videos: VideoOptions,
    reporter: Reporter,
    mirror: Mirror,
    deblurrer: Deblurrer | None,
    open_pool: OpenPool | None,
) -> list[Outcome]:
    """Restore all files of a run whose URLs are paths already."""
    begin = time.monotonic()
    outcomes: list[Outcome] = []
    jobs = mirror.adopt(plan_jobs(run, mirror.exists), run.output)
    run = replace(run, on_exists=_policy(run, jobs))
    known = replace(run, inputs=(), found=None, search=Search())
    options = WorkerOptions(known, photos, videos)
    if not (open_pool or deblurrer) and (devices := list_devices(model.device)) != [model.device]:
        open_pool = partial(Cards, devices)
    with ExitStack() as stack:
        way: Pool | Deblurrer
        if open_pool:
            way = stack.enter_context(open_pool(model, options))
            opened = way.opened
        else:
            way = deblurrer or model.open()
            opened = Opened.of(way)
        _introduce(opened, reporter)

        alone = replace(model, expert=None), replace(opened, expert=None)  # no expert in videos
        facts = {"photo": opened.facts(), "video": alone[1].facts()}

        def tell(outcome: Outcome) -> None:
            outcome = mirror.settle(outcome)
            outcomes.append(outcome)
            reporter.finished(outcome, facts[outcome.kind])

        settings = {
            False: _settings(model, opened, photos.decides(run)),
            True: _settings(*alone, videos.decides(run)),
        }
        journals = stack.enter_context(
            _journals(jobs, settings[False], run.dry_run, reporter, mirror)
        )
        groups = _groups(jobs, run, settings, journals, mirror)
        unheeded = photos.given + (["--expert"] if model.expert else [])
        if unheeded and groups[-1].moving:
            reporter.warn(f"{' and '.join(unheeded)}: for photos only, ignored for videos")
        try:
            if isinstance(way, Deblurrer):
                _restore(way, groups, options, reporter, tell, mirror, outcomes)
            else:
                way.check(*_to_reach(jobs, run, mirror))
                SharedRun(way, options, reporter, tell, mirror)(groups)
        except KeyboardInterrupt:
            count = f"interrupted after {len(outcomes)} of {len(jobs)} files"
            reporter.say(f"{count}; finished files are complete, and the same command continues")
            raise
    reporter.summary(outcomes, time.monotonic() - begin)
    return outcomes


def _introduce(opened: Opened, reporter: Reporter) -> None:
    words = "{model} · {runtime} on {device} · {precision} · tiles of {tile} pixels"
    reporter.say(words.format(**opened.facts()))
    if opened.graph:
        reporter.say(opened.graph)
    if opened.expert:
        reporter.say(f"expert {words.format(**opened.expert.facts())}")


def _restore(
    deblurrer: Deblurrer,
    groups: Sequence[Group],
    options: WorkerOptions,
    reporter: Reporter,
    tell: Callable[[Outcome], None],
    mirror: Mirror,
    outcomes: Sequence[Outcome],
) -> None:
    """Restore all files in this process; `outcomes` are those that `tell` was called with."""
    for group in groups:
        shared = Run(
            deblurrer, options.run, group.places, group.journals, reporter, tell, mirror.fetch
        )
        if not group.moving:
            PhotoRun(shared, options.photos)(group.jobs)
        elif not (options.run.fail_fast and exit_code(outcomes)):
            # not imported for photos alone: it loads FFmpeg
            from blurdm_cli.pipeline.videos import VideoRun

            VideoRun(shared, options.videos, group.settings)(group.jobs)


def _policy(run: RunOptions, jobs: Sequence[FileJob]) -> OnExists:
    """Choose the policy for existing outputs; by default an output given by name is an error."""
    if run.on_exists:
        return run.on_exists
    named = run.output is not None and [job.output for job in jobs] == [Path(run.output)]
    return "error" if named else "skip"


def _groups(
    jobs: Sequence[FileJob],
    run: RunOptions,
    settings: Mapping[bool, str],
    journals: Mapping[Path | None, Journal],
    mirror: Mirror,
) -> list[Group]:
    """The photos, and then the videos; either may be missing.

    Args:
        jobs: the files; there is one at least.
        run: which files, and where the results go.
        settings: of videos under True, and of photos under False.
        journals: by the folder that a job names as its home.
        mirror: knows which objects exist.
    """
    kinds: dict[bool, list[FileJob]] = {False: [], True: []}
    for job in jobs:
        kinds[is_moving(job)].append(job)
    groups = []
    for moving, own in kinds.items():
        if own:
            under = {home: journal.under(settings[moving]) for home, journal in journals.items()}
            places = Destinations(
                jobs,
                under,
                run.on_exists or "skip",
                in_place=run.in_place,
                resume=run.resume,
                exists=mirror.exists,
            )
            groups.append(Group(moving, own, settings[moving], under, places))
    return groups


@contextmanager
def _journals(
    jobs: Sequence[FileJob], settings: str, dry_run: bool, reporter: Reporter, mirror: Mirror
) -> Iterator[dict[Path | None, Journal]]:
    """Open the journals of all folders that jobs name as their homes."""
    homes = sorted({job.home for job in jobs if job.home})
    make = partial(FetchedJournal, objects=mirror)
    with ExitStack() as stack:
        yield {
            home: BucketJournal(home, settings, mirror, [job.output for job in jobs])
            if mirror.url_of(home)
            else make(home, settings)
            if dry_run
            else stack.enter_context(open_journal(home, settings, reporter.warn, make))
            for home in homes
        }


def _to_reach(
    jobs: Sequence[FileJob], run: RunOptions, mirror: Mirror
) -> tuple[list[Path], list[Path], list[str]]:
    """Collect the places that all workers have to reach: folders of results, inputs, URLs.

    The folders are those that have a journal; for others, those of the files.
    """
    homes = () if run.dry_run else {job.home or job.output.parent for job in jobs}
    inputs = [job.input for job in jobs if not mirror.url_of(job.input)]
    both = ((job.input for job in jobs), (job.output for job in jobs))
    urls = (next(filter(None, map(mirror.url_of, paths)), None) for paths in both)
    return (
        sorted(home for home in homes if not mirror.url_of(home)),
        inputs,
        [url for url in urls if url],
    )


def _settings(model: ModelOptions, opened: Opened, options: Mapping[str, Any]) -> str:
    """A hash of everything that determines the output, except the input."""
    decides = {
        "version": __version__,
        "model": fingerprint(model.model),
        "expert's model": model.expert and fingerprint(model.expert),
        **opened.decides(),
        **model.decides(),
        **options,
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
