import tracemalloc

import numpy as np
import pytest

from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.errors import OutOfMemory
from tests.engine.fake import NINE_TILES, FakeRuntime, FakeRuntimeWithoutMemory, box, photo, spec


@pytest.mark.parametrize("tile_number", [1, 2, 5, 9])
@pytest.mark.parametrize("batch", [1, 4])
def test_memory_that_runs_out_at_any_tile_changes_nothing(tile_number: int, batch: int) -> None:
    """From some tile on, only a third of a tile's pixels fit."""
    pixels = photo(NINE_TILES, NINE_TILES)
    runtime = FakeRuntime(box, lambda call, size: call * batch >= tile_number and size > 90_000)
    deblurrer = Deblurrer(runtime, spec(), tile=512, batch=batch)
    seen: list[tuple[int, int]] = []

    restored = deblurrer(pixels, lambda *at: seen.append(at))

    np.testing.assert_array_equal(restored, Deblurrer(FakeRuntime(box), spec(), tile=512)(pixels))
    assert (deblurrer.tiles.side, deblurrer.tiles.batch) == (256, 1)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1] == (9, 9)


def test_nothing_is_done_twice_when_memory_runs_out() -> None:
    runtime = FakeRuntime(fails=lambda call, size: call >= 4 and size > 70_000)
    deblurrer = Deblurrer(runtime, spec(), tile=512, batch=2)

    deblurrer(photo(NINE_TILES, NINE_TILES))

    assert len({tile.tobytes() for tile in runtime.tiles}) == len(runtime.tiles)
    assert [tile.shape[1] for tile in runtime.tiles[:6]] == [512] * 6
    assert max(tile.shape[1] for tile in runtime.tiles[6:]) <= 256


def test_the_next_photo_starts_with_the_tile_that_fitted() -> None:
    runtime = FakeRuntime(fails=lambda call, size: size > 70_000)
    deblurrer = Deblurrer(runtime, spec(), tile=512, halo=100)
    deblurrer(photo(792, 300))
    failed = runtime.calls - len(runtime.batches)

    deblurrer(photo(792, 300))

    assert (deblurrer.tiles.side, deblurrer.tiles.halo) == (248, 62)
    assert runtime.calls - len(runtime.batches) == failed == 1


@pytest.mark.parametrize("tile", [1024, 128, 64])
def test_memory_that_does_not_hold_the_smallest_tile_is_an_error(tile: int) -> None:
    runtime = FakeRuntime(fails=lambda call, size: True)
    with pytest.raises(OutOfMemory, match=r"A \d+-pixel tile") as caught:
        Deblurrer(runtime, spec(), tile=tile, batch=4)(photo(2560, 2560))
    assert runtime.calls < 10
    assert caught.value.tile <= 2 * min(tile, 128)


def test_a_12_megapixel_photo_needs_less_than_300_megabytes() -> None:
    pixels = np.zeros((3000, 4000, 3), dtype=np.uint8)
    deblurrer = Deblurrer(FakeRuntimeWithoutMemory(), spec(tile=512, halo=32), batch=4)

    tracemalloc.start()
    try:
        deblurrer(pixels)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak - pixels.nbytes < 300 * 2**20  # the result is counted: take it off
