"""Video pipeline: restore one video after another."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from blurdm_cli.errors import BlurdmError, InputError, OutputError
from blurdm_cli.files.atomic import keep_original, no_seal
from blurdm_cli.files.attributes import following
from blurdm_cli.files.formats import FORMATS, PHOTO_SUFFIXES
from blurdm_cli.files.naming import FileJob, numbered
from blurdm_cli.files.numbered import is_sequence
from blurdm_cli.files.stamp import Stamp
from blurdm_cli.machine import within_memory
from blurdm_cli.pipeline.clip import Result, deblur_clip, help_clip, plan_clip
from blurdm_cli.pipeline.clip_job import open_job
from blurdm_cli.pipeline.destinations import Destination
from blurdm_cli.pipeline.options import VideoOptions
from blurdm_cli.pipeline.outcome import Outcome, failed, left, planned
from blurdm_cli.pipeline.reporter import Advance
from blurdm_cli.pipeline.run import Run
from blurdm_cli.pipeline.sequences import find_other


class VideoRun:
    """A run over videos, one after another."""

    def __init__(self, run: Run, options: VideoOptions, settings: str) -> None:
        """Set up.

        Args:
            run: what it shares with photos.
            options: options for videos.
            settings: identifies everything that determines the output, except the input.
        """
        self._deblurrer = run.deblurrer
        self._run = run.options
        self._options = options
        self._places = run.places
        self._journals = run.journals
        self._settings = settings
        self._reporter = run.reporter
        self._tell = run.tell
        self._fetch = run.fetch
        self._claims = run.claims

    def __call__(self, jobs: Sequence[FileJob]) -> None:
        """Deblur videos one by one; report errors and continue."""
        for number, job in enumerate(jobs, start=1):
            count = f"{number}/{len(jobs)} " if len(jobs) > 1 else ""
            outcome = replace(self._deblur(job, count), kind="video")
            self._tell(outcome)
            if outcome.status == "failed" and self._run.fail_fast:
                return

    def help(self, job: FileJob) -> None:
        """Restore segments of a video that another worker deblurs."""
        place = self._places.find(job)
        assert place.target is not None
        try:
            self._fetch(place.source)
            shown = self._reporter.progress(job.input.name)
            with within_memory(str(job.input)), shown as advance:
                paths, options = (place.source, place.target), (self._options, self._run)
                what = (*paths, self._deblurrer, *options, self._settings)
                help_clip(open_job(*what, advance, no_seal, self._claims))
        except BlurdmError as error:
            self._tell(failed(job.input, error))
        else:
            self._tell(Outcome(str(job.input), None, "done", kind="video"))

    def _deblur(self, job: FileJob, count: str) -> Outcome:
        try:
            place = self._find(job)
            if place.target is None:
                return left(job, place)
            target = place.target
            _check_name(target, job.input)
            self._fetch(place.source)
            if self._run.dry_run:
                lost = "; ".join(plan_clip(place.source, target, self._options, self._run))
                return replace(planned(job.input, target), notes=(lost,) if lost else ())
            shown = self._reporter.progress(f"{count}{job.input.name}")
            with within_memory(str(job.input)), shown as advance:
                return self._write(job, place, target, advance)
        except BlurdmError as error:
            return failed(job.input, error)
        except KeyboardInterrupt:
            self._reporter.say(
                f"{job.input}: finished parts are kept; the same command continues from there"
            )
            raise

    def _find(self, job: FileJob) -> Destination:
        """Find the destination; one existing picture of an image sequence stands for all."""
        place = self._places.find(job)
        if place.target is None or not is_sequence(place.target):
            return place
        policy, why = self._run.on_exists, ""
        for pattern in numbered(place.target):
            other = find_other(place.source, pattern, self._options, self._run, self._settings)
            if other is None or policy == "overwrite":
                return replace(place, target=pattern)
            why = f"{other} exists already"
            if policy != "rename":
                break
        if policy == "skip":
            why += "; --overwrite replaces it"
            return replace(place, target=None, reason="exists", why=why)
        raise OutputError(why, hint="Try --overwrite or --on-exists rename, or another folder")

    def _write(self, job: FileJob, place: Destination, target: Path, advance: Advance) -> Outcome:
        """Deblur a clip, and record it in the journal before and after."""
        begin = time.monotonic()
        journal = None if is_sequence(target) else self._journals.get(job.home)
        stamp = Stamp.of(place.source) if journal else None
        if self._run.in_place:
            # fails before the original is copied
            plan_clip(place.source, target, self._options, self._run)
            keep_original(target)
        seal = journal.begin(place.original, target, stamp) if journal else no_seal
        seal = place.guard(target, seal)
        notes: list[str] = []
        seal = following(place.source, target, seal, notes, in_place=self._run.in_place)
        result = deblur_clip(
            place.source,
            target,
            self._deblurrer,
            self._options,
            self._run,
            settings=self._settings,
            advance=advance,
            seal=seal,
            claims=self._claims,
        )
        if journal and stamp and not result.loss:
            journal.end(place.original, target, stamp)
        return Outcome(
            str(job.input),
            str(job.input if self._run.in_place else target),
            "done",
            exit_code=4 if result.loss else 0,
            seconds=round(time.monotonic() - begin, 3),
            message=_describe(result),
            size=result.size,
            notes=tuple(filter(None, (result.loss, "; ".join([*result.notes, *notes])))),
        )


def _describe(result: Result) -> str:
    """Summary of a clip in a few words."""
    parts = [f"{result.frames} frames"]
    if result.earlier:
        parts.append(f"{result.earlier} from an earlier run")
    if result.sharp:
        parts.append(f"{result.sharp} sharp and left unchanged")
    return ", ".join(parts)


def _check_name(target: Path, source: Path) -> None:
    """Refuse a video whose name and output both have a photo's suffix.

    Raises:
        InputError: both have one.
    """
    photo = target.suffix.lower() in FORMATS and not is_sequence(target)
    if photo and source.suffix.lower() in PHOTO_SUFFIXES:
        raise InputError(
            f"{source} has a photo's name, but is a video or damaged",
            hint="Give it a video suffix such as .mp4, or name the result with --output",
        )
