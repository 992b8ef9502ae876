"""The way of videos through `blurdm deblur`, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from blurdm_cli.commands.console import hold_progress, say, warn
from blurdm_cli.commands.outcome import Outcome, failed, left, planned
from blurdm_cli.errors import BlurdmError, InputError, OutputError

if TYPE_CHECKING:
    from blurdm_cli.commands.clip import Result
    from blurdm_cli.commands.places import Place, Places
    from blurdm_cli.commands.video_options import VideoOptions
    from blurdm_cli.engine.deblur import Deblurrer
    from blurdm_cli.media.journal import Journal
    from blurdm_cli.media.naming import Job


class VideoRun:
    """A run over videos, one after the other."""

    def __init__(
        self,
        deblurrer: Deblurrer,
        options: VideoOptions,
        places: Places,
        journals: Mapping[Path | None, Journal],
        settings: str,
        tell: Callable[[Outcome], None],
    ) -> None:
        """Set up.

        Args:
            deblurrer: restores.
            options: what is asked for.
            places: where files are read from and written to.
            journals: by the folder that a job names as its home.
            settings: names all that decides what is written, but for the input.
            tell: is called with each outcome as it comes.
        """
        self._deblurrer = deblurrer
        self._options = options
        self._places = places
        self._journals = journals
        self._settings = settings
        self._tell = tell

    def __call__(self, jobs: Sequence[Job]) -> None:
        """Deblur video by video; an error is told, and the others go on."""
        if self._options.unheeded:
            warn(f"{' and '.join(self._options.unheeded)}: of photos only, and left out for videos")
        for number, job in enumerate(jobs, start=1):
            count = f"{number}/{len(jobs)} " if len(jobs) > 1 else ""
            outcome = replace(self._deblur(job, count), kind="video")
            self._tell(outcome)
            if outcome.status == "failed" and self._options.fail_fast:
                return

    def _deblur(self, job: Job, count: str) -> Outcome:
        from blurdm_cli.commands.clip import plan_clip

        try:
            place = self._find(job)
            if place.target is None:
                return left(job, place)
            target = place.target
            _check_name(target, job.input)
            if self._options.dry_run:
                lost = "; ".join(plan_clip(place.source, target, self._options))
                return replace(planned(job.input, target), notes=(lost,) if lost else ())
            with hold_progress(f"{count}{job.input.name}") as advance:
                return self._write(job, place, target, advance)
        except BlurdmError as error:
            return failed(job.input, error)
        except KeyboardInterrupt:
            say(f"{job.input}: what is finished is kept; the same command goes on from there")
            raise

    def _find(self, job: Job) -> Place:
        """Where to read and write; of numbered pictures, one that is there speaks for all."""
        from blurdm_cli.commands.pictures import find_other
        from blurdm_cli.media.naming import numbered
        from blurdm_cli.media.sequence import is_sequence

        place = self._places.find(job)
        if place.target is None or not is_sequence(place.target):
            return place
        policy, why = self._options.on_exists, ""
        for pattern in numbered(place.target):
            other = find_other(place.source, pattern, self._options, self._settings)
            if other is None or policy == "overwrite":
                return replace(place, target=pattern)
            why = f"{other} exists already"
            if policy != "rename":
                break
        if policy == "skip":
            why += "; --on-exists overwrite replaces it"
            return replace(place, target=None, reason="exists", why=why)
        raise OutputError(why, hint="Try --on-exists overwrite or rename, or another folder")

    def _write(
        self, job: Job, place: Place, target: Path, advance: Callable[[float, str], None]
    ) -> Outcome:
        """Deblur a clip, and note it before and after."""
        from blurdm_cli.commands.clip import deblur_clip, plan_clip
        from blurdm_cli.media.files import keep_original, no_seal
        from blurdm_cli.media.journal import Stamp
        from blurdm_cli.media.sequence import is_sequence

        begin = time.monotonic()
        journal = None if is_sequence(target) else self._journals.get(job.home)
        stamp = Stamp.of(place.source) if journal else None
        if self._options.in_place:
            plan_clip(place.source, target, self._options)  # fails before there is a copy
            keep_original(target)
        seal = journal.begin(place.original, target) if journal else no_seal
        result = deblur_clip(
            place.source,
            target,
            self._deblurrer,
            self._options,
            settings=self._settings,
            advance=advance,
            seal=seal,
        )
        if journal and stamp and not result.loss:
            journal.end(place.original, target, stamp)
        return Outcome(
            str(job.input),
            str(job.input if self._options.in_place else target),
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
    from blurdm_cli.media.files import FORMATS, PHOTO_SUFFIXES
    from blurdm_cli.media.sequence import is_sequence

    photo = target.suffix.lower() in FORMATS and not is_sequence(target)
    if photo and source.suffix.lower() in PHOTO_SUFFIXES:
        raise InputError(
            f"{source} is a video, or damaged, and has a photo's name",
            hint="Name it after what it is, such as .mp4, or name the result with --output",
        )


def pictures_job(inputs: Sequence[str], output: str | None) -> Job | None:
    """Numbered pictures that are to become one clip, or None where that is not asked for.

    Raises:
        InputError: no file fits.
        UsageError: a result would take an input's place.
    """
    from blurdm_cli.media.codecs import CONTAINERS
    from blurdm_cli.media.naming import Job, check_inputs_stay
    from blurdm_cli.media.sequence import by_number, frame_path, is_sequence

    if len(inputs) != 1 or output is None:
        return None
    source, target = Path(inputs[0]), Path(output)
    clip = target.suffix.lower() in CONTAINERS and not target.is_dir()
    if not (clip or is_sequence(target)):
        return None
    if is_sequence(source) and not source.exists():
        files = by_number(source)
    else:
        files = _pictures_in(source)
    if files and is_sequence(target):
        places = [Job(file, frame_path(target, number)) for number, file in files.items()]
        check_inputs_stay(places)
    return Job(source, target) if files else None


def _pictures_in(folder: Path) -> dict[int, Path]:
    """The photos of a folder by their numbers; none where it is no folder, or one of videos."""
    from blurdm_cli.media.sequence import by_number

    with suppress(InputError):
        return by_number(folder) if folder.is_dir() else {}
    return {}


def named_one_by_one(inputs: Sequence[str]) -> Iterator[str]:
    """The inputs, with all files of numbered pictures in the place of their pattern.

    Raises:
        InputError: no file fits.
    """
    from blurdm_cli.media.sequence import find_frames, is_sequence

    for word in inputs:
        path = Path(word)
        if is_sequence(path) and not path.exists():
            yield from map(str, find_frames(path))
        else:
            yield word
