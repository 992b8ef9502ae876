"""Frame pipeline: decode, restore and encode at the same time.

    decode, convert to RGB, score ──queue──> restore ──queue──> write into the planes, encode

Each stage has a thread. The queues hold a few frames, so memory does not grow with the clip.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from blurdm_cli.prefetch import Prefetcher
from blurdm_cli.video.sharpness import Sharpness
from blurdm_cli.video.yuv import change, to_rgb

if TYPE_CHECKING:
    import numpy as np
    from av.video.frame import VideoFrame

    from blurdm_cli.engine.deblur import Deblurrer

QUEUED = 96 * 2**20
"""Bytes of frames that one queue may hold; it always holds at least one frame."""

MOST_QUEUED = 4


@runtime_checkable
class Writer(Protocol):
    """Writes the frames of one segment."""

    def write(self, frame: VideoFrame) -> None: ...


@runtime_checkable
class Sink(Protocol):
    """Destination of restored frames, segment by segment."""

    @property
    def done(self) -> int:
        """Number of frames that earlier runs finished."""
        ...

    @property
    def state(self) -> dict[str, Any]:
        """State that earlier runs saved."""
        ...

    def writer(self, state: dict[str, Any]) -> AbstractContextManager[Writer]: ...


@dataclass(frozen=True, eq=False)
class Work:
    """One frame in the pipeline."""

    frame: VideoFrame
    state: dict[str, Any]
    """State of the sharpness detector after this frame."""
    blurred: np.ndarray | None
    """Its RGB pixels; None: the frame is sharp and is copied unchanged."""
    restored: np.ndarray | None = None
    notes: tuple[str, ...] = ()


@dataclass
class Summary:
    """Counts and notes of a restored clip."""

    frames: int = 0
    """Frames in the result, including those of earlier runs."""
    earlier: int = 0
    """Frames that earlier runs finished."""
    sharp: int = 0
    """Sharp frames of this run that were copied unchanged."""
    notes: dict[str, None] = field(default_factory=dict)


Advance = Callable[[int, int], None]
"""Called with the number of finished frames, and of restored frames waiting for the encoder."""


def restore_frames(
    frames: Iterable[VideoFrame],
    sink: Sink,
    deblurrer: Deblurrer,
    *,
    segment: int,
    all_frames: bool = False,
    advance: Advance = lambda done, lag: None,
) -> Summary:
    """Restore a clip's frames into a sink, continuing where earlier runs ended.

    Args:
        frames: all selected frames, from the first one on.
        sink: destination of the frames.
        deblurrer: restores the frames.
        segment: frames in each segment, except the last.
        all_frames: whether to restore sharp frames too.
        advance: called after each frame.
    """
    summary = Summary(frames=sink.done, earlier=sink.done)
    sharpness = None if all_frames else Sharpness(**sink.state)
    left = islice(frames, summary.frames, None)
    first = next(left, None)
    if first is None:
        return summary
    depth = max(1, min(MOST_QUEUED, QUEUED // (first.height * first.width * 12)))
    seen = Prefetcher(_seen(chain([first], left), sharpness), depth)
    with seen, Prefetcher(_restored(seen, deblurrer), depth) as restored:
        works = iter(restored)
        while (begin := next(works, None)) is not None:
            state: dict[str, Any] = {}
            with sink.writer(state) as writer:
                for work in chain([begin], islice(works, segment - 1)):
                    writer.write(_finished(work))
                    state |= work.state
                    summary.frames += 1
                    summary.sharp += work.blurred is None
                    summary.notes |= dict.fromkeys(work.notes)
                    advance(summary.frames, restored.waiting)
    return summary


def _seen(frames: Iterable[VideoFrame], sharpness: Sharpness | None) -> Iterator[Work]:
    """Convert frames to RGB; drop the pixels of sharp ones."""
    for frame in frames:
        pixels = to_rgb(frame)
        if sharpness is None:
            yield Work(frame, {}, pixels)
        else:
            is_sharp = sharpness.follow(pixels)
            yield Work(frame, sharpness.state(), None if is_sharp else pixels)


def _restored(works: Iterable[Work], deblurrer: Deblurrer) -> Iterator[Work]:
    """Add the restored pixels to the frames, in order."""
    given: deque[Work] = deque()

    def photos() -> Iterator[np.ndarray | None]:
        for work in works:
            given.append(work)
            yield work.blurred

    for result in deblurrer.restore_each(photos()):
        work = given.popleft()
        yield replace(work, restored=result.pixels, notes=result.notes) if result else work


def _finished(work: Work) -> VideoFrame:
    """Write the restored pixels into the frame."""
    if work.restored is not None:
        difference = work.restored
        difference -= work.blurred  # in place: neither is used again
        change(work.frame, difference)
    return work.frame
