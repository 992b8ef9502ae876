import math

import numpy as np
import pytest

from blurdm_cli.motion.deconvolution import ITERATIONS, Deconvolver, noise_of, weight_for
from blurdm_cli.motion.light import LUMA, to_encoded, to_linear

from .scenes import blurred, inner, leaves, path_kernel, psnr


def grey(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image @ LUMA)


def solved(image: np.ndarray, kernel: np.ndarray, weight: float = 3e-4):
    return Deconvolver(kernel, image.shape[0], image.shape[1], weight)(image)


@pytest.mark.parametrize("length", [6, 16, 40])
def test_the_right_kernel_undoes_the_blur(length: int) -> None:
    sharp, kernel = grey(to_linear(leaves())), path_kernel(length)
    seen = blurred(np.repeat(sharp[..., None], 3, 2), kernel, linear=False)[..., 0]
    before, after = psnr(seen, sharp, 48), psnr(solved(seen, kernel).image, sharp, 48)
    assert after > before + 4


def test_what_was_found_blurs_into_the_photo_again() -> None:
    sharp, kernel = grey(leaves()), path_kernel(14)
    seen = blurred(np.repeat(sharp[..., None], 3, 2), kernel, linear=False)[..., 0]
    found = solved(seen, kernel)
    assert np.abs(inner(found.reblurred - seen)).mean() < 0.003


def test_the_rounds_come_near_to_the_minimum() -> None:
    sharp, kernel = grey(leaves()), path_kernel(14)
    seen = blurred(np.repeat(sharp[..., None], 3, 2), kernel, linear=False)[..., 0]
    solve = Deconvolver(kernel, *seen.shape, 3e-4)
    fewer, usual, many = (solve(seen, n).image for n in (2, ITERATIONS, 60))
    far = lambda image: float(np.sqrt(np.mean((image - many) ** 2)))  # noqa: E731
    assert far(usual) < 0.02
    assert far(usual) < 0.5 * far(fewer)


def test_light_that_crossed_the_border_needs_no_guess() -> None:
    wide, kernel = grey(leaves(384)), path_kernel(20)
    seen = blurred(np.repeat(wide[..., None], 3, 2), kernel, linear=False)[32:-32, 32:-32, 0]
    sharp = wide[32:-32, 32:-32]
    found = solved(np.ascontiguousarray(seen), kernel).image
    rim = np.ones(sharp.shape, bool)
    rim[12:-12, 12:-12] = False
    error = lambda image: float(np.mean((image - sharp)[rim] ** 2))  # noqa: E731
    assert error(found) < error(seen)


def test_a_clipped_lamp_rings_less_as_it_may_have_been_brighter() -> None:
    dark = np.full((160, 160), 0.05, np.float32)
    dark[70:90, 70:90] = 20.0
    kernel = path_kernel(14, seed=4)
    light = blurred(np.repeat(dark[..., None], 3, 2) / 20, kernel, linear=False)[..., 0] * 20
    seen = np.clip(light, 0, 1).astype(np.float32)
    around = np.zeros(seen.shape, bool)
    around[40:120, 40:120] = True
    around[52:108, 52:108] = False
    solve = Deconvolver(kernel, 160, 160, 3e-4)
    known, as_it_is = (
        np.abs(solve(seen, clipped=mask).image - 0.05)[around].max()
        for mask in (None, np.zeros(seen.shape, bool))
    )
    assert known < 0.85 * as_it_is


def test_light_stays_positive_beside_a_lamp_that_another_path_blurred() -> None:
    dark = np.full((160, 160, 3), 0.02, np.float32)
    dark[60:100, 70:76] = 0.9
    seen = blurred(dark, path_kernel(12, seed=4), linear=False)[..., 0]
    wrong = path_kernel(20, seed=5)
    free, positive = (
        Deconvolver(wrong, *seen.shape, 3e-4, positive=which)(seen).image for which in (False, True)
    )
    assert np.minimum(positive, 0).sum() > 0.5 * np.minimum(free, 0).sum()


def test_the_picture_stands_where_the_exposure_s_middle_is() -> None:
    sharp, kernel = grey(leaves()), path_kernel(12)
    shifted = np.roll(np.pad(kernel, 6), (3, -2), (0, 1))
    seen = blurred(np.repeat(sharp[..., None], 3, 2), kernel, linear=False)[..., 0]
    straight, moved = solved(seen, kernel).image, solved(seen, shifted).image
    assert psnr(moved, straight, 48) > 45


def test_nothing_depends_on_the_channels_beside_it() -> None:
    sharp = leaves()
    solve = Deconvolver(path_kernel(10), 320, 320, 1e-3)
    alone = solve(np.ascontiguousarray(sharp[..., 1])).image
    solve(np.ascontiguousarray(sharp[..., 0]))
    np.testing.assert_array_equal(solve(np.ascontiguousarray(sharp[..., 1])).image, alone)


def test_nothing_depends_on_where_arrays_lie_in_memory() -> None:
    rng = np.random.default_rng(0)
    image = rng.random((96, 96)).astype(np.float32)
    solve = Deconvolver(np.eye(5, dtype=np.float32) / 5, 96, 96, 1e-3)
    before: list[np.ndarray] = []
    first = solve(image).image
    for _ in range(60):
        before.append(np.empty(int(rng.integers(1, 20000)), np.uint8))
        np.testing.assert_array_equal(solve(image.copy()).image, first)


def test_waves_across_the_grid_are_smoothed_as_much_as_waves_along_it() -> None:
    down, right = np.mgrid[:161, :161]
    solve = Deconvolver(np.full((3, 3), 1 / 9, np.float32), 161, 161, 0.01)
    middle = np.s_[20:-20, 20:-20]

    def lost(degrees: float) -> float:
        """Share of the contrast."""
        turned = math.radians(degrees)
        wave = np.sin((down * math.cos(turned) + right * math.sin(turned)) / 6)
        result = solve((0.5 + 0.05 * wave).astype(np.float32)).image
        return 1 - float(result[middle].std() / (0.05 * wave[middle]).std())

    assert 0.01 < lost(0) < 0.1
    for degrees in (30, 45):
        assert lost(degrees) == pytest.approx(lost(0), rel=0.1)


def test_noise_is_measured_and_asks_for_more_smoothing() -> None:
    flat = np.full((200, 200), 0.4, np.float32)
    noisy = flat + np.float32(0.01) * np.random.default_rng(0).standard_normal((200, 200)).astype(
        np.float32
    )
    assert noise_of(flat) < 1e-6
    assert noise_of(noisy) == pytest.approx(0.01, rel=0.1)
    assert weight_for(0.01, linear=True) > weight_for(0.001, linear=True)


def test_the_curves_of_light_are_inverse_and_srgb() -> None:
    values = np.linspace(0, 1, 4096, dtype=np.float32).reshape(64, 64)
    np.testing.assert_allclose(to_encoded(to_linear(values)), values, atol=2e-6)
    assert float(to_linear(np.array([0.5], np.float32))[0]) == pytest.approx(0.21404, abs=1e-4)
