"""Video pipeline: one video after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.errors import BlurdmError, InputError, OutputError
from blurdm_cli.files.atomic import keep_original, no_seal
from blurdm_cli.files.formats import FORMATS, PHOTO_SUFFIXES
from blurdm_cli.files.journal import Journal, Stamp
from blurdm_cli.files.naming import Job, numbered
from blurdm_cli.files.numbered import is_sequence
from blurdm_cli.pipeline.clip import Result, deblur_clip, plan_clip
from blurdm_cli.pipeline.destinations import Destination, Destinations
from blurdm_cli.pipeline.options import RunOptions, VideoOptions
from blurdm_cli.pipeline.outcome import Outcome, failed, left, planned
from blurdm_cli.pipeline.reporter import Advance, Reporter
from blurdm_cli.pipeline.sequences import find_other


class VideoRun:
    """A run over videos, one after the other."""

    def __init__(
        self,
        deblurrer: Deblurrer,
        run: RunOptions,
        options: VideoOptions,
        places: Destinations,
        journals: Mapping[Path | None, Journal],
        settings: str,
        reporter: Reporter,
        tell: Callable[[Outcome], None],
    ) -> None:
        """Set up.

        Args:
            deblurrer: restores.
            run: which files, and where the results go.
            options: of videos.
            places: where files are read from and written to.
            journals: by the folder that a job names as its home.
            settings: names all that decides what is written, but for the input.
            reporter: shows the progress.
            tell: is called with each outcome as it comes.
        """
        self._deblurrer = deblurrer
        self._run = run
        self._options = options
        self._places = places
        self._journals = journals
        self._settings = settings
        self._reporter = reporter
        self._tell = tell

    def __call__(self, jobs: Sequence[Job]) -> None:
        """Deblur video by video; an error is told, and the others go on."""
        for number, job in enumerate(jobs, start=1):
            count = f"{number}/{len(jobs)} " if len(jobs) > 1 else ""
            outcome = replace(self._deblur(job, count), kind="video")
            self._tell(outcome)
            if outcome.status == "failed" and self._run.fail_fast:
                return

    def _deblur(self, job: Job, count: str) -> Outcome:
        try:
            place = self._find(job)
            if place.target is None:
                return left(job, place)
            target = place.target
            _check_name(target, job.input)
            if self._run.dry_run:
                lost = "; ".join(plan_clip(place.source, target, self._options, self._run))
                return replace(planned(job.input, target), notes=(lost,) if lost else ())
            with self._reporter.progress(f"{count}{job.input.name}") as advance:
                return self._write(job, place, target, advance)
        except BlurdmError as error:
            return failed(job.input, error)
        except KeyboardInterrupt:
            self._reporter.say(
                f"{job.input}: what is finished is kept; the same command goes on from there"
            )
            raise

    def _find(self, job: Job) -> Destination:
        """Where to read and write; of numbered pictures, one that is there speaks for all."""
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

    def _write(self, job: Job, place: Destination, target: Path, advance: Advance) -> Outcome:
        """Deblur a clip, and note it before and after."""
        begin = time.monotonic()
        journal = None if is_sequence(target) else self._journals.get(job.home)
        stamp = Stamp.of(place.source) if journal else None
        if self._run.in_place:
            plan_clip(
                place.source, target, self._options, self._run
            )  # fails before there is a copy
            keep_original(target)
        seal = journal.begin(place.original, target) if journal else no_seal
        result = deblur_clip(
            place.source,
            target,
            self._deblurrer,
            self._options,
            self._run,
            settings=self._settings,
            advance=advance,
            seal=seal,
        )
        if journal and stamp and not result.loss:
            journal.end(place.original, target, stamp)
        return Outcome(
            str(job.input),
            str(job.input if self._run.in_place else target),
            "done",
            exit_code=4 if result.loss else 0,
            seconds=round(time.monotonic() - begin, 3),
            message=_told(result),
            size=result.size,
            notes=tuple(filter(None, (result.loss, "; ".join(result.notes)))),
        )


def _told(result: Result) -> str:
    """How a clip went, in a few words."""
    parts = [f"{result.frames} frames"]
    if result.earlier:
        parts.append(f"{result.earlier} of an earlier run")
    if result.sharp:
        parts.append(f"{result.sharp} sharp ones left as they were")
    return ", ".join(parts)


def _check_name(target: Path, source: Path) -> None:
    """Refuse a video that has a photo's name, and would be written under one.

    Raises:
        InputError: it is so.
    """
    photo = target.suffix.lower() in FORMATS and not is_sequence(target)
    if photo and source.suffix.lower() in PHOTO_SUFFIXES:
        raise InputError(
            f"{source} is a video, or damaged, and has a photo's name",
            hint="Name it after what it is, such as .mp4, or name the result with --output",
        )
