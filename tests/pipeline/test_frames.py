import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from av.video.frame import VideoFrame

from blurdm_cli.errors import OutOfMemory
from blurdm_cli.pipeline import frames as streaming
from blurdm_cli.pipeline.frames import Summary, restore_frames
from blurdm_cli.video.segments import Whose
from blurdm_cli.video.sharpness import Sharpness
from blurdm_cli.video.yuv import from_rgb, to_rgb
from tests.clips import FakeRuntime, fake_deblurrer, scene


class Kept:
    """A sink that keeps frames in memory."""

    def __init__(self, done: int = 0, **others: Whose) -> None:
        self.done, self.state = done, dict[str, Any]()
        self.others = others
        self.segments: list[list[VideoFrame]] = []

    def whose(self, number: int) -> Whose:
        return self.others.get(f"_{number}", "ours")

    @contextmanager
    def writer(
        self, number: int, state: dict[str, Any], notes: Mapping[str, None]
    ) -> Iterator["Kept"]:
        self.segments.append([])
        yield self
        self.state = dict(state)

    def write(self, frame: VideoFrame) -> None:
        self.segments[-1].append(frame)

    @property
    def times(self) -> list[int | None]:
        return [frame.pts for segment in self.segments for frame in segment]


def clip(count: int, height: int = 48, width: int = 64) -> Iterator[VideoFrame]:
    for number in range(count):
        frame = from_rgb(scene(number, height, width), "yuv444p")
        frame.pts, frame.time_base, frame.duration = number, Fraction(1, 25), 1
        yield frame


def test_frames_come_in_order_and_in_segments() -> None:
    sink = Kept()
    summary = restore_frames(clip(17), sink, fake_deblurrer(), segment=5, all_frames=True)
    assert sink.times == list(range(17))
    assert [len(segment) for segment in sink.segments] == [5, 5, 5, 2]
    assert (summary.frames, summary.sharp) == (17, 0)


def test_what_is_done_is_not_done_again() -> None:
    sink, deblurrer = Kept(done=12), fake_deblurrer()
    summary = restore_frames(clip(17), sink, deblurrer, segment=5, all_frames=True)
    assert sink.times == list(range(12, 17))
    assert summary.frames == 17
    assert isinstance(deblurrer.runtime, FakeRuntime)
    assert sum(deblurrer.runtime.batches) == 5 * 1


def test_sharp_frames_are_left_alone_between_blurred_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.9, 0.2, 0.2, 0.9, 0.2, 0.9, 0.9])
    monkeypatch.setattr("blurdm_cli.video.sharpness.blur_score", lambda pixels: next(scores))
    sink = Kept()

    summary = restore_frames(clip(7), sink, fake_deblurrer(0.5, batch=4), segment=9)

    assert sink.times == list(range(7))
    assert summary.sharp == 3
    lighter = [
        bool(to_rgb(frame).mean() > to_rgb(given).mean() + 0.1)
        for frame, given in zip(sink.segments[0], clip(7), strict=True)
    ]
    assert lighter == [True, False, False, True, False, True, True]
    assert Sharpness(**sink.state) == Sharpness(False, sink.state["histogram"])


def test_segments_of_others_decide_which_frames_are_sharp_but_are_not_restored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def restored(**others: Whose) -> tuple[dict[int | None, float], Summary]:
        scores = iter([0.9, 0.2, 0.6, 0.6, 0.2, 0.9, 0.6])
        monkeypatch.setattr("blurdm_cli.video.sharpness.blur_score", lambda pixels: next(scores))
        sink = Kept(**others)
        summary = restore_frames(clip(7), sink, fake_deblurrer(0.5), segment=2)
        frames = (frame for segment in sink.segments for frame in segment)
        return {frame.pts: float(to_rgb(frame).mean()) for frame in frames}, summary

    whole, alone = restored()
    first, shared = restored(_1="others", _3="others")
    second, resumed = restored(_0="earlier", _2="earlier")
    assert first.keys() == {0, 1, 4, 5}
    assert first | second == whole
    assert shared == alone
    assert resumed == replace(alone, earlier=4, sharp=2)


def test_tiles_of_several_frames_share_batches() -> None:
    sink, deblurrer = Kept(), fake_deblurrer(batch=4)
    assert len(deblurrer.tiles.plan(100, 50).corners) == 2
    restore_frames(clip(7, 100, 50), sink, deblurrer, segment=99, all_frames=True)
    assert isinstance(deblurrer.runtime, FakeRuntime)
    assert deblurrer.runtime.batches == [4, 4, 4, 2]


def test_no_more_than_a_few_frames_are_decoded_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "MOST_QUEUED", 2)
    decoded, ahead = 0, list[int]()

    def source() -> Iterator[VideoFrame]:
        nonlocal decoded
        for frame in clip(40):
            decoded += 1
            yield frame

    def advance(done: int, lag: int) -> None:
        ahead.append(decoded - done)
        assert lag <= 2

    restore_frames(source(), Kept(), fake_deblurrer(), segment=9, all_frames=True, advance=advance)
    assert max(ahead) <= 2 + 1 + 2 + 2 + 5  # four queues, and one frame in each hand


def test_an_error_in_any_stage_ends_all_of_them() -> None:
    before = threading.active_count()

    def broken() -> Iterator[VideoFrame]:
        yield from clip(3)
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        restore_frames(broken(), Kept(), fake_deblurrer(), segment=2)

    deblurrer = fake_deblurrer()

    def fail(blurred: np.ndarray, noise: np.ndarray) -> np.ndarray:
        raise OutOfMemory("fake", 64)

    deblurrer.runtime.restore = fail  # type: ignore[method-assign]
    with pytest.raises(OutOfMemory):
        restore_frames(clip(9), Kept(), deblurrer, segment=2, all_frames=True)
    assert threading.active_count() == before
