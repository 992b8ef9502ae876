"""Deblur one clip: plan its streams, restore its frames, and write the result."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from blurdm_cli.errors import InputError
from blurdm_cli.files.atomic import Seal, no_seal
from blurdm_cli.files.numbered import is_sequence
from blurdm_cli.pipeline.claims import ALONE, Claims
from blurdm_cli.pipeline.clip_job import ClipJob, open_job, open_source
from blurdm_cli.pipeline.clip_plan import container_of, plan_output
from blurdm_cli.pipeline.frames import Summary
from blurdm_cli.pipeline.options import RunOptions, VideoOptions
from blurdm_cli.pipeline.reporter import Advance
from blurdm_cli.pipeline.sequences import open_pictures
from blurdm_cli.video.codecs import STEADY
from blurdm_cli.video.encoder import Encoding, Steady
from blurdm_cli.video.mux import mux
from blurdm_cli.video.segments import Segment, join_store, open_store
from blurdm_cli.video.tags import orientation_of

if TYPE_CHECKING:
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
    claims: Claims = ALONE,
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
        claims: divides the segments of a video among workers.

    Raises:
        BlurdmError: the source cannot be read, the options do not fit it, or the result cannot
            be written.
    """
    job = open_job(source, target, deblurrer, options, run, settings, advance, seal, claims)
    written = _write_pictures(job) if is_sequence(target) else _write_video(job)
    while written is None:  # another worker ended and left a segment
        again = replace(run, resume=True)
        job = open_job(source, target, deblurrer, options, again, settings, advance, seal, claims)
        written = _write_video(job)
    summary, notes = written
    if not summary.frames:
        raise InputError(f"{source} has no frames to restore", hint="Check --start and --end")
    whole = options.start is None and options.end is None and options.frames is None
    loss = job.losses.loss_note(job.clip, summary.frames * options.every) if whole else None
    size = (job.clip.height, job.clip.width)
    if is_sequence(target) and orientation_of(job.clip.matrix) >= 5:
        size = size[::-1]
    return Result(size, summary.frames, summary.earlier, summary.sharp, tuple(notes), loss)


def help_clip(job: ClipJob) -> None:
    """Restore segments of a video that another worker deblurs with `deblur_clip`.

    Args:
        job: the same clip, opened once more.

    Raises:
        BlurdmError: as `deblur_clip`.
    """
    encoding = plan_output(job.clip, container_of(job.target), job.options, job.run)[0]
    job, _ = _steadied(job, encoding)
    store = join_store(job.target, encoding, job.manifest, job.take)
    job.claims.wait(job.count(job.restore(store)))


def plan_clip(
    source: Path, target: Path, options: VideoOptions, run: RunOptions = RunOptions()
) -> list[str]:
    """List what would not be kept of a clip, one line each.

    Raises:
        BlurdmError: as `deblur_clip`, as far as it can be known in advance.
    """
    clip = open_source(source, options)[0]
    if is_sequence(target):
        return [] if clip.is_pictures else [NO_SOUND]
    return plan_output(clip, container_of(target), options, run)[2]


NO_SOUND = "an image sequence holds no sound and no timestamps"


def _write_pictures(job: ClipJob) -> tuple[Summary, list[str]]:
    """Restore into an image sequence."""
    args = (job.target, job.numbers, job.manifest, job.run, job.clip.matrix)
    with open_pictures(*args) as store:
        summary = job.restore(store)
        store.clear()
    return summary, [*([] if job.clip.is_pictures else [NO_SOUND]), *store.notes]


def _write_video(job: ClipJob) -> tuple[Summary, list[str]] | None:
    """Restore into segments, and mux them; None if another worker left a segment."""
    container = container_of(job.target)
    encoding, kept, notes = plan_output(job.clip, container, job.options, job.run)
    job, steady = _steadied(job, encoding)
    restored = dict[str, None]()
    args = (job.target, encoding, job.manifest, job.take)
    with open_store(*args, resume=job.run.resume) as store:
        summary = job.restore(store)
        if summary.frames:
            count = job.count(summary)
            job.claims.wait(count)
            segments = store.whole(count)
            if segments is None:
                return None
            start, end = job.options.start, _end(job, segments[-1], encoding, container)
            clip = (job.clip, container, encoding, segments, kept, job.target)
            notes += mux(*clip, start=start, end=end, metadata=job.run.metadata, seal=job.seal)
            restored = dict.fromkeys(note for segment in segments for note in segment.notes)
        store.clear()
    return summary, [*notes, *job.notes, *steady.warnings(), *restored]


def _steadied(job: ClipJob, encoding: Encoding) -> tuple[ClipJob, Steady]:
    """Number the frames at the encoding's rate, if the container has no timestamps."""
    container = container_of(job.target)
    steady = Steady(container, encoding, job.clip.begin + (job.options.start or 0))
    return (replace(job, frames=steady(job.frames)) if container in STEADY else job), steady


def _end(job: ClipJob, last: Segment, encoding: Encoding, container: str) -> Fraction | None:
    """End of the other streams in seconds from the clip's start; None: their own end."""
    if job.options.frames is None:
        return job.options.end
    shown = max(coded.pts + coded.duration for coded in last.frames)
    zero = -(job.options.start or 0) if container in STEADY else job.clip.begin
    return shown * encoding.time_base - zero
