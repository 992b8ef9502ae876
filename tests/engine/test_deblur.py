import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blurdm_cli.engine import deblur
from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.engine.runtime import Runtime
from blurdm_cli.errors import ComputeError, OutOfMemory, UsageError
from blurdm_cli.spec import ModelSpec
from tests.engine.fake import FakeRuntime, box, coarse, photo, spec, whole


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
