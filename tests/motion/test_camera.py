import numpy as np
import pytest
import torch

from blurdm_cli.motion.camera import CameraPath, Window, trace
from blurdm_cli.motion.candidates import make_candidates, patches_of
from blurdm_cli.motion.found import NONE, Found, Motion
from blurdm_cli.motion.kernel import centroid
from blurdm_cli.motion.light import LUMA, to_encoded, to_linear
from blurdm_cli.motion.path import CONTROLS, Path
from blurdm_cli.motion.path_fit import SHIFTS, TURNS
from blurdm_cli.motion.path_start import path_of
from blurdm_cli.motion.windows import spread_windows
from blurdm_cli.physics.exposure import expose
from blurdm_cli.physics.trajectory import Trajectory

from .scenes import leaves, psnr

SIDE = 320


SIZE = (200, 300)
RADIUS = float(np.hypot(*SIZE)) / 2


def sweeping(**axes: float) -> CameraPath:
    """A straight path at constant speed, by so many pixels along each axis."""
    time = np.linspace(-0.5, 0.5, CONTROLS)[:, None] * (CONTROLS - 1) / (CONTROLS - 3)
    lengths = [axes.get(name, 0.0) for name in ("down", "right", "roll", "zoom")]
    return CameraPath(Path(time * lengths), SIZE)


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
    camera = sweeping(right=6)
    for place in ((100.0, 150.0), (0.0, 0.0), (190.0, 12.0)):
        np.testing.assert_array_equal(camera.kernel_at(*place), camera.path.kernel())
    assert camera.unevenness == 0


def test_roll_moves_places_around_the_middle_and_zoom_away_from_it() -> None:
    for axis, down, right in (("roll", 1, 0), ("zoom", 0, 1)):
        camera = sweeping(**{axis: 8})
        moved = camera.path.at(camera.place(100, 250))
        share = 100 / RADIUS
        np.testing.assert_allclose(
            np.ptp(moved, 0), [8 * share * abs(d) for d in (down, right)], atol=0.1
        )
        last = moved[-1]
        assert np.sign(np.rint(last)).tolist() == [down, right]


def test_a_centred_path_leaves_the_middle_of_every_kernel_where_it_is() -> None:
    path = sweeping(roll=8, right=5).path
    moved = CameraPath(Path(np.add(path.controls, [3, -2, 1, 1])).centred(), SIZE)
    for place in ((100.0, 150.0), (20.0, 260.0)):
        kernel = moved.kernel_at(*place)
        assert np.abs(np.array(centroid(kernel)) - kernel.shape[0] // 2).max() < 0.1
        assert np.abs(moved.path.at(moved.place(*place)).mean(0)).max() < 1e-9


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
    start = CameraPath(path_of(middle), (SIDE, SIDE))
    camera = trace(windows, start, weights=(6e-3, 3e-3, 1.5e-3, 7.5e-4), axes=(*SHIFTS, *TURNS))
    true = np.sqrt(np.mean(path.at(np.linspace(-0.5, 0.5, 65))[:, 2] ** 2))
    assert camera.unevenness == pytest.approx(true, rel=0.3)
    one = Found(middle, 0.8, "middle")
    both = Found(middle, 0.8, "turning", camera=camera)
    scores = [
        psnr(make_candidates(blurred, Motion(found, NONE))[:3].transpose(1, 2, 0), sharp)
        for found in (one, both)
    ]
    assert scores[1] > scores[0] + 1


def test_patches_cover_a_photo_once() -> None:
    camera = sweeping(right=4, roll=7)
    found = Found(camera.kernel_at(100, 150), 0.8, "turning", camera=camera)
    total = np.zeros((200, 300))
    patches = patches_of(found, (200, 300), (0, 0))
    assert len(patches) > 1
    for patch in patches:
        total[patch.rows, patch.columns] += patch.weights
    np.testing.assert_allclose(total, 1, atol=1e-5)


def test_a_part_of_a_photo_has_the_kernels_of_its_place() -> None:
    camera = sweeping(right=4, roll=11)
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
