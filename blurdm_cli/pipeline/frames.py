"""Frame pipeline: decode, restore and encode at the same time.

    decode, convert to RGB, score ──queue──> restore ──queue──> write into the planes, encode

Each stage has a thread. The queues hold a few frames, so memory does not grow with the clip.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from blurdm_cli.prefetch import Prefetcher
from blurdm_cli.video.sharpness import Sharpness
from blurdm_cli.video.yuv import change, to_rgb

if TYPE_CHECKING:
    import numpy as np
    from av.video.frame import VideoFrame

    from blurdm_cli.engine.deblur import Deblurrer
    from blurdm_cli.video.segments import Whose

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

    def whose(self, number: int) -> Whose:
        """Who restores a segment; called once for each of those that earlier runs left open."""
        ...

    def writer(
        self, number: int, state: dict[str, Any], notes: Mapping[str, None]
    ) -> AbstractContextManager[Writer]: ...


@dataclass(frozen=True, eq=False)
class Work:
    """One frame in the pipeline."""

    number: int
    """The frame's number in the clip, from 0."""
    frame: VideoFrame
    state: dict[str, Any]
    """State of the sharpness detector after this frame."""
    blurred: np.ndarray | None
    """Its RGB pixels; None: the frame is sharp and is copied unchanged."""
    restored: np.ndarray | None = None
    notes: tuple[str, ...] = ()


@dataclass
class Summary:
    """Counts of a restored clip."""

    frames: int = 0
    """Frames in the result, including those of earlier runs and of other workers."""
    earlier: int = 0
    """Frames that earlier runs finished."""
    sharp: int = 0
    """Other frames that were sharp and copied unchanged."""


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

    Frames of segments that others restore are decoded and scored too: whether a frame is sharp
    depends on those before it.

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
    left = islice(frames, sink.done, None)
    first = next(left, None)
    if first is None:
        return summary
    depth = max(1, min(MOST_QUEUED, QUEUED // (first.height * first.width * 12)))
    seen = Prefetcher(_seen(chain([first], left), sharpness, sink, segment, summary), depth)
    with seen, Prefetcher(_restored(seen, deblurrer), depth) as restored:
        works = iter(restored)
        while (begin := next(works, None)) is not None:
            state, notes = dict[str, Any](), dict[str, None]()
            with sink.writer(begin.number // segment, state, notes) as writer:
                for work in chain([begin], islice(works, segment - 1)):
                    writer.write(_finished(work))
                    state |= work.state
                    notes |= dict.fromkeys(work.notes)
                    advance(work.number + 1, restored.waiting)
    return summary


def _seen(
    frames: Iterable[VideoFrame],
    sharpness: Sharpness | None,
    sink: Sink,
    segment: int,
    summary: Summary,
) -> Iterator[Work]:
    """Convert our frames to RGB, and drop the pixels of sharp ones; count all frames."""
    whose: Whose = "ours"
    for number, frame in enumerate(frames, summary.frames):
        if number % segment == 0:
            whose = sink.whose(number // segment)
        pixels = to_rgb(frame) if sharpness or whose == "ours" else None
        is_sharp = pixels is not None and sharpness is not None and sharpness.follow(pixels)
        summary.frames += 1
        summary.earlier += whose == "earlier"
        summary.sharp += is_sharp and whose != "earlier"
        if whose == "ours":
            state = sharpness.state() if sharpness else {}
            yield Work(number, frame, state, None if is_sharp else pixels)


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
