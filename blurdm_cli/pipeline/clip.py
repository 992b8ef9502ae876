"""One clip from file to file: what is kept of it, its frames, and where they go."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blurdm_cli.choices import Audio
from blurdm_cli.errors import InputError, UsageError
from blurdm_cli.files.atomic import Seal, no_seal
from blurdm_cli.files.formats import CONTAINERS
from blurdm_cli.files.numbered import is_sequence
from blurdm_cli.pipeline.frames import Sink, Told, restore_frames
from blurdm_cli.pipeline.options import RunOptions, VideoOptions
from blurdm_cli.pipeline.reporter import Advance
from blurdm_cli.pipeline.sequences import manifest_of, numbers_of, open_pictures, pictures_of
from blurdm_cli.video.codecs import STEADY
from blurdm_cli.video.encode_plan import Wish, plan_encoding
from blurdm_cli.video.encoder import Encoding, Steady
from blurdm_cli.video.image_sequence import open_sequence, read_sequence
from blurdm_cli.video.mux import mux
from blurdm_cli.video.reader import Clip, Losses, main_stream, open_clip, open_video, read_frames
from blurdm_cli.video.segments import SECONDS, Segment, open_store
from blurdm_cli.video.streams import Kept, plan_streams
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
    """Of an interrupted run that was gone on with."""
    sharp: int
    """Frames that were left alone, of this run's."""
    notes: tuple[str, ...]
    """What could not be kept, or looked wrong, a line each."""
    loss: str | None
    """What of the source could not be decoded; None where all could."""


@dataclass
class Meter:
    """How far a clip is, and how fast it goes."""

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
    """A clip that is open, and what is wanted of it."""

    clip: Clip
    frames: Iterator[VideoFrame]
    """Those that are wanted."""
    numbers: Sequence[int]
    """Theirs, where they are written as pictures."""
    losses: Losses
    notes: dict[str, None]
    """What was left out of numbered pictures when they were read, a line each."""
    target: Path
    options: VideoOptions
    run: RunOptions
    deblurrer: Deblurrer
    manifest: dict[str, Any]
    """Plain values that name all that decides the result, but for the encoding."""
    meter: Meter
    seal: Seal

    @property
    def segment(self) -> int:
        """Frames in a segment."""
        return max(1, round(self.clip.rate * SECONDS / self.options.every))

    def restore(self, sink: Sink) -> Told:
        return restore_frames(
            self.frames,
            sink,
            self.deblurrer,
            segment=self.segment,
            all_frames=self.options.all_frames,
            advance=self.meter,
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
    """Deblur one clip; an interrupted run goes on where it ended.

    Args:
        source: a video, a pattern of numbered pictures, or a folder of them.
        target: a video, or a pattern of numbered pictures.
        deblurrer: restores the frames.
        options: of videos.
        run: says how to resume, and what metadata is kept.
        settings: names all that decides what the deblurrer makes of a frame.
        advance: is told the fraction done, and how fast it goes.
        seal: see `files.Seal`; of a video.

    Raises:
        BlurdmError: the source cannot be read, the options do not fit it, or the result cannot
            be written.
    """
    job = _open(source, target, deblurrer, options, run, settings, advance, seal)
    write = _write_pictures if is_sequence(target) else _write_video
    told, notes = write(job)
    if not told.frames:
        raise InputError(f"{source}: there is no frame to restore", hint="Check --start and --end")
    whole = options.start is None and options.end is None and options.frames is None
    loss = job.losses.loss_note(job.clip, told.frames * options.every) if whole else None
    size = (job.clip.height, job.clip.width)
    if is_sequence(target) and orientation_of(job.clip.matrix) >= 5:
        size = size[::-1]
    return Result(size, told.frames, told.earlier, told.sharp, (*notes, *told.notes), loss)


def plan_clip(
    source: Path, target: Path, options: VideoOptions, run: RunOptions = RunOptions()
) -> list[str]:
    """What would not be kept of a clip, a line each.

    Raises:
        BlurdmError: as `deblur_clip`, as far as can be told beforehand.
    """
    clip = _open_source(source, options)[0]
    if is_sequence(target):
        return [] if clip.is_pictures else [NO_SOUND]
    return _plan(clip, container_of(target), options, run)[2]


NO_SOUND = "numbered pictures hold no sound and no timestamps"


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
        Meter(_expected(clip, options), advance),
        seal,
    )


def _open_source(source: Path, options: VideoOptions) -> tuple[Clip, dict[int, Path]]:
    """A clip, and its files where it is numbered pictures."""
    files = pictures_of(source, options)
    if not files:
        return open_clip(source), files
    if options.start is not None or options.end is not None:
        raise UsageError("Numbered pictures have no --start or --end", hint="Try --frames")
    return open_sequence(source, files, Fraction(options.fps).limit_denominator(1001)), files


def _selected(frames: Iterator[VideoFrame], options: VideoOptions) -> Iterator[VideoFrame]:
    """Every N-th frame, shown for N times as long, and so many of them."""
    for frame in islice(islice(frames, 0, None, options.every), options.frames):
        frame.duration *= options.every
        yield frame


def _expected(clip: Clip, options: VideoOptions) -> int | None:
    """How many frames there will be, about."""
    frames = clip.frames
    if frames is None:
        return options.frames
    if options.start is not None or options.end is not None:
        all_of_it = Fraction(frames) / clip.rate
        end = min(options.end or all_of_it, all_of_it)
        frames = max(1, round((end - (options.start or 0)) * clip.rate))
    frames = -(-frames // options.every)
    return min(frames, options.frames or frames)


def _write_pictures(job: ClipJob) -> tuple[Told, list[str]]:
    """Restore into numbered pictures."""
    store = open_pictures(job.target, job.numbers, job.manifest, job.run, job.clip.matrix)
    told = job.restore(store)
    store.clear()
    return told, [*([] if job.clip.is_pictures else [NO_SOUND]), *store.notes]


def _write_video(job: ClipJob) -> tuple[Told, list[str]]:
    """Restore into segments, and join them."""
    container = container_of(job.target)
    encoding, kept, notes = _plan(job.clip, container, job.options, job.run)
    steady = Steady(container, encoding, job.clip.begin + (job.options.start or 0))
    if container in STEADY:
        job = replace(job, frames=steady(job.frames))
    with open_store(job.target, encoding, job.manifest, resume=job.run.resume) as store:
        told = job.restore(store)
        if told.frames:
            start, end = job.options.start, _end(job, store.finished[-1], encoding, container)
            args = (job.clip, container, encoding, store.finished, kept, job.target)
            notes += mux(*args, start=start, end=end, metadata=job.run.metadata, seal=job.seal)
        store.clear()
    return told, [*notes, *job.notes, *steady.warnings()]


def _plan(
    clip: Clip, container: str, options: VideoOptions, run: RunOptions
) -> tuple[Encoding, list[Kept], list[str]]:
    """How a clip is compressed, which other streams are kept, and what is not."""
    wish = Wish(options.codec, options.crf, options.preset, options.pix_fmt)
    if clip.is_pictures and wish.pix_fmt is None and not (clip.width % 2 or clip.height % 2):
        wish = replace(wish, pix_fmt=PLAYS_EVERYWHERE.get(wish.codec or "h264"))
    every = options.every
    slower = replace(clip, rate=clip.rate / every, steady=clip.steady and clip.steady / every)
    encoding, notes = plan_encoding(slower, container, wish)
    if clip.is_pictures:
        return encoding, [], [*notes, *clip.unkept]
    with open_video(clip.path) as source:
        sound = options.audio is Audio.copy
        main = main_stream(source)
        kept, more = plan_streams(source, main, container, sound=sound, metadata=run.metadata)
    notes += more
    if clip.interlaced:
        notes.append("it is interlaced: its half pictures are restored as one")
    if clip.matrix is not None and container not in TURNED:
        notes.append(f"{container} does not say how a picture is turned")
    return encoding, kept, notes


PLAYS_EVERYWHERE = {"h264": "yuv420p", "hevc": "yuv420p", "vp9": "yuv420p", "av1": "yuv420p"}
"""The pixel format of videos that are made of pictures."""

TURNED = frozenset({"mp4", "mov", "matroska"})
"""Containers that keep a rotation."""


def _end(job: ClipJob, last: Segment, encoding: Encoding, container: str) -> Fraction | None:
    """Where the other streams end, seconds from the clip's begin; None: where they do."""
    if job.options.frames is None:
        return job.options.end
    shown = max(coded.pts + coded.duration for coded in last.frames)
    zero = -(job.options.start or 0) if container in STEADY else job.clip.begin
    return shown * encoding.time_base - zero


def container_of(target: Path) -> str:
    """FFmpeg's name of the container that a file's name asks for.

    Raises:
        UsageError: it is none that is written.
    """
    container = CONTAINERS.get(target.suffix.lower())
    if container is None:
        raise UsageError(
            f"{target.suffix or 'A name without a suffix'} is no video that can be written",
            hint=f"Known: {' '.join(suffix[1:] for suffix in CONTAINERS)};"
            " or numbered pictures: frames/%05d.png",
        )
    return container
