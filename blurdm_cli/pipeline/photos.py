"""Photo pipeline: prefetch, restore, write in the background, journal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from blurdm_cli.engine.deblur import Deblurrer, Restored
from blurdm_cli.errors import BlurdmError, DiskFull, InputError
from blurdm_cli.files.atomic import Seal, keep_original, no_seal
from blurdm_cli.files.journal import Journal, Stamp
from blurdm_cli.files.naming import Job
from blurdm_cli.motion.estimation import Motion
from blurdm_cli.photo.blur_score import BLURRED, blur_score
from blurdm_cli.photo.comparison import side_by_side
from blurdm_cli.photo.photo import Photo, read_photo, write_photo
from blurdm_cli.photo.privacy import apply_privacy
from blurdm_cli.pipeline.destinations import Destination, Destinations
from blurdm_cli.pipeline.options import PhotoOptions, RunOptions
from blurdm_cli.pipeline.outcome import Outcome, failed, left, planned
from blurdm_cli.pipeline.reporter import Advance, Reporter

LARGE = 50_000_000
"""Pixels: a photo with more is alone in memory, with none read ahead of it or written behind."""

HARDLY = 0.002
"""Of white: the average change of a pixel that nobody sees."""


@dataclass(frozen=True, eq=False)
class Work:
    """A photo on its way."""

    job: Job
    place: Destination
    stamp: Stamp | None
    """Which bytes were read, where a journal wants to know."""
    photo: Photo
    blur: float | None
    motion: Motion | None
    """Its motion, if that was looked for already."""
    seconds: float
    restored: Restored | None = None

    @property
    def is_large(self) -> bool:
        """Whether the memory is to be left to it."""
        return self.photo.pixels[..., 0].size > LARGE


class PhotoRun:
    """A run over photos: one is read and one is written while another is restored."""

    def __init__(
        self,
        deblurrer: Deblurrer,
        run: RunOptions,
        options: PhotoOptions,
        places: Destinations,
        journals: Mapping[Path | None, Journal],
        reporter: Reporter,
        tell: Callable[[Outcome], None],
    ) -> None:
        """Set up.

        Args:
            deblurrer: restores.
            run: which files, and where the results go.
            options: of photos.
            places: where files are read from and written to.
            journals: by the folder that a job names as its home.
            reporter: shows the progress.
            tell: is called with each outcome as it comes.
        """
        self._deblurrer = deblurrer
        self._run = run
        self._options = options
        self._places = places
        self._journals = journals
        self._reporter = reporter
        self._tell = tell
        self._going: Future[Outcome] | None = None
        self._full = False

    def __call__(self, jobs: Sequence[Job]) -> None:
        """Deblur photo by photo; an error is told, and the others go on, unless the disk is full.

        No more than three photos are in memory, and no other beside a large one.
        """
        with ThreadPoolExecutor(1) as writer, self._reporter.progress("") as advance:
            for number, work in enumerate(self._read_ahead(jobs)):
                show = partial(_show, advance, number, jobs)
                show(0)
                large = isinstance(work, Work) and work.is_large
                if large and self._ends():
                    return
                if isinstance(work, Work):
                    work = self._restore(work, show)
                if self._ends():
                    return
                self._going = writer.submit(self._write, work)
                del work
                if large and self._ends():
                    return
            self._ends()

    def _read_ahead(self, jobs: Sequence[Job]) -> Iterator[Work | Outcome]:
        """The photos in their order; the next one is read while the last one is looked at."""
        with ThreadPoolExecutor(1) as reader:
            coming = reader.submit(self._read, jobs[0])
            for following in (*jobs[1:], None):
                work = coming.result()
                alone = isinstance(work, Work) and work.is_large
                if following and not alone:
                    coming = reader.submit(self._read, following)
                yield work
                del work
                if following and alone:
                    coming = reader.submit(self._read, following)

    def _ends(self) -> bool:
        """Wait for the photo that is written, and tell of it; whether the run is to end."""
        if self._going is None:
            return False
        outcome, self._going = self._going.result(), None
        self._tell(outcome)
        return self._full or (outcome.status == "failed" and self._run.fail_fast)

    def _read(self, job: Job) -> Work | Outcome:
        """Read a photo, if there is something to do for it."""
        begin = time.monotonic()
        try:
            place = self._places.find(job)
            if place.target is None:
                return left(job, place)
            if self._options.compare:
                place = self._places.with_sheet(job, place)
            if self._run.dry_run and self._options.only_blurry is None:
                return planned(job.input, place.target)
            work = self._open(job, place)
        except BlurdmError as error:
            return failed(job.input, error)
        if self._is_sharp(work):
            why = f"{job.input} is sharp enough: its blur score is {work.blur:.2f}"
            skipped = Outcome(str(job.input), None, "skipped", reason="not-blurred")
            return replace(skipped, message=why, blur=work.blur)
        if self._run.dry_run:
            return replace(planned(job.input, place.target), blur=work.blur)
        return replace(work, seconds=time.monotonic() - begin)

    def _open(self, job: Job, place: Destination) -> Work:
        stamp = Stamp.of(place.source) if job.home in self._journals else None
        photo = read_photo(place.source)
        if stamp and not stamp.is_of(place.source):
            raise InputError(
                f"{job.input} was changed while it was read", hint="Start again when it is finished"
            )
        asked = self._options.only_blurry is not None
        blur = round(blur_score(photo.pixels), 3) if asked else None
        motion = None
        if blur is not None and blur <= (self._options.only_blurry or 0):
            motion = self._deblurrer.find_motion(photo.rgb())
        return Work(job, place, stamp, photo, blur, motion, 0.0)

    def _is_sharp(self, work: Work) -> bool:
        """Whether only blurred photos are wanted, and neither score nor motion says it is one."""
        least = self._options.only_blurry
        if least is None or work.blur is None or work.blur > least:
            return False
        return work.motion is None or not work.motion.is_shaken

    def _restore(self, work: Work, show: Callable[[float], None]) -> Work | Outcome:
        begin = time.monotonic()
        try:
            restored = self._deblurrer.restore(
                work.photo.rgb(), lambda done, of: show(done / of), work.motion
            )
        except BlurdmError as error:
            return failed(work.job.input, error)
        return replace(work, restored=restored, seconds=work.seconds + time.monotonic() - begin)

    def _write(self, work: Work | Outcome) -> Outcome:
        if isinstance(work, Outcome):
            return work
        begin = time.monotonic()
        target, restored = work.place.target, work.restored
        if target is None or restored is None:
            raise ValueError(f"{work.job.input} is not restored")
        metadata = apply_privacy(work.photo.metadata, self._run.metadata)
        photo = replace(work.photo, metadata=metadata)
        result = photo.with_rgb(restored.pixels)
        try:
            notes = self._write_files(replace(work, photo=photo), result, target)
        except BlurdmError as error:
            self._full = isinstance(error, DiskFull)
            return failed(work.job.input, error)
        height, width = photo.pixels.shape[:2]
        return Outcome(
            str(work.job.input),
            str(work.job.input if self._run.in_place else target),
            "done",
            seconds=round(work.seconds + time.monotonic() - begin, 3),
            size=(height, width),
            blur=work.blur,
            guarded=restored.guarded,
            motion=_facts(restored.motion),
            hardly_changed=_hardly_changed(photo, result, restored, self._deblurrer.strength),
            notes=(*photo.notes, *restored.notes, *notes),
        )

    def _write_files(self, work: Work, result: Photo, target: Path) -> list[str]:
        """Write the result and what goes with it; returns what could not be kept or written."""
        if self._run.in_place:
            keep_original(target)
        own_format = result.format if self._run.in_place else None
        with self._journalled(work, target) as seal:
            notes = write_photo(
                result, target, quality=self._run.quality, format=own_format, seal=seal
            )
            if self._options.compare:
                notes += self._write_sheet(work, result, own_format)
        return notes

    def _write_sheet(self, work: Work, result: Photo, format: str | None) -> list[str]:
        """Write before and after as one picture; returns why not, where it is not written."""
        sheet = work.place.sheet
        if sheet is None:
            why = "a file is there already; --overwrite replaces it"
            return [f"the comparison is not written: {why}"]
        try:
            with self._journalled(work, sheet) as seal:
                write_photo(side_by_side(work.photo, result), sheet, format=format, seal=seal)
        except BlurdmError as error:
            return [f"the comparison is not written: {error}"]
        return []

    @contextmanager
    def _journalled(self, work: Work, path: Path) -> Iterator[Seal]:
        """Note that a file is about to be written, and then that it was."""
        journal, original = self._journals.get(work.job.home), work.place.original
        if not journal or not work.stamp:
            yield no_seal
            return
        yield journal.begin(original, path)
        journal.end(original, path, work.stamp)


def _show(advance: Advance, number: int, jobs: Sequence[Job], part: float) -> None:
    count = f"{number + 1}/{len(jobs)} " if len(jobs) > 1 else ""
    advance((number + part) / len(jobs), f"{count}{jobs[number].input.name}")


def _facts(motion: Motion | None) -> dict[str, float] | None:
    """The facts about a motion that JSON and lines give."""
    if motion is None or motion.best.kernel.size == 1:
        return None
    best = motion.best
    return {
        "length": best.length,
        "direction": round(best.direction, 1),
        "confidence": round(best.confidence, 3),
    }


def _hardly_changed(photo: Photo, result: Photo, restored: Restored, strength: float) -> bool:
    """Whether a blurred photo came back nearly as it was; sharp ones may."""
    white = np.iinfo(photo.pixels.dtype).max
    before, after = (p.pixels[::4, ::4].astype(np.float32) for p in (photo, result))
    change = float(np.abs(after - before).mean() / white)
    if change >= HARDLY * strength:
        return False
    shaken = restored.motion is not None and restored.motion.is_shaken
    return shaken or blur_score(photo.pixels) > BLURRED
