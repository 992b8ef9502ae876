"""A clip's way through the engine: frames are decoded, restored and encoded at the same time.

    decode, see as RGB, score ──queue──> restore ──queue──> write into the planes, encode

Each stage has a thread; the queues hold a few frames, so memory does not grow with the clip.
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
"""Bytes of frames that may wait in one queue; one frame may always."""

MOST_QUEUED = 4


@runtime_checkable
class Writer(Protocol):
    """Takes the frames of one segment."""

    def write(self, frame: VideoFrame) -> None: ...


@runtime_checkable
class Sink(Protocol):
    """Where restored frames go, segment by segment."""

    @property
    def done(self) -> int:
        """How many frames earlier runs finished."""
        ...

    @property
    def state(self) -> dict[str, Any]:
        """What they left to know."""
        ...

    def writer(self, state: dict[str, Any]) -> AbstractContextManager[Writer]: ...


@dataclass(frozen=True, eq=False)
class Work:
    """A frame on its way."""

    frame: VideoFrame
    state: dict[str, Any]
    """What is known of the clip up to here."""
    blurred: np.ndarray | None
    """Its RGB; None: it is sharp, and is left alone."""
    restored: np.ndarray | None = None
    notes: tuple[str, ...] = ()


@dataclass
class Told:
    """How a clip went."""

    frames: int = 0
    """In the result, those of earlier runs included."""
    earlier: int = 0
    """How many earlier runs finished."""
    sharp: int = 0
    """How many of this run's were left alone."""
    notes: dict[str, None] = field(default_factory=dict)


Advance = Callable[[int, int], None]
"""Is told how many frames are done, and how many restored ones wait for the encoder."""


def restore_frames(
    frames: Iterable[VideoFrame],
    sink: Sink,
    deblurrer: Deblurrer,
    *,
    segment: int,
    all_frames: bool = False,
    advance: Advance = lambda done, lag: None,
) -> Told:
    """Restore a clip's frames into a sink, from where earlier runs ended.

    Args:
        frames: all that are wanted, from the first one on.
        sink: where they go.
        deblurrer: restores them.
        segment: frames in each segment, but for the last one.
        all_frames: whether sharp frames are restored too.
        advance: is told after each frame.
    """
    told = Told(frames=sink.done, earlier=sink.done)
    sharpness = None if all_frames else Sharpness(**sink.state)
    left = islice(frames, told.frames, None)
    first = next(left, None)
    if first is None:
        return told
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
                    told.frames += 1
                    told.sharp += work.blurred is None
                    told.notes |= dict.fromkeys(work.notes)
                    advance(told.frames, restored.waiting)
    return told


def _seen(frames: Iterable[VideoFrame], sharpness: Sharpness | None) -> Iterator[Work]:
    """Frames as RGB; the sharp ones without."""
    for frame in frames:
        pixels = to_rgb(frame)
        if sharpness is None:
            yield Work(frame, {}, pixels)
        else:
            is_sharp = sharpness.follow(pixels)
            yield Work(frame, sharpness.state(), None if is_sharp else pixels)


def _restored(works: Iterable[Work], deblurrer: Deblurrer) -> Iterator[Work]:
    """Works with what the engine made of them, in their order."""
    given: deque[Work] = deque()

    def photos() -> Iterator[np.ndarray | None]:
        for work in works:
            given.append(work)
            yield work.blurred

    for result in deblurrer.restore_each(photos()):
        work = given.popleft()
        yield replace(work, restored=result.pixels, notes=result.notes) if result else work


def _finished(work: Work) -> VideoFrame:
    """The frame with what was restored written into it."""
    if work.restored is not None:
        difference = work.restored
        difference -= work.blurred  # the only use of both
        change(work.frame, difference)
    return work.frame
