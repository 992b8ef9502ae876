"""An open clip, its selected frames, and the options for it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blurdm_cli.errors import UsageError
from blurdm_cli.files.atomic import Seal
from blurdm_cli.pipeline.claims import Claims
from blurdm_cli.pipeline.frames import Sink, Summary, restore_frames
from blurdm_cli.pipeline.options import RunOptions, VideoOptions
from blurdm_cli.pipeline.reporter import Advance
from blurdm_cli.pipeline.sequences import manifest_of, numbers_of, pictures_of
from blurdm_cli.video.clip import Clip
from blurdm_cli.video.image_sequence import open_sequence, read_sequence
from blurdm_cli.video.losses import Losses
from blurdm_cli.video.reader import open_clip, read_frames
from blurdm_cli.video.segments import SECONDS

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from blurdm_cli.engine.deblur import Deblurrer


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
    claims: Claims

    @property
    def segment(self) -> int:
        """Frames in a segment."""
        return max(1, round(self.clip.rate * SECONDS / self.options.every))

    def take(self, number: int) -> bool:
        """Claim a segment."""
        frames = self.progress.expected
        return self.claims.take(number, frames and -(-frames // self.segment))

    def count(self, summary: Summary) -> int:
        """Number of all segments."""
        return -(-summary.frames // self.segment)

    def restore(self, sink: Sink) -> Summary:
        return restore_frames(
            self.frames,
            sink,
            self.deblurrer,
            segment=self.segment,
            all_frames=self.options.all_frames,
            advance=self.progress,
        )


def open_job(
    source: Path,
    target: Path,
    deblurrer: Deblurrer,
    options: VideoOptions,
    run: RunOptions,
    settings: str,
    advance: Advance,
    seal: Seal,
    claims: Claims,
) -> ClipJob:
    """Open a clip; the arguments are those of `deblur_clip`.

    Raises:
        BlurdmError: it cannot be read, or the options do not fit it.
    """
    losses, notes = Losses(), dict[str, None]()
    clip, files = open_source(source, options)
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
        claims,
    )


def open_source(source: Path, options: VideoOptions) -> tuple[Clip, dict[int, Path]]:
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
