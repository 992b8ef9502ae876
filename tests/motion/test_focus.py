"""Discs of a lens out of focus, in photos that are out of focus and in others."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from blurdm_cli.motion.estimation import find_motion
from blurdm_cli.motion.focus import Focus, disc
from blurdm_cli.motion.found import FOCUS, RIPPLES
from blurdm_cli.motion.kernel import DELTA, extent, likeness, spread
from blurdm_cli.motion.score import score
from blurdm_cli.motion.windows import VALUES, Views
from tests.motion.scenes import blurred, leaves, page, path_kernel

NOISE = 0.004


def noisy(photo: np.ndarray) -> np.ndarray:
    grain = np.random.default_rng(0).normal(0, NOISE, photo.shape)
    return np.clip(photo + grain, 0, 1).astype(np.float32)


@pytest.mark.parametrize("diameter", [8.0, 21.3, 60.0])
def test_a_disc_has_its_diameter(diameter: float) -> None:
    kernel = disc(diameter)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert spread(kernel) == pytest.approx(diameter / math.sqrt(8), rel=0.03)
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-6)


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("diameter", [10.0, 24.0, 50.0])
def test_the_spectrum_tells_the_diameter(diameter: float, values: str) -> None:
    photo = noisy(blurred(leaves(400), disc(diameter), linear=values == "linear"))
    found = Focus(values, Views(photo, [1.0]))()
    assert found.kernel.shape[0] > 1
    assert extent(found.kernel) == pytest.approx(diameter, rel=0.06, abs=1)
    assert found.score < 1


def test_a_disc_too_large_for_the_full_scale_is_seen_in_a_smaller_copy() -> None:
    photo = noisy(blurred(leaves(800), disc(100)))
    found = Focus("linear", Views(photo, [0.25]))()
    assert extent(found.kernel) == pytest.approx(100, rel=0.06)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("draw", [leaves, page])
def test_no_disc_explains_sharp_or_shaken_photos(
    draw: Callable[[int, int], np.ndarray], seed: int
) -> None:
    for kernel in (DELTA, path_kernel(24, seed)):
        views = Views(noisy(blurred(draw(320, seed), kernel)), [1.0])
        true = views.ripples("linear", 1).left_by(kernel)
        cost = score(views.grey("linear", 1), kernel) + RIPPLES * true
        assert Focus("linear", views)().cost > cost + 0.02


def test_a_page_out_of_focus_is_found() -> None:
    true = disc(26)
    motion = find_motion(noisy(blurred(page(400), true)))
    assert motion.linear.name == FOCUS
    assert likeness(motion.linear.kernel, true) > 0.95
