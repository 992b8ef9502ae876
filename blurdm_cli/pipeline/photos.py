"""Photo pipeline: prefetch, restore, write in the background, journal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from blurdm_cli.engine.restored import Restored
from blurdm_cli.errors import BlurdmError, DiskFull
from blurdm_cli.files.atomic import Seal, keep_original, no_seal
from blurdm_cli.files.attributes import following
from blurdm_cli.files.naming import FileJob
from blurdm_cli.files.stamp import Stamp
from blurdm_cli.machine import within_memory
from blurdm_cli.motion.found import Motion
from blurdm_cli.photo.blur_score import BLURRED, blur_score
from blurdm_cli.photo.comparison import side_by_side
from blurdm_cli.photo.photo import Photo, read_stamped, write_photo
from blurdm_cli.photo.privacy import apply_privacy
from blurdm_cli.pipeline.destinations import Destination
from blurdm_cli.pipeline.options import PhotoOptions
from blurdm_cli.pipeline.outcome import Outcome, failed, left, planned
from blurdm_cli.pipeline.reporter import Advance
from blurdm_cli.pipeline.run import Run

LARGE = 50_000_000
"""Pixels above which a photo is alone in memory: no other is prefetched or being written."""

HARDLY = 0.002
"""Largest mean change of a pixel that is not visible, as a share of white."""


@dataclass(frozen=True, eq=False)
class PhotoTask:
    """One photo in the pipeline."""

    job: FileJob
    place: Destination
    stamp: Stamp
    """Identifies the bytes that were read."""
    photo: Photo
    blur: float | None
    motion: Motion | None
    """Its motion, if it is already estimated."""
    seconds: float
    restored: Restored | None = None

    @property
    def is_large(self) -> bool:
        """Whether it must be alone in memory."""
        return self.photo.pixels[..., 0].size > LARGE


class PhotoRun:
    """A run over photos: one is read and one is written while a third is restored."""

    def __init__(self, run: Run, options: PhotoOptions) -> None:
        """Set up.

        Args:
            run: what it shares with videos.
            options: options for photos.
        """
        self._deblurrer = run.deblurrer
        self._run = run.options
        self._options = options
        self._places = run.places
        self._journals = run.journals
        self._reporter = run.reporter
        self._tell = run.tell
        self._fetch = run.fetch
        self._turn = run.turn
        self._going: Future[Outcome] | None = None
        self._full = False

    def __call__(self, jobs: Sequence[FileJob]) -> None:
        """Deblur photos one by one; report errors and continue, unless the disk is full.

        At most three photos are in memory; a large photo is alone.
        """
        with ThreadPoolExecutor(1) as writer, self._reporter.progress("") as advance:
            for number, task in enumerate(self._read_ahead(jobs)):
                show = partial(_show, advance, number, jobs)
                large = isinstance(task, PhotoTask) and task.is_large
                if large and self._ends():
                    return
                with self._turn:
                    show(0)
                    if isinstance(task, PhotoTask):
                        task = self._restore(task, show)
                    if self._ends():
                        return
                    self._going = writer.submit(self._write, task)
                    del task
                    if large and self._ends():
                        return
            self._ends()

    def _read_ahead(self, jobs: Sequence[FileJob]) -> Iterator[PhotoTask | Outcome]:
        """Yield photos in order; the next one is read while the caller uses the last one."""
        with ThreadPoolExecutor(1) as reader:
            coming = reader.submit(self._read, jobs[0])
            for following in (*jobs[1:], None):
                task = coming.result()
                alone = isinstance(task, PhotoTask) and task.is_large
                if following and not alone:
                    coming = reader.submit(self._read, following)
                yield task
                del task
                if following and alone:
                    coming = reader.submit(self._read, following)

    def _ends(self) -> bool:
        """Wait for the photo being written, and report it; return whether the run must end."""
        if self._going is None:
            return False
        outcome, self._going = self._going.result(), None
        self._tell(outcome)
        return self._full or (outcome.status == "failed" and self._run.fail_fast)

    def _read(self, job: FileJob) -> PhotoTask | Outcome:
        """Read a photo, unless it is skipped."""
        begin = time.monotonic()
        try:
            with within_memory(str(job.input)):
                place = self._places.find(job)
                if place.target is None:
                    return left(job, place)
                if self._options.compare:
                    place = self._places.with_sheet(job, place)
                if self._run.dry_run and self._options.only_blurry is None:
                    return planned(job.input, place.target)
                task = self._open(job, place)
        except BlurdmError as error:
            return failed(job.input, error)
        if self._is_sharp(task):
            why = f"{job.input} is sharp enough: its blur score is {task.blur:.2f}"
            skipped = Outcome(str(job.input), None, "skipped", reason="not-blurred")
            return replace(skipped, message=why, blur=task.blur)
        if self._run.dry_run:
            return replace(planned(job.input, place.target), blur=task.blur)
        return replace(task, seconds=time.monotonic() - begin)

    def _open(self, job: FileJob, place: Destination) -> PhotoTask:
        self._fetch(place.source)
        photo, stamp = read_stamped(place.source)
        asked = self._options.only_blurry is not None
        blur = round(blur_score(photo.pixels), 3) if asked else None
        motion = None
        if blur is not None and blur <= (self._options.only_blurry or 0):
            motion = self._deblurrer.find_motion(photo.rgb())
        return PhotoTask(job, place, stamp, photo, blur, motion, 0.0)

    def _is_sharp(self, task: PhotoTask) -> bool:
        """Whether sharp photos are skipped and neither score nor motion shows blur."""
        least = self._options.only_blurry
        if least is None or task.blur is None or task.blur > least:
            return False
        return task.motion is None or not task.motion.is_shaken

    def _restore(self, task: PhotoTask, show: Callable[[float], None]) -> PhotoTask | Outcome:
        begin = time.monotonic()
        try:
            with within_memory(str(task.job.input)):
                restored = self._deblurrer.restore(
                    task.photo.rgb(), lambda done, of: show(done / of), task.motion
                )
        except BlurdmError as error:
            return failed(task.job.input, error)
        return replace(task, restored=restored, seconds=task.seconds + time.monotonic() - begin)

    def _write(self, task: PhotoTask | Outcome) -> Outcome:
        if isinstance(task, Outcome):
            return task
        begin = time.monotonic()
        target, restored = task.place.target, task.restored
        if target is None or restored is None:
            raise ValueError(f"{task.job.input} is not restored")
        try:
            with within_memory(str(task.job.input)):
                metadata = apply_privacy(task.photo.metadata, self._run.metadata)
                photo = replace(task.photo, metadata=metadata)
                result = photo.with_rgb(restored.pixels)
                hardly = _hardly_changed(photo, result, restored, self._deblurrer.strength)
                notes = self._write_files(replace(task, photo=photo), result, target)
        except BlurdmError as error:
            self._full = isinstance(error, DiskFull)
            return failed(task.job.input, error)
        height, width = photo.pixels.shape[:2]
        return Outcome(
            str(task.job.input),
            str(task.job.input if self._run.in_place else target),
            "done",
            seconds=round(task.seconds + time.monotonic() - begin, 3),
            size=(height, width),
            blur=task.blur,
            guarded=restored.guarded,
            motion=_facts(restored.motion),
            hardly_changed=hardly,
            notes=(*photo.notes, *restored.notes, *notes),
        )

    def _write_files(self, task: PhotoTask, result: Photo, target: Path) -> list[str]:
        """Write the result and the comparison; return what could not be kept or written."""
        if self._run.in_place:
            keep_original(target)
        own_format = result.format if self._run.in_place else None
        notes: list[str] = []
        with self._journalled(task, target, notes) as seal:
            notes += write_photo(
                result, target, quality=self._run.quality, format=own_format, seal=seal
            )
            if self._options.compare:
                notes += self._write_sheet(task, result, own_format)
        return notes

    def _write_sheet(self, task: PhotoTask, result: Photo, format: str | None) -> list[str]:
        """Write before and after as one picture; return why, if it is not written."""
        sheet = task.place.sheet
        if sheet is None:
            why = "a file exists already; --overwrite replaces it"
            return [f"the comparison was not written: {why}"]
        try:
            with self._journalled(task, sheet, []) as seal:
                write_photo(side_by_side(task.photo, result), sheet, format=format, seal=seal)
        except BlurdmError as error:
            return [f"the comparison was not written: {error}"]
        return []

    @contextmanager
    def _journalled(self, task: PhotoTask, path: Path, notes: list[str]) -> Iterator[Seal]:
        """Record in the journal that a file will be written, and then that it was."""
        journal, original = self._journals.get(task.job.home), task.place.original
        seal = journal.begin(original, path, task.stamp) if journal else no_seal
        seal = task.place.guard(path, seal)
        in_place = self._run.in_place and path == task.place.target
        yield following(task.place.source, path, seal, notes, in_place=in_place)
        if journal:
            journal.end(original, path, task.stamp)


def _show(advance: Advance, number: int, jobs: Sequence[FileJob], part: float) -> None:
    count = f"{number + 1}/{len(jobs)} " if len(jobs) > 1 else ""
    advance((number + part) / len(jobs), f"{count}{jobs[number].input.name}")


def _facts(motion: Motion | None) -> dict[str, float | None] | None:
    """Facts about a motion for JSON and report lines."""
    if motion is None or motion.best.kernel.size == 1:
        return None
    best = motion.best
    return {
        "length": best.length,
        "direction": best.direction,
        "confidence": round(best.confidence, 3),
    }


def _hardly_changed(photo: Photo, result: Photo, restored: Restored, strength: float) -> bool:
    """Whether a blurred photo hardly changed; sharp photos may."""
    white = np.iinfo(photo.pixels.dtype).max
    before, after = (p.pixels[::4, ::4].astype(np.float32) for p in (photo, result))
    change = float(np.abs(after - before).mean() / white)
    if change >= HARDLY * strength:
        return False
    shaken = restored.motion is not None and restored.motion.is_shaken
    return shaken or blur_score(photo.pixels) > BLURRED
