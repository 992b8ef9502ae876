from collections.abc import Callable

import numpy as np
import pytest

from blurdm_cli.engine import guard
from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.engine.self_ensemble import EIGHT, turned, turned_back
from blurdm_cli.errors import ComputeError
from tests.engine.fake import FakeRuntime, photo, spec
from tests.motion.scenes import blurred, page, path_kernel


def nothing(tiles: np.ndarray) -> np.ndarray:
    return np.full_like(tiles, np.nan)


def one_colour(tiles: np.ndarray) -> np.ndarray:
    return np.full_like(tiles, 0.4)


def brighter(tiles: np.ndarray) -> np.ndarray:
    return tiles + np.float32(0.2)


@pytest.mark.parametrize("garbage", [nothing, one_colour])
def test_garbage_is_redone_in_fp32_and_said(garbage: Callable[[np.ndarray], np.ndarray]) -> None:
    opened: list[FakeRuntime] = []

    def in_fp32() -> FakeRuntime:
        opened.append(FakeRuntime())
        return opened[-1]

    pixels = photo(300, 300)
    restored = Deblurrer(FakeRuntime(garbage), spec(), in_fp32=in_fp32).restore(pixels)
    np.testing.assert_array_equal(restored.pixels, pixels)
    assert restored.guarded
    assert len(opened) == 1
    (note,) = restored.notes
    assert "bf16" in note
    assert "fp32" in note


@pytest.mark.parametrize("garbage", [nothing, one_colour])
def test_garbage_in_fp32_too_is_an_error(garbage: Callable[[np.ndarray], np.ndarray]) -> None:
    deblurrer = Deblurrer(FakeRuntime(garbage), spec(), in_fp32=lambda: FakeRuntime(garbage))
    with pytest.raises(ComputeError, match="not an image"):
        deblurrer(photo(100, 100))


def test_a_strict_guard_fails_instead_of_mending() -> None:
    for wrong in (nothing, brighter):
        deblurrer = Deblurrer(FakeRuntime(wrong), spec(), guard="strict", in_fp32=FakeRuntime)
        with pytest.raises(ComputeError, match="looks wrong"):
            deblurrer(photo(100, 100))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_light_that_was_made_up_is_taken_off_again(dtype: str) -> None:
    """A gray photo with detail: nothing clips, so that all of it comes back."""
    pixels = (photo(200, 330, dtype) * 0.3 + photo(200, 330, dtype) * 0.2).astype(dtype)
    restored = Deblurrer(FakeRuntime(brighter), spec()).restore(pixels)
    white = 1.0 if dtype == "float32" else np.iinfo(dtype).max
    difference = restored.pixels.astype(float) / white - pixels.astype(float) / white
    assert restored.guarded
    assert "brightness" in restored.notes[0]
    assert np.abs(difference).max() < 0.006


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_region_nothing_like_the_photo_is_left_as_it_was_and_the_rest_stays_restored(
    dtype: str,
) -> None:
    """The answer of the left quarter is inverted about gray: its light is right, and no more."""

    def wild(tiles: np.ndarray) -> np.ndarray:
        found = tiles + np.float32(0.01)
        found[..., :128] = np.where(tiles[..., :128] > 0.5, 0, 1)
        return found

    rng = np.random.default_rng(0)
    white = 1.0 if dtype == "float32" else np.iinfo(dtype).max
    pixels = (white * rng.choice([0.3, 0.7], (256, 512, 3))).astype(dtype)
    restored = Deblurrer(FakeRuntime(wild), spec(), tile=512).restore(pixels)
    assert restored.guarded
    assert "nothing like the photo" in restored.notes[0]
    np.testing.assert_array_equal(restored.pixels[:, :128], pixels[:, :128])
    added = restored.pixels[:, 256:].astype(float) - pixels[:, 256:]
    assert np.abs(added / white - 0.01).max() < 0.5 / 255 + 1e-6
    steps = np.abs(np.diff((restored.pixels.astype(float) - pixels) / white, axis=1)).max()
    assert steps < 1.5 / 255


def test_without_a_guard_the_answer_is_taken_as_it_comes() -> None:
    restored = Deblurrer(FakeRuntime(one_colour), spec(), guard="off").restore(photo(100, 100))
    assert not restored.guarded
    assert set(np.unique(restored.pixels)) == {102}


def test_a_flat_photo_is_no_garbage() -> None:
    flat = np.full((90, 90, 3), 33, np.uint8)
    assert not Deblurrer(FakeRuntime(), spec()).restore(flat).guarded


@pytest.mark.parametrize("number", EIGHT)
def test_turning_back_undoes_turning(number: int) -> None:
    tiles = np.random.default_rng(0).random((2, 3, 4, 6), dtype=np.float32)
    np.testing.assert_array_equal(turned_back(turned(tiles, number), number), tiles)


def test_eight_turns_make_eight_different_tiles_and_the_average_of_their_answers() -> None:
    def left_to_right(tiles: np.ndarray) -> np.ndarray:
        return tiles * np.linspace(0, 1, tiles.shape[3], dtype=np.float32)

    runtime = FakeRuntime(left_to_right)
    pixels = photo(64, 64, "float32")
    restored = Deblurrer(runtime, spec(), tta=True, guard="off")(pixels)
    assert runtime.calls == 8
    assert len({tile.tobytes() for tile in runtime.tiles}) == 8
    np.testing.assert_allclose(restored, pixels * 0.5, atol=1e-6)


def test_a_page_that_is_legible_again_is_no_alarm_where_its_motion_is_known() -> None:
    sharp, kernel = page(256), path_kernel(14, 7)
    before, after = (
        np.rint(image * 255).astype(np.uint8) for image in (blurred(sharp, kernel), sharp)
    )
    restored, notes = guard.mended(before, after, 255.0, kernel.shape[0])
    assert not notes
    np.testing.assert_array_equal(restored, after)


def test_a_motion_excuses_no_pattern_that_is_coarser_than_it() -> None:
    photo = np.full((256, 256, 3), 128, np.uint8)
    wild = photo.copy()
    wild[:128, (np.arange(256) // 32) % 2 == 0] = 255
    wild[:128, (np.arange(256) // 32) % 2 == 1] = 0
    restored, notes = guard.mended(photo, wild, 255.0, 9)
    assert notes
    assert np.abs(restored[:100].astype(int) - photo[:100]).mean() < 20
