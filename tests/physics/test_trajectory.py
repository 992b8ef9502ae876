import numpy as np
import pytest

from blurdm_cli.physics.trajectory import random_trajectory


def paths(length: float, count: int = 30) -> list:
    rng = np.random.default_rng(0)
    return [random_trajectory(rng, length, radius=64.0) for _ in range(count)]


@pytest.mark.parametrize("length", [0.0, 0.5, 3.0, 20.0, 60.0])
def test_a_path_has_the_length_asked_for(length: float) -> None:
    for path in paths(length):
        assert path.length(64.0) == pytest.approx(length, rel=0.03, abs=1e-6)


def test_nothing_has_moved_in_the_middle_of_the_exposure() -> None:
    for path in paths(40.0):
        np.testing.assert_allclose(path.at(np.zeros(1)), 0, atol=1e-12)
        np.testing.assert_allclose(path.affine(np.zeros(1))[0], np.eye(2, 3), atol=1e-12)


def test_paths_are_smooth() -> None:
    times = np.linspace(-0.5, 0.5, 401)
    for path in paths(40.0):
        steps = np.linalg.norm(np.diff(path.at(times)[:, :2], axis=0), axis=1)
        assert steps.max() < 40 * 8 / 400  # nowhere eight times faster than on the average
        assert np.abs(np.diff(steps)).max() < 0.05


def test_some_paths_only_shift_and_others_also_roll_and_change_scale() -> None:
    ends = np.array([path.at(np.array([0.5]))[0] for path in paths(30.0, count=90)])
    only_shift = (ends[:, 2:] == 0).all(axis=1).mean()
    assert 0.2 < only_shift < 0.5
    assert (np.abs(ends[:, 2:]).max(axis=0) > 0.05).all()


def test_shifts_go_in_all_directions() -> None:
    ends = np.array([path.at(np.array([0.5]))[0, :2] for path in paths(30.0, count=200)])
    assert np.abs(np.sign(ends).mean(axis=0)).max() < 0.25


def test_a_path_scaled_by_half_is_half_as_long() -> None:
    for path in paths(30.0):
        assert path.scaled(0.5).length(64.0) == pytest.approx(15, rel=0.03)


def test_a_density_shares_the_exposure_out_among_displacements() -> None:
    path = random_trajectory(np.random.default_rng(3), length=18.0, radius=64)
    density = path.density(20)
    assert density.shape == (41, 41)
    assert density.min() >= 0
    assert density.sum() == pytest.approx(1, abs=1e-5)
    places = np.arange(-20, 21)
    mean = np.array([density.sum(axis=0) @ places, density.sum(axis=1) @ places])
    seen = path.at(np.linspace(-0.5, 0.5, 2001))[:, :2].mean(axis=0)
    np.testing.assert_allclose(mean, seen, atol=0.05)


def test_a_camera_that_stands_still_sees_no_displacement_but_0() -> None:
    density = random_trajectory(np.random.default_rng(0), length=0.0, radius=64).density(3)
    assert density[3, 3] == pytest.approx(1)


def test_a_path_that_leaves_the_density_s_reach_counts_at_its_edge() -> None:
    density = random_trajectory(np.random.default_rng(1), length=200.0, radius=64).density(4)
    assert density.sum() == pytest.approx(1, abs=1e-5)
    assert density[1:-1, 1:-1].sum() < 0.5
