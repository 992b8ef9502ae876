import numpy as np
import pytest

from blurdm_cli.motion.camera import CameraPath, Window, trace
from blurdm_cli.motion.fit import Equations, gradients
from blurdm_cli.motion.kernel import centroid, likeness, normalised, padded
from blurdm_cli.motion.light import LUMA, to_linear
from blurdm_cli.motion.path import AXES, CONTROLS, FITTED_WIDTH, Path, draw, pulls
from blurdm_cli.motion.path_fit import SHIFTS, TURNS, fit_path
from blurdm_cli.motion.path_start import path_of

from .scenes import blurred, leaves, path_kernel


def wandering(seed: int, step: float = 2.0) -> Path:
    """A path whose control points walk at random, with this many pixels a step on each axis."""
    rng = np.random.default_rng(seed)
    return Path(np.cumsum(step * rng.standard_normal((CONTROLS, AXES)), 0)).centred()


def grey(seed: int, kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A scene in linear light, sharp and blurred."""
    scene = leaves(200, seed)
    photos = (scene, blurred(scene, kernel))
    sharp, seen = (np.ascontiguousarray(to_linear(photo) @ LUMA) for photo in photos)
    return sharp, seen


@pytest.mark.parametrize("length", [1, 8, 30, 80])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_path_is_drawn_as_a_kernel_about_the_middle(length: float, seed: int) -> None:
    path = wandering(seed, length / 10)
    kernel = path.kernel()
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert kernel.shape[0] == kernel.shape[1]
    assert kernel.shape[0] % 2 == 1
    assert np.abs(np.array(centroid(kernel)) - kernel.shape[0] // 2).max() <= 0.6


@pytest.mark.parametrize("length", [4, 12, 30, 70])
def test_the_path_of_a_kernel_draws_it(length: float) -> None:
    kernel = path_kernel(length, seed=3)
    assert likeness(path_of(kernel).kernel(), kernel) > 0.9


def test_a_path_leaves_out_what_no_path_draws() -> None:
    rng = np.random.default_rng(0)
    true = padded(path_kernel(16, seed=5), 31)
    specks = np.where(rng.random(true.shape) < 0.08, rng.random(true.shape), 0) * 0.3 * true.max()
    spoilt = normalised((true * rng.uniform(0.4, 1.6, true.shape) + specks).astype(np.float32))
    assert likeness(path_of(spoilt).kernel(), true) > likeness(spoilt, true) + 0.05


def test_pulls_say_how_a_product_with_a_drawn_path_changes() -> None:
    path = wandering(3).at()
    picture = np.random.default_rng(0).standard_normal((41, 41)).astype(np.float32)
    for point, axis in ((0, 0), (90, 1), (191, 0)):
        change = np.zeros_like(path)
        change[point, axis] = 1e-2
        ahead, behind = (
            float((draw(points, 41, FITTED_WIDTH).astype(np.float64) * picture).sum())
            for points in (path + change, path - change)
        )
        slope = (ahead - behind) / 2e-2
        assert pulls(path, [picture])[0][point, axis] == pytest.approx(slope, rel=0.02, abs=1e-6)


def test_a_path_is_fitted_to_what_the_photo_shows() -> None:
    kernel = path_kernel(18, seed=4)
    sharp, seen = grey(1, kernel)
    system = Equations.of(gradients(sharp), gradients(seen), 31)
    rng = np.random.default_rng(0)
    start = path_of(kernel)
    start = Path(start.controls + rng.standard_normal((CONTROLS, AXES)) * [1, 1, 0, 0])
    fitted, cost = fit_path([system], start, steps=30)
    _, before = fit_path([system], start, steps=0)
    assert cost < before
    assert likeness(start.kernel(), kernel) < 0.8
    assert likeness(fitted.kernel(), kernel) > 0.95
    _, soon = fit_path([system], start, steps=10)
    assert before - soon > 0.9 * (before - cost)


def test_shifts_and_turns_are_fitted_where_they_are_asked_for() -> None:
    path = wandering(7, 0.8)
    places = [(-0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)]
    sharp, _ = grey(2, path.kernel())
    photos = [blurred(leaves(200, 2), path.kernel(place)) for place in places]
    shown = [np.ascontiguousarray(to_linear(photo) @ LUMA) for photo in photos]
    systems = [Equations.of(gradients(sharp), gradients(seen), 31) for seen in shown]
    start = Path(path.controls * [1, 1, 0, 0])
    shifted, _ = fit_path(systems, start, places, steps=5)
    assert not shifted.controls[:, 2:].any()
    turned, cost = fit_path(systems, start, places, steps=30, axes=(*SHIFTS, *TURNS))
    assert cost < fit_path(systems, start, places, steps=30)[1]
    for place in places:
        found, true = turned.kernel(place), path.kernel(place)
        assert likeness(found, true) > likeness(start.kernel(place), true)
        assert likeness(found, true) > 0.9


def test_a_traced_path_comes_nearer_to_the_true_kernel() -> None:
    true = path_kernel(20, seed=8)
    _, seen = grey(3, true)
    rng = np.random.default_rng(1)
    seen = (seen + 0.005 * rng.standard_normal(seen.shape)).astype(np.float32)
    near = path_of(true)
    start = Path(near.controls + rng.standard_normal((CONTROLS, AXES)) * [1, 1, 0, 0])
    middle = Window(seen, seen.shape[0] / 2, seen.shape[1] / 2)
    camera = trace(
        [middle], CameraPath(start, seen.shape), weights=(3e-3, 1.5e-3, 7.5e-4), axes=SHIFTS
    )
    assert camera.unevenness == 0
    assert likeness(start.kernel(), true) < 0.85
    assert likeness(camera.path.kernel(), true) > 0.93
