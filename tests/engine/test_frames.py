from collections.abc import Callable, Iterator
from itertools import count
from threading import Barrier

import numpy as np
import pytest

from blurdm_cli.engine.deblur import Deblurrer
from tests.engine.fake import NINE_TILES, FakeRuntime, box, photo, spec


@pytest.mark.parametrize("batch", [1, 2, 4, 6, 8])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_frames_restored_together_are_what_each_is_alone(batch: int, dtype: str) -> None:
    frames = [np.roll(photo(150, 210, dtype), 40 * n, axis=1) for n in range(4)]
    alone = [Deblurrer(FakeRuntime(box), spec())(frame) for frame in frames]

    together = Deblurrer(FakeRuntime(box), spec(), batch=batch).restore_each(frames)

    for result, expected in zip(together, alone, strict=True):
        np.testing.assert_array_equal(result.pixels, expected)


def test_tiles_of_several_frames_fill_batches() -> None:
    runtime = FakeRuntime()
    frames = [photo(150, 300)] * 3  # five tiles each
    list(Deblurrer(runtime, spec(), batch=4).restore_each(frames))
    assert runtime.batches == [4, 4, 4, 3]


def test_photos_of_any_size_and_type_come_back_in_their_order() -> None:
    photos = [photo(150, 300), None, photo(9, 9, "uint16"), photo(40, 300, "float32"), None, None]
    runtime = FakeRuntime(box)
    results = list(Deblurrer(runtime, spec(), batch=4).restore_each(photos))
    assert [result is None for result in results] == [pixels is None for pixels in photos]
    for result, pixels in zip(results, photos, strict=True):
        if result and pixels is not None:
            alone = Deblurrer(FakeRuntime(box), spec())(pixels)
            np.testing.assert_array_equal(result.pixels, alone)


class FakeBeside(FakeRuntime):
    """Computes two batches at a time: the first two wait until both have begun."""

    max_concurrent = 2

    def __init__(self, fails: Callable[[int, int], bool] = lambda call, pixels: False) -> None:
        super().__init__(box, fails)
        self.entered, self.both = count(), Barrier(2, timeout=20)

    def restore_concurrently(self, blurred: np.ndarray, noise: np.ndarray) -> np.ndarray:
        if next(self.entered) < 2:
            self.both.wait()
        return self.restore(blurred, noise)


def test_batches_are_computed_side_by_side_where_the_runtime_can() -> None:
    frames = [np.roll(photo(150, 300), 40 * n, axis=1) for n in range(2)]  # five tiles each
    runtime = FakeBeside()

    results = list(Deblurrer(runtime, spec()).restore_each(frames))

    assert runtime.calls == 10
    for result, frame in zip(results, frames, strict=True):
        assert result
        np.testing.assert_array_equal(result.pixels, Deblurrer(FakeRuntime(box), spec())(frame))


def test_memory_that_runs_out_side_by_side_halves_the_tile_once() -> None:
    pixels = photo(NINE_TILES, NINE_TILES)
    runtime = FakeBeside(lambda call, size: size > 90_000)
    deblurrer = Deblurrer(runtime, spec(), tile=512)
    np.testing.assert_array_equal(
        deblurrer(pixels), Deblurrer(FakeRuntime(box), spec(), tile=512)(pixels)
    )
    assert deblurrer.tiles.side == 256


def test_a_photo_of_one_tile_has_the_whole_device() -> None:
    runtime = FakeBeside()
    runtime.restore_concurrently = pytest.fail  # type: ignore[method-assign, assignment]
    Deblurrer(runtime, spec())(photo(100, 100))
    assert runtime.calls == 1


def test_a_photo_that_is_left_alone_is_not_held_up_by_those_after_it() -> None:
    taken: list[int] = []

    def photos() -> Iterator[np.ndarray | None]:
        for number in range(100):
            taken.append(number)
            yield None

    results = Deblurrer(FakeRuntime(), spec()).restore_each(photos())
    assert next(results) is None
    assert len(taken) < 10
    del results  # ends the thread


def test_memory_that_runs_out_between_frames_changes_nothing() -> None:
    frames = [photo(300, 600), photo(300, 600)[::-1].copy()]
    runtime = FakeRuntime(box, lambda call, size: call > 1 and size > 70_000)
    together = Deblurrer(runtime, spec(), tile=512, batch=2).restore_each(frames)
    for result, frame in zip(together, frames, strict=True):
        alone = Deblurrer(FakeRuntime(box), spec(), tile=512)(frame)
        np.testing.assert_array_equal(result.pixels, alone)
