import numpy as np
import pytest

from blurdm_cli.motion.kernel import DELTA
from blurdm_cli.motion.light import LUMA, to_linear
from blurdm_cli.motion.ripples import SMALLEST, Ripples

from .scenes import blurred, leaves, path_kernel


def seen(length: int, seed: int, side: int = 320) -> np.ndarray:
    """A shaken scene in linear light, grey."""
    photo = blurred(leaves(side, seed=seed), path_kernel(length, seed))
    noise = 0.003 * np.random.default_rng(seed).standard_normal(photo.shape)
    return np.ascontiguousarray(to_linear((photo + noise).astype(np.float32)) @ LUMA)


@pytest.mark.parametrize(("length", "seed"), [(10, 1), (20, 2), (36, 3)])
def test_the_true_path_leaves_the_fewest_ripples(length: int, seed: int) -> None:
    ripples = Ripples(seen(length, seed))
    others = DELTA, path_kernel(length // 2, seed), path_kernel(length, seed + 10)
    left = ripples.left_by(path_kernel(length, seed))
    assert all(left < 0.9 * ripples.left_by(other) for other in others)


def test_a_path_and_its_mirror_image_leave_the_same() -> None:
    ripples, path = Ripples(seen(20, 4)), path_kernel(20, 4)
    mirrored = np.ascontiguousarray(path[::-1, ::-1])
    assert ripples.left_by(mirrored) == pytest.approx(ripples.left_by(path), rel=1e-6)


def test_brightness_and_contrast_do_not_matter() -> None:
    grey, path = seen(20, 5), path_kernel(20, 5)
    darker = Ripples(0.25 * grey + np.float32(0.5))
    assert darker.left_by(path) == pytest.approx(Ripples(grey).left_by(path), rel=0.01)


def test_a_small_image_tells_nothing() -> None:
    ripples = Ripples(seen(6, 6, side=SMALLEST - 1))
    assert ripples.left_by(DELTA) == ripples.left_by(path_kernel(6, 6)) == 0


def test_a_flat_image_and_a_wide_path_are_no_errors() -> None:
    flat = Ripples(np.full((200, 170), 0.5, np.float32))
    wide = np.full((121, 121), 1 / 121**2, np.float32)
    for kernel in (DELTA, wide):
        assert np.isfinite(flat.left_by(kernel))
