import numpy as np

from blurdm_cli.motion.candidates import make_candidates
from blurdm_cli.motion.found import Found, Motion

from .scenes import blurred, leaves, path_kernel, psnr

LAMP = np.s_[120:200, 150:162]
AROUND = np.s_[110:210, 138:174]


def lit(kernel: np.ndarray, *, moved: bool) -> np.ndarray:
    """A dark scene that moved, with a lamp that moved with it or did not."""
    scene = (leaves() * 0.3 + 0.02).astype(np.float32)
    if moved:
        scene[LAMP] = 0.95
    photo = blurred(scene, kernel)
    if not moved:
        photo[LAMP] = 0.95
    return photo


def planes_of(photo: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    found = Found(kernel, 0.5, "scene")
    return make_candidates(photo, Motion(found, found, 0.002))


def test_a_lamp_that_did_not_move_is_not_explained() -> None:
    kernel = path_kernel(24)
    still, moved = (planes_of(lit(kernel, moved=moved), kernel)[8:] for moved in (False, True))
    assert still[0][AROUND].mean() > 3 * moved[0][AROUND].mean()
    assert still[1][AROUND].mean() > 3 * moved[1][AROUND].mean()


def test_light_that_would_have_to_be_negative_counts_as_unexplained() -> None:
    kernel = path_kernel(24)
    found = planes_of(lit(kernel, moved=False), kernel)
    fringe = (found[3:6] == 0).any(0)
    fringe[: AROUND[0].start] = fringe[AROUND[0].stop :] = False
    assert fringe.sum() > 50
    assert found[9][fringe].mean() > 0.25
    assert np.median(found[9]) < 0.02


def test_a_scene_that_moved_is_restored() -> None:
    sharp, kernel = leaves(), path_kernel(24)
    photo = blurred(sharp, kernel)
    found = planes_of(photo, kernel)[:3]
    assert found.min() >= 0
    assert found.max() <= 1
    assert psnr(found.transpose(1, 2, 0), sharp) > psnr(photo, sharp) + 4
