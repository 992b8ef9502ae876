import numpy as np
import pytest

from blurdm_cli.motion import kernel as kn

from .scenes import path_kernel


def line(length: int, side: int, *, upright: bool = False) -> np.ndarray:
    kernel = np.zeros((side, side), np.float32)
    middle = side // 2
    kernel[middle, middle - length // 2 : middle + length // 2 + 1] = 1
    return kn.normalised(kernel.T.copy() if upright else kernel)


def test_a_centred_kernel_has_its_mass_in_the_middle() -> None:
    kernel = path_kernel(20, seed=1)
    moved = np.roll(np.pad(kernel, 8), (5, -3), (0, 1))
    row, column = kn.centroid(kn.centred(moved))
    assert abs(row - moved.shape[0] // 2) <= 0.5
    assert abs(column - moved.shape[0] // 2) <= 0.5


def test_what_every_step_gives_is_a_kernel() -> None:
    kernel = path_kernel(24, seed=2)
    for made in (
        kn.centred(kernel),
        kn.pruned(kernel, 0.05, 0.1),
        kn.trimmed(kernel),
        kn.padded(kernel, 61),
        kn.rescaled(kernel, 2.0),
        kn.rescaled(kernel, 0.5),
    ):
        assert made.shape[0] == made.shape[1]
        assert made.shape[0] % 2 == 1
        assert made.min() >= 0
        assert made.sum() == pytest.approx(1, abs=1e-5)


def test_pruning_drops_faint_values_and_small_islands_and_keeps_the_largest() -> None:
    kernel = line(9, 21)
    kernel[2, 2] = 0.02
    kernel[18, 4] = kernel.max() * 0.01
    pruned = kn.pruned(kernel, 0.05, 0.1)
    np.testing.assert_allclose(pruned, line(9, 21), atol=1e-6)
    single = np.zeros((5, 5), np.float32)
    single[1, 1] = 1e-9
    assert kn.pruned(single, 0.05, 0.1)[1, 1] == 1


def test_a_kernel_at_twice_the_size_is_twice_as_long() -> None:
    kernel = line(11, 15)
    assert kn.extent(kernel) == 10
    assert kn.extent(kn.rescaled(kernel, 2.0)) == pytest.approx(20, abs=2)


@pytest.mark.parametrize(("upright", "angle"), [(False, 0.0), (True, 90.0)])
def test_the_direction_of_a_line_is_its_angle(upright: bool, angle: float) -> None:
    assert kn.direction(line(11, 15, upright=upright)) == pytest.approx(angle, abs=0.1)


def test_a_rising_line_has_45_degrees() -> None:
    assert kn.direction(kn.normalised(np.eye(11, dtype=np.float32)[::-1].copy())) == pytest.approx(
        45
    )


def test_likeness_does_not_depend_on_where_a_kernel_lies() -> None:
    kernel = path_kernel(18, seed=3)
    assert kn.likeness(np.roll(np.pad(kernel, 6), 4, 0), kernel) == pytest.approx(1, abs=1e-3)
    assert kn.likeness(line(21, 25), line(21, 25, upright=True)) < 0.3


def test_entropy_rises_with_the_spread() -> None:
    assert kn.entropy(kn.DELTA) == 0
    assert kn.entropy(line(5, 11)) < kn.entropy(line(11, 11))
