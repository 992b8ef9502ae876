import os
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import count
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blurdm_cli.engine import deblur
from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.engine.runtime import Runtime
from blurdm_cli.errors import ComputeError, OutOfMemory, UsageError
from blurdm_cli.spec import BackboneSpec, ModelSpec, PriorSpec


class FakeRuntime(Runtime):
    """Applies a function to tiles, remembers them, and runs out of memory when told to.

    `fails` is asked with the number of the call, from 1, and the pixels in the batch.
    """

    name, device, precision = "fake", "cpu", "bf16"

    def __init__(
        self,
        function: Callable[[np.ndarray], np.ndarray] = lambda tiles: tiles,
        fails: Callable[[int, int], bool] = lambda call, pixels: False,
    ) -> None:
        self.function = function
        self.fails = fails
        self.calls = 0
        self.tiles: list[np.ndarray] = []
        self.batches: list[int] = []
        self.noises: list[np.ndarray] = []

    def restore(self, blurred: np.ndarray, noise: np.ndarray) -> np.ndarray:
        self.calls += 1
        if self.fails(self.calls, blurred[:, 0].size):
            raise OutOfMemory(self.device, tile=max(blurred.shape[2:]))
        self.tiles += [tile.copy() for tile in blurred]
        self.batches.append(len(blurred))
        self.noises += list(noise)
        return self.function(blurred)


def spec(**facts: Any) -> ModelSpec:
    facts = {"multiple_of": 8, "tile": 128, "halo": 16} | facts
    return ModelSpec("fake", BackboneSpec("none"), PriorSpec(channels=5), **facts)


def photo(height: int, width: int, dtype: str = "uint8") -> np.ndarray:
    values = np.random.default_rng(0).random((height, width, 3), dtype=np.float32)
    if dtype == "float32":
        return values
    return (values * (np.iinfo(dtype).max + 0.999)).astype(dtype)


def box(tiles: np.ndarray) -> np.ndarray:
    """The mean of 9 x 9 neighbours, with black around: local, with a radius of 4."""
    height, width = tiles.shape[2:]
    around = np.pad(tiles, ((0, 0), (0, 0), (4, 4), (4, 4)))
    rows = sum(around[:, :, y : y + height] for y in range(9))
    return sum(rows[..., x : x + width] for x in range(9)) / np.float32(81)


def coarse(tiles: np.ndarray) -> np.ndarray:
    """Each square of 8 x 8 becomes its mean: local, but it matters where a tile starts."""
    n, channels, height, width = tiles.shape
    means = tiles.reshape(n, channels, height // 8, 8, width // 8, 8).mean(axis=(3, 5))
    return means.repeat(8, axis=2).repeat(8, axis=3)


def whole(function: Callable[[np.ndarray], np.ndarray], pixels: np.ndarray) -> np.ndarray:
    """What comes of a photo in one piece."""
    return function(pixels.transpose(2, 0, 1)[None])[0].transpose(1, 2, 0)


def test_the_fake_is_a_runtime() -> None:
    assert isinstance(FakeRuntime(), Runtime)


@given(
    height=st.integers(1, 700),
    width=st.integers(1, 700),
    tile=st.integers(64, 300),
    halo=st.integers(0, 31),
    multiple_of=st.sampled_from([1, 2, 8, 16, 32]),
    batch=st.integers(1, 5),
    dtype=st.sampled_from(["uint8", "uint16", "float32"]),
)
@settings(deadline=None, max_examples=60)
def test_identity_tiles_give_the_photo_back_and_suit_the_model(
    height: int, width: int, tile: int, halo: int, multiple_of: int, batch: int, dtype: str
) -> None:
    halo = min(halo, (tile - tile % multiple_of) // 3)
    runtime, pixels = FakeRuntime(), photo(height, width, dtype)
    deblurrer = Deblurrer(runtime, spec(multiple_of=multiple_of), tile=tile, halo=halo, batch=batch)

    restored = deblurrer(pixels)

    np.testing.assert_allclose(restored, pixels, rtol=0, atol=1e-6 if dtype == "float32" else 0)
    assert restored.dtype == pixels.dtype
    for tile_seen in runtime.tiles:
        assert all(side % multiple_of == 0 for side in tile_seen.shape[1:])
        assert tile_seen[0].size <= tile**2
        assert tile_seen.min() >= 0
        assert tile_seen.max() <= 1


class OneSizeRuntime(FakeRuntime):
    """Takes single tiles of one size."""

    def __init__(self, *size: int, fails: Callable[[int, int], bool] = lambda *_: False) -> None:
        super().__init__(fails=fails)
        self.fixed_size = (size[0], size[1])


@pytest.mark.parametrize("size", [(64, 64), (40, 96), (256, 128)])
@pytest.mark.parametrize("taken", [(1, 1), (30, 200), (300, 90)])
def test_a_graph_of_one_size_gets_single_tiles_of_that_size(
    size: tuple[int, int], taken: tuple[int, int]
) -> None:
    runtime, pixels = OneSizeRuntime(*size), photo(*taken)
    np.testing.assert_array_equal(Deblurrer(runtime, spec())(pixels), pixels)
    assert {tile.shape[1:] for tile in runtime.tiles} == {size}
    assert set(runtime.batches) == {1}


@pytest.mark.parametrize("options", [{"tile": 128}, {"batch": 2}, {"tta": True}])
def test_what_a_graph_of_one_size_cannot_do_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="64x96 pixels, one at a time") as caught:
        Deblurrer(OneSizeRuntime(64, 96), spec(), **options)
    assert caught.value.hint


def test_a_square_graph_of_one_size_may_be_asked_for_that_and_turned() -> None:
    pixels = photo(70, 50)
    deblurrer = Deblurrer(OneSizeRuntime(64, 64), spec(), tile=64, tta=True)
    np.testing.assert_array_equal(deblurrer(pixels), pixels)


def test_tiles_of_one_size_become_no_smaller_when_memory_runs_short() -> None:
    runtime = OneSizeRuntime(512, 512, fails=lambda call, pixels: True)
    with pytest.raises(OutOfMemory):
        Deblurrer(runtime, spec())(photo(600, 600))


@pytest.mark.parametrize("size", [(1, 1), (7, 5000), (5000, 7), (128, 129)])
@pytest.mark.parametrize("colour", [(33, 25, 23), (0, 0, 0), (255, 255, 255)])
def test_flat_photos_stay_flat(size: tuple[int, int], colour: tuple[int, int, int]) -> None:
    pixels = np.full((*size, 3), colour, dtype=np.uint8)
    np.testing.assert_array_equal(Deblurrer(FakeRuntime(), spec())(pixels), pixels)


@pytest.mark.parametrize(("function", "halo"), [(box, 4), (box, 9), (coarse, 8)])
@pytest.mark.parametrize("size", [(264, 400), (64, 296), (96, 48)])
def test_a_local_network_restores_tiles_as_it_restores_the_whole_photo(
    function: Callable[[np.ndarray], np.ndarray], halo: int, size: tuple[int, int]
) -> None:
    pixels = photo(*size, "float32")
    deblurrer = Deblurrer(FakeRuntime(function), spec(), tile=64, halo=halo, guard="off")
    restored = deblurrer(pixels)
    np.testing.assert_allclose(restored, whole(function, pixels), atol=1e-6)


@pytest.mark.parametrize("size", [(271, 403), (65, 299), (720, 130)])
def test_patches_lie_where_they_do_in_one_piece_whatever_the_photos_size(
    size: tuple[int, int],
) -> None:
    pixels = photo(*size, "float32")
    tiled, untiled = (
        Deblurrer(FakeRuntime(coarse), spec(), tile=t, halo=8, guard="off") for t in (64, 768)
    )
    np.testing.assert_allclose(tiled(pixels), untiled(pixels), atol=1e-6)


def test_all_tiles_start_from_the_same_noise_which_the_seed_decides() -> None:
    def noises(seed: int) -> np.ndarray:
        runtime = FakeRuntime()
        Deblurrer(runtime, spec(), seed=seed, batch=3)(photo(300, 300))
        return np.stack(runtime.noises)

    first = noises(seed=1)
    assert first.shape == (9, 5)
    assert (first == first[0]).all()
    np.testing.assert_array_equal(first, noises(seed=1))
    assert (first != noises(seed=2)).all()


@pytest.mark.parametrize("batch", [1, 2, 4, 100])
def test_a_batch_changes_the_speed_and_nothing_else(batch: int) -> None:
    runtime, pixels = FakeRuntime(box), photo(300, 300)
    seen: list[tuple[int, int]] = []

    restored = Deblurrer(runtime, spec(), batch=batch)(pixels, lambda *at: seen.append(at))

    np.testing.assert_array_equal(restored, Deblurrer(FakeRuntime(box), spec())(pixels))
    assert runtime.batches[:-1] == [batch] * (len(runtime.batches) - 1)
    assert seen == [(done, 9) for done in range(1, 10)]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_strength_leads_from_the_photo_to_the_restored_one(dtype: str) -> None:
    pixels = photo(150, 200, dtype)

    def restore(strength: float) -> np.ndarray:
        return Deblurrer(FakeRuntime(box), spec(), strength=strength, guard="off")(pixels)

    np.testing.assert_array_equal(restore(0.0), pixels)
    mixed = 0.75 * pixels.astype(float) + 0.25 * restore(1.0).astype(float)
    within = 1e-6 if dtype == "float32" else 0.63  # two roundings
    np.testing.assert_allclose(restore(0.25), mixed, atol=within, rtol=0)


def test_values_out_of_range_are_clipped_and_halves_are_rounded_up() -> None:
    def restored(value: float, dtype: str) -> float:
        runtime = FakeRuntime(lambda tiles: np.full_like(tiles, value))
        return Deblurrer(runtime, spec(), guard="off")(photo(9, 9, dtype))[4, 4, 0].item()

    assert [restored(value, "uint8") for value in (-1, 2, 2.5 / 255)] == [0, 255, 3]
    assert [restored(value, "uint16") for value in (-1, 2, 0.5)] == [0, 65535, 32768]
    assert [restored(value, "float32") for value in (-1, 2, 0.5)] == [0, 1, 0.5]


NINE_TILES = 512 + 2 * (512 - 2 * 16 - 8)
"""Side of a photo that takes nine whole tiles of 512 pixels that overlap by twice the halo."""


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


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_tile_that_is_no_number_is_an_error(wrong: float) -> None:
    def spoil(tiles: np.ndarray) -> np.ndarray:
        tiles[-1, 0, -1, -1] = wrong
        return tiles

    with pytest.raises(ComputeError, match="bf16") as caught:
        Deblurrer(FakeRuntime(spoil), spec())(photo(300, 300))
    assert "--precision fp32" in str(caught.value.hint)


@pytest.mark.parametrize(
    "option",
    [
        {"tile": 63},
        {"tile": 128, "halo": 43},
        {"halo": -1},
        {"batch": 0},
        {"seed": -1},
        {"strength": 1.01},
        {"strength": float("nan")},
    ],
)
def test_an_option_out_of_its_range_is_refused_with_a_hint(option: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        Deblurrer(FakeRuntime(), spec(), **option)
    assert caught.value.hint


def test_a_small_tile_takes_a_smaller_halo_than_the_model_says() -> None:
    assert Deblurrer(FakeRuntime(), spec(halo=32), tile=70).tiles.halo == 16
    assert Deblurrer(FakeRuntime(), spec(halo=32), tile=300).tiles.halo == 32


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan])
def test_float_pixels_out_of_range_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"not in \[0, 1\]"):
        Deblurrer(FakeRuntime(), spec())(np.full((4, 4, 3), value, dtype=np.float32))


def test_a_model_is_opened_with_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def open_runtime(*words: str) -> tuple[FakeRuntime, ModelSpec]:
        asked.append(words)
        return FakeRuntime(), spec()

    monkeypatch.setattr(deblur, "open_runtime", open_runtime)
    deblurrer = Deblurrer.open("some-model", device="cpu", strength=0.5)

    assert asked == [("some-model", "auto", "cpu", "auto")]
    assert deblurrer.strength == 0.5


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


class FakeRuntimeWithoutMemory(FakeRuntime):
    def restore(self, blurred: np.ndarray, noise: np.ndarray) -> np.ndarray:
        return blurred


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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_deblurrer_refuses_to_work_in_a_fork() -> None:
    deblurrer = Deblurrer(FakeRuntime(), spec())
    child = os.fork()
    if not child:
        try:
            deblurrer(photo(20, 30))
        except RuntimeError as error:
            os._exit(7 if "fork" in str(error) else 1)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert deblurrer(photo(20, 30)).shape == (20, 30, 3)
