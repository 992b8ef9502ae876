"""Deblur one clip: plan its streams, restore its frames, and write the result."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blurdm_cli.errors import InputError, UsageError
from blurdm_cli.files.atomic import Seal, no_seal
from blurdm_cli.files.numbered import is_sequence
from blurdm_cli.pipeline.clip_plan import container_of, plan_output
from blurdm_cli.pipeline.frames import Sink, Summary, restore_frames
from blurdm_cli.pipeline.options import RunOptions, VideoOptions
from blurdm_cli.pipeline.reporter import Advance
from blurdm_cli.pipeline.sequences import manifest_of, numbers_of, open_pictures, pictures_of
from blurdm_cli.video.clip import Clip
from blurdm_cli.video.codecs import STEADY
from blurdm_cli.video.encoder import Encoding, Steady
from blurdm_cli.video.image_sequence import open_sequence, read_sequence
from blurdm_cli.video.losses import Losses
from blurdm_cli.video.mux import mux
from blurdm_cli.video.reader import open_clip, read_frames
from blurdm_cli.video.segments import SECONDS, Segment, open_store
from blurdm_cli.video.tags import orientation_of

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from blurdm_cli.engine.deblur import Deblurrer


@dataclass(frozen=True)
class Result:
    """A clip that was written."""

    size: tuple[int, int]
    """Height and width."""
    frames: int
    earlier: int
    """Frames from an earlier, interrupted run."""
    sharp: int
    """Sharp frames of this run that were copied unchanged."""
    notes: tuple[str, ...]
    """Notes on what could not be kept or looked wrong, one line each."""
    loss: str | None
    """Summary of undecodable parts of the source; None if there are none."""


@dataclass
class ClipProgress:
    """Progress of a clip: the fraction done and the speed."""

    expected: int | None
    advance: Advance
    _begin: tuple[float, int] | None = field(default=None, init=False)

    def __call__(self, done: int, lag: int) -> None:
        now = time.monotonic()
        self._begin = self._begin or (now, done)
        seconds, frames = now - self._begin[0], done - self._begin[1]
        speed = f"{frames / seconds:.1f} frames/s" if frames and seconds else ""
        behind = f"encoder {lag} behind" if lag else ""
        self.advance(
            min(done / self.expected, 1.0) if self.expected else 0.0,
            " · ".join(filter(None, (f"{done}/{self.expected or '?'}", speed, behind))),
        )


@dataclass(frozen=True)
class ClipJob:
    """An open clip, and the options for it."""

    clip: Clip
    frames: Iterator[VideoFrame]
    """The selected frames."""
    numbers: Sequence[int]
    """Their numbers, if they are written as pictures."""
    losses: Losses
    notes: dict[str, None]
    """Notes on what was dropped when an image sequence was read, one line each."""
    target: Path
    options: VideoOptions
    run: RunOptions
    deblurrer: Deblurrer
    manifest: dict[str, Any]
    """Plain values for everything that determines the result, except the encoding."""
    progress: ClipProgress
    seal: Seal

    @property
    def segment(self) -> int:
        """Frames in a segment."""
        return max(1, round(self.clip.rate * SECONDS / self.options.every))

    def restore(self, sink: Sink) -> Summary:
        return restore_frames(
            self.frames,
            sink,
            self.deblurrer,
            segment=self.segment,
            all_frames=self.options.all_frames,
            advance=self.progress,
        )


def deblur_clip(
    source: Path,
    target: Path,
    deblurrer: Deblurrer,
    options: VideoOptions,
    run: RunOptions = RunOptions(),
    *,
    settings: str,
    advance: Advance = lambda done, note: None,
    seal: Seal = no_seal,
) -> Result:
    """Deblur one clip; an interrupted run is resumed.

    Args:
        source: a video, the pattern of an image sequence, or a folder of pictures.
        target: a video, or the pattern of an image sequence.
        deblurrer: restores the frames.
        options: options for videos.
        run: sets how to resume, and which metadata to keep.
        settings: identifies everything that determines how the deblurrer restores a frame.
        advance: called with the fraction done and the speed.
        seal: see `files.Seal`; used for a video.

    Raises:
        BlurdmError: the source cannot be read, the options do not fit it, or the result cannot
            be written.
    """
    job = _open(source, target, deblurrer, options, run, settings, advance, seal)
    write = _write_pictures if is_sequence(target) else _write_video
    summary, notes = write(job)
    if not summary.frames:
        raise InputError(f"{source} has no frames to restore", hint="Check --start and --end")
    whole = options.start is None and options.end is None and options.frames is None
    loss = job.losses.loss_note(job.clip, summary.frames * options.every) if whole else None
    size = (job.clip.height, job.clip.width)
    if is_sequence(target) and orientation_of(job.clip.matrix) >= 5:
        size = size[::-1]
    counts = (summary.frames, summary.earlier, summary.sharp)
    return Result(size, *counts, (*notes, *summary.notes), loss)


def plan_clip(
    source: Path, target: Path, options: VideoOptions, run: RunOptions = RunOptions()
) -> list[str]:
    """List what would not be kept of a clip, one line each.

    Raises:
        BlurdmError: as `deblur_clip`, as far as it can be known in advance.
    """
    clip = _open_source(source, options)[0]
    if is_sequence(target):
        return [] if clip.is_pictures else [NO_SOUND]
    return plan_output(clip, container_of(target), options, run)[2]


NO_SOUND = "an image sequence holds no sound and no timestamps"


def _open(
    source: Path,
    target: Path,
    deblurrer: Deblurrer,
    options: VideoOptions,
    run: RunOptions,
    settings: str,
    advance: Advance,
    seal: Seal,
) -> ClipJob:
    losses, notes = Losses(), dict[str, None]()
    clip, files = _open_source(source, options)
    if clip.is_pictures:
        frames = read_sequence(clip, files, notes)
    else:
        frames = read_frames(clip, losses, start=options.start, end=options.end)
    return ClipJob(
        clip,
        _selected(frames, options),
        numbers_of(files, options),
        losses,
        notes,
        target,
        options,
        run,
        deblurrer,
        manifest_of(source, files, target, options, run, settings),
        ClipProgress(_expected(clip, options), advance),
        seal,
    )


def _open_source(source: Path, options: VideoOptions) -> tuple[Clip, dict[int, Path]]:
    """Open a clip; also return its files if it is an image sequence."""
    files = pictures_of(source, options)
    if not files:
        return open_clip(source), files
    if options.start is not None or options.end is not None:
        raise UsageError("An image sequence has no --start or --end", hint="Try --frames")
    return open_sequence(source, files, Fraction(options.fps).limit_denominator(1001)), files


def _selected(frames: Iterator[VideoFrame], options: VideoOptions) -> Iterator[VideoFrame]:
    """Take every N-th frame, shown N times as long, up to the number of frames set."""
    for frame in islice(islice(frames, 0, None, options.every), options.frames):
        frame.duration *= options.every
        yield frame


def _expected(clip: Clip, options: VideoOptions) -> int | None:
    """Estimate the number of output frames."""
    frames = clip.frames
    if frames is None:
        return options.frames
    if options.start is not None or options.end is not None:
        all_of_it = Fraction(frames) / clip.rate
        end = min(options.end or all_of_it, all_of_it)
        frames = max(1, round((end - (options.start or 0)) * clip.rate))
    frames = -(-frames // options.every)
    return min(frames, options.frames or frames)


def _write_pictures(job: ClipJob) -> tuple[Summary, list[str]]:
    """Restore into an image sequence."""
    args = (job.target, job.numbers, job.manifest, job.run, job.clip.matrix)
    with open_pictures(*args) as store:
        summary = job.restore(store)
        store.clear()
    return summary, [*([] if job.clip.is_pictures else [NO_SOUND]), *store.notes]


def _write_video(job: ClipJob) -> tuple[Summary, list[str]]:
    """Restore into segments, and mux them."""
    container = container_of(job.target)
    encoding, kept, notes = plan_output(job.clip, container, job.options, job.run)
    steady = Steady(container, encoding, job.clip.begin + (job.options.start or 0))
    if container in STEADY:
        job = replace(job, frames=steady(job.frames))
    with open_store(job.target, encoding, job.manifest, resume=job.run.resume) as store:
        summary = job.restore(store)
        if summary.frames:
            start, end = job.options.start, _end(job, store.finished[-1], encoding, container)
            args = (job.clip, container, encoding, store.finished, kept, job.target)
            notes += mux(*args, start=start, end=end, metadata=job.run.metadata, seal=job.seal)
        store.clear()
    return summary, [*notes, *job.notes, *steady.warnings()]


def _end(job: ClipJob, last: Segment, encoding: Encoding, container: str) -> Fraction | None:
    """End of the other streams in seconds from the clip's start; None: their own end."""
    if job.options.frames is None:
        return job.options.end
    shown = max(coded.pts + coded.duration for coded in last.frames)
    zero = -(job.options.start or 0) if container in STEADY else job.clip.begin
    return shown * encoding.time_base - zero
