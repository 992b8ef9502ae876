"""A model and an expert: who is taken where."""

from collections.abc import Callable

import numpy as np
import pytest

from blurdm_cli.choices import MotionMode
from blurdm_cli.engine import expert
from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.engine.expert import choose
from blurdm_cli.engine.restored import Restored
from blurdm_cli.errors import UsageError
from blurdm_cli.motion.found import Found, Motion
from tests.engine.fake import FakeRuntime, photo, spec


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """No motion is found in any photo."""
    monkeypatch.setattr("blurdm_cli.engine.deblur.find_motion", lambda *_: Motion())


def plain(height: int, width: int, dtype: str = "uint8") -> np.ndarray:
    white = 1 if dtype == "float32" else np.iinfo(dtype).max
    return np.full((height, width, 3), white // 2 if white > 1 else 0.5, dtype)


def test_each_part_is_from_the_model_that_changes_it_more() -> None:
    blurred = plain(600, 900)  # more than two bands
    own, other = blurred.copy(), blurred.copy()
    own[:, :400] += 40
    other[:, 500:] += 50
    found = choose(blurred, Restored(own.copy()), Restored(other)).pixels
    np.testing.assert_array_equal(found[:, :250], own[:, :250])
    np.testing.assert_array_equal(found[:, 650:], other[:, 650:])
    steps = np.abs(np.diff(found[:, 250:400].astype(int), axis=1))
    assert steps.max() <= 8  # they fade into each other
    assert not np.diff(found.astype(int), axis=0).any()  # no band shows


def test_a_small_difference_in_a_small_part_changes_nothing() -> None:
    blurred = plain(256, 256)
    own, other = blurred + np.uint8(40), blurred + np.uint8(10)
    other[80:176, 80:176] += 45
    found = choose(blurred, Restored(own.copy()), Restored(other)).pixels
    np.testing.assert_array_equal(found, own)


def changed(detail: np.ndarray, change: float) -> np.ndarray:
    """A photo whose pixels change by a multiple of its mean gradient, all towards grey."""
    grey = detail.mean(axis=2)
    gradient = np.hypot(np.diff(grey, axis=0)[:, :-1], np.diff(grey, axis=1)[:-1]).mean()
    step = max(1, round(change * gradient))
    return np.where(detail < 128, detail + step, detail - step).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(("change", "taken"), [(0.03, False), (3.0, True)])
def test_an_expert_that_changes_less_than_the_detail_is_not_taken(
    change: float, taken: bool
) -> None:
    detail = photo(128, 128).astype(int)
    other = changed(detail, change)
    blurred = detail.astype(np.uint8)
    found = choose(blurred, Restored(blurred.copy()), Restored(other)).pixels
    np.testing.assert_array_equal(found, other if taken else blurred)


def test_strength_does_not_change_the_choice() -> None:
    detail = photo(128, 128).astype(int)
    blurred = detail.astype(np.uint8)
    half = changed(detail, 0.4)  # of 0.8
    found = choose(blurred, Restored(blurred.copy()), Restored(half), 0.5).pixels
    np.testing.assert_array_equal(found, half)
    found = choose(blurred, Restored(blurred.copy()), Restored(half), 1.0).pixels
    np.testing.assert_array_equal(found, blurred)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("size", [(1, 1), (7, 500), (300, 9)])
def test_any_size_and_type_of_photo(size: tuple[int, int], dtype: str) -> None:
    blurred = plain(*size, dtype)
    other = blurred // 2 if dtype != "float32" else blurred / np.float32(2)
    found = choose(blurred, Restored(blurred.copy()), Restored(other)).pixels
    assert found.dtype == blurred.dtype
    np.testing.assert_allclose(found, other, rtol=1e-4)


def test_bands_give_the_picture_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    blurred, own, other = (photo(300, 120) // part for part in (1, 2, 3))
    whole = choose(blurred, Restored(own.copy()), Restored(other)).pixels
    monkeypatch.setattr(expert, "BAND", 64)
    banded = choose(blurred, Restored(own.copy()), Restored(other)).pixels
    assert np.abs(banded.astype(int) - whole).max() <= 1


def darker(part: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda tiles: tiles[:, :3] * np.float32(part)


def test_a_deblurrer_asks_its_expert(monkeypatch: pytest.MonkeyPatch) -> None:
    other = Deblurrer(FakeRuntime(darker(0.5)), spec(tile=64), guard="off")
    model = spec(candidates=True, tile=128)
    both = Deblurrer(FakeRuntime(darker(0.9)), model, guard="off", expert=other)
    blurred = plain(200, 200)
    counts: list[tuple[int, int]] = []
    found = both.restore(blurred, lambda done, of: counts.append((done, of)))
    np.testing.assert_array_equal(found.pixels, other(blurred))
    assert found.motion is not None
    total = sum(len(each.tiles.plan(200, 200).corners) for each in (both, other))
    assert counts == [(done, total) for done in range(1, total + 1)]
    weak = both.adjusted(0.5, "auto")(blurred)
    assert np.abs(weak.astype(int) - blurred * 0.75).max() <= 1
    np.testing.assert_array_equal(both.adjusted(0, "auto")(blurred), blurred)
    (frame,) = both.restore_each([blurred])  # of a video
    assert frame
    assert np.abs(frame.pixels.astype(int) - blurred * 0.9).max() <= 1


@pytest.mark.parametrize("mode", ["auto", "off"])
def test_an_expert_that_uses_the_motion_is_given_the_one_that_was_found(
    mode: MotionMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = np.eye(5, dtype=np.float32) / 5
    finds: list[np.ndarray] = []

    def find(pixels: np.ndarray, _: int) -> Motion:
        finds.append(pixels)
        return Motion(linear=Found(kernel, 0.5, "made up", confidence=1.0))

    monkeypatch.setattr("blurdm_cli.engine.deblur.find_motion", find)
    model = spec(candidates=True)
    runtime = FakeRuntime(lambda tiles: tiles[:, :3])
    other = Deblurrer(runtime, model, motion=mode)
    blurred = photo(96, 96)
    both = Deblurrer(FakeRuntime(lambda tiles: tiles[:, :3]), model, expert=other)
    both.restore(blurred)
    assert len(finds) == 1
    together = runtime.tiles.copy()
    other.restore(blurred)
    np.testing.assert_array_equal(together, runtime.tiles[len(together) :])


@pytest.mark.parametrize(("motion", "candidates"), [("off", True), ("auto", False)])
def test_an_expert_needs_a_model_that_looks_for_the_motion(
    motion: MotionMode, candidates: bool
) -> None:
    other = Deblurrer(FakeRuntime(), spec())
    model = spec(candidates=candidates)
    with pytest.raises(UsageError, match="the motion"):
        Deblurrer(FakeRuntime(), model, motion=motion, expert=other)
    if candidates:
        both = Deblurrer(FakeRuntime(), model, expert=other)
        with pytest.raises(UsageError, match="the motion"):
            both.adjusted(1.0, motion)
