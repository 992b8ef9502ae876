import numpy as np
import pytest
import torch

from blurdm_cli.motion.camera import CameraPath, Window, fit_camera
from blurdm_cli.motion.candidates import make_candidates, patches_of
from blurdm_cli.motion.found import NONE, Found, Motion
from blurdm_cli.motion.kernel import centroid, likeness
from blurdm_cli.motion.light import LUMA, to_encoded, to_linear
from blurdm_cli.motion.windows import spread_windows
from blurdm_cli.physics.exposure import expose
from blurdm_cli.physics.trajectory import Trajectory

from .scenes import leaves, psnr

SIDE = 320


def still_path(**more: np.ndarray) -> CameraPath:
    """Poses on a line, without roll or zoom unless they are given."""
    zeros = np.zeros(5)
    poses = {"down": zeros, "right": np.arange(5) - 2.0, "roll": zeros, "log_scale": zeros}
    return CameraPath(**(poses | more), share=np.full(5, 0.2), centre=(100.0, 150.0))


def turning(length: float, corner: float) -> Trajectory:
    """A sweep to the right that rolls by so many pixels at the corners."""
    zeros = np.zeros(4)
    sweep = np.array([length, 0.3 * length, corner / (SIDE / 2**0.5), 0.0])
    return Trajectory(sweep, zeros, np.zeros((2, 4, 4))).centred()


def photographed(path: Trajectory, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A sharp scene, and how a camera on this path sees it."""
    scene = to_linear(leaves(SIDE + 64, seed))
    light = torch.from_numpy(scene).permute(2, 0, 1)[None].contiguous()
    sharp, blurred = expose(light, [path], (SIDE, SIDE))[:, 0]
    return tuple(to_encoded(image.permute(1, 2, 0).numpy().copy()) for image in (sharp, blurred))


def test_a_path_that_only_shifts_has_one_kernel_everywhere() -> None:
    path = still_path()
    for place in ((100.0, 150.0), (0.0, 0.0), (190.0, 12.0)):
        kernel = path.kernel_at(*place)
        np.testing.assert_allclose(kernel[kernel.shape[0] // 2, 1:-1].sum(), 1, atol=1e-5)
        assert likeness(kernel, path.kernel_at(100, 150)) == pytest.approx(1, abs=1e-5)
    assert path.unevenness == 0


def test_roll_moves_places_around_the_middle_and_zoom_away_from_it() -> None:
    angle = np.linspace(-0.02, 0.02, 5)
    rolling = still_path(right=np.zeros(5), roll=angle)
    down, right = rolling.displacements(100.0, 250.0)
    np.testing.assert_allclose(down, 100 * np.sin(angle), atol=1e-9)
    np.testing.assert_allclose(right, 0, atol=0.03)
    zooming = still_path(right=np.zeros(5), log_scale=angle)
    down, right = zooming.displacements(100.0, 250.0)
    np.testing.assert_allclose(right, 100 * (np.exp(angle) - 1), atol=1e-9)
    assert not down.any()


def test_a_centred_path_leaves_the_middle_of_every_kernel_where_it_is() -> None:
    path = still_path(roll=np.linspace(0, 0.04, 5), down=np.full(5, 3.0)).centred()
    for place in ((100.0, 150.0), (20.0, 260.0)):
        kernel = path.kernel_at(*place)
        assert np.abs(np.array(centroid(kernel)) - kernel.shape[0] // 2).max() < 0.1


@pytest.mark.parametrize("seed", [1, 2])
def test_roll_is_found_and_undone(seed: int) -> None:
    path = turning(10, 8)
    sharp, blurred = photographed(path, seed)
    # what the middle of the photo shows: the path without its roll
    middle = Trajectory(path.sweep * [1, 1, 0, 0], path.bend, path.tremor).centred().density(12)
    grey = np.ascontiguousarray(to_linear(blurred) @ LUMA)
    windows = [
        Window(
            np.ascontiguousarray(grey[rows, columns]),
            (rows.start + rows.stop) / 2,
            (columns.start + columns.stop) / 2,
        )
        for rows, columns in spread_windows(np.rint(blurred * 255).astype(np.uint8))
    ]
    camera = fit_camera(windows, middle, (SIDE, SIDE), weight=1.5e-3)
    true = np.sqrt(np.mean(path.at(np.linspace(-0.5, 0.5, 65))[:, 2] ** 2))
    assert np.sqrt(camera.share @ camera.roll**2) == pytest.approx(true, rel=0.6)
    one = Found(middle, 0.8, "middle")
    both = Found(middle, 0.8, "turning", camera=camera)
    scores = [
        psnr(make_candidates(blurred, Motion(found, NONE))[:3].transpose(1, 2, 0), sharp)
        for found in (one, both)
    ]
    assert scores[1] > scores[0] + 1


def test_patches_cover_a_photo_once() -> None:
    camera = still_path(roll=np.linspace(-0.02, 0.02, 5)).centred()
    found = Found(camera.kernel_at(100, 150), 0.8, "turning", camera=camera)
    total = np.zeros((200, 300))
    patches = patches_of(found, (200, 300), (0, 0))
    assert len(patches) > 1
    for patch in patches:
        total[patch.rows, patch.columns] += patch.weights
    np.testing.assert_allclose(total, 1, atol=1e-5)


def test_a_part_of_a_photo_has_the_kernels_of_its_place() -> None:
    camera = still_path(roll=np.linspace(-0.03, 0.03, 5)).centred()
    found = Found(camera.kernel_at(100, 150), 0.8, "turning", camera=camera)
    [far, *_] = patches_of(found, (100, 100), (0, 200))
    expected = camera.kernel_at(
        (far.rows.start + far.rows.stop) / 2, 200 + (far.columns.start + far.columns.stop) / 2
    )
    np.testing.assert_array_equal(far.kernel, expected)


def test_windows_lie_in_the_photo_s_corners_and_its_middle() -> None:
    places = spread_windows(np.rint(leaves(600) * 255).astype(np.uint8))
    assert len(places) == 5
    halves = {(r.start + r.stop > 600, c.start + c.stop > 600) for r, c in places}
    assert len(halves) == 4
    assert all(0 <= r.start < r.stop <= 600 and 0 <= c.start < c.stop <= 600 for r, c in places)
    assert not spread_windows(np.zeros((120, 500, 3), np.uint8))
