import numpy as np
import pytest

from blurdm_cli.motion import fourier as fr

from .scenes import path_kernel


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, np.float32)


def convolved(image: np.ndarray, transfer: np.ndarray) -> np.ndarray:
    return fr.invert(fr.multiply(fr.transform(image), transfer))


@pytest.mark.parametrize("size", [(20, 20), (25, 20), (20, 25), (27, 25)])
def test_power_and_packing_hold_for_even_and_odd_sizes(size: tuple[int, int]) -> None:
    spectrum = fr.transform(random(*size))
    own = fr.invert(fr.multiply(spectrum, spectrum, conjugate=True))
    shown = random(*size, seed=1)
    twice = fr.multiply(fr.multiply(fr.transform(shown), spectrum), spectrum, conjugate=True)
    np.testing.assert_allclose(fr.transform(shown) * fr.power(spectrum), twice, rtol=1e-4, atol=0.1)
    assert own.max() == own[0, 0]
    kernel = path_kernel(4)
    there = fr.transfer(kernel, size, (kernel.shape[0] // 2,) * 2)
    np.testing.assert_allclose(there, fr.transfer(kernel, size), atol=1e-5)


def test_a_product_with_the_transfer_function_is_a_convolution() -> None:
    image, kernel = random(48, 60), path_kernel(10)
    again = convolved(image, fr.transfer(kernel, image.shape))
    np.testing.assert_allclose(again, _wrapped(image, kernel), atol=1e-5)


def _wrapped(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    middle = kernel.shape[0] // 2
    total = np.zeros_like(image)
    for (row, column), share in np.ndenumerate(kernel):
        total += share * np.roll(image, (row - middle, column - middle), (0, 1))
    return total


def test_another_centre_moves_the_result() -> None:
    image, kernel = random(48, 60), path_kernel(10)
    middle = kernel.shape[0] // 2
    moved = fr.transfer(kernel, image.shape, (middle + 2.0, middle - 1.0))
    again = convolved(image, moved)
    plain = convolved(image, fr.transfer(kernel, image.shape))
    np.testing.assert_allclose(again, np.roll(plain, (-2, 1), (0, 1)), atol=1e-5)


def test_divergence_is_the_adjoint_of_differences() -> None:
    image, along, down = random(20, 31), random(20, 31, seed=1), random(20, 31, seed=2)
    right, below = fr.differences(image)
    there = float((right * along).sum() + (below * down).sum())
    back = float((image * fr.divergence(along, down)).sum())
    assert abs(there - back) < 1e-3


def test_gradient_power_is_that_of_the_differences() -> None:
    image = random(20, 30)
    again = fr.invert(fr.transform(image) * fr.gradient_power(image.shape))
    np.testing.assert_allclose(again, fr.divergence(*fr.differences(image)), atol=1e-5)


def test_an_extended_image_has_no_step_where_it_wraps_around() -> None:
    rows, columns = np.mgrid[:40, :50].astype(np.float32)
    ramp = (rows / 40 + columns / 50) / 2
    extended = fr.extend(ramp, (64, 80))
    np.testing.assert_array_equal(extended[:40, :50], ramp)
    for step in fr.differences(extended):
        assert np.abs(step).max() < 0.1
    assert fr.extend(ramp, (40, 50)) is ramp
