import numpy as np
import pytest

from blurdm_cli.motion.colour import colour_of, deconvolve_channels
from blurdm_cli.motion.light import LUMA, as_encoded, to_linear

from .scenes import blurred, leaves, path_kernel, psnr


def distances(photo: np.ndarray, *, linear: bool = False) -> np.ndarray:
    """How far each channel of an encoded photo is from its grey."""
    light = to_linear(photo) if linear else photo
    return photo - as_encoded(light @ LUMA, linear=linear)[..., None]


def restored(
    photo: np.ndarray, sharp: np.ndarray, kernel: np.ndarray, *, linear: bool = False
) -> np.ndarray:
    """Colour of an encoded photo, with the sharp one's grey."""
    light = to_linear(photo) if linear else photo
    grey = as_encoded((to_linear(sharp) if linear else sharp) @ LUMA, linear=linear)
    channels = deconvolve_channels(light, kernel, 1e-3)
    return colour_of(channels, grey, linear=linear).transpose(1, 2, 0)


@pytest.mark.parametrize("linear", [False, True])
def test_colour_is_nearer_to_the_scene_s_afterwards(linear: bool) -> None:
    sharp, kernel = leaves(), path_kernel(20)
    photo = blurred(sharp, kernel, linear=linear)
    found = restored(photo, sharp, kernel, linear=linear)
    before, wanted = (distances(image, linear=linear) for image in (photo, sharp))
    assert psnr(found, wanted) > psnr(before, wanted) + 4


def test_a_grey_photo_stays_grey() -> None:
    grey = np.repeat((leaves() @ LUMA)[..., None], 3, 2)
    assert np.abs(restored(grey, grey, path_kernel(20))).max() < 1e-5


@pytest.mark.parametrize("size", [(97, 160), (160, 97), (97, 97)])
@pytest.mark.parametrize("side", [3, 5, 31])
def test_colour_stays_in_its_place_at_any_size(size: tuple[int, int], side: int) -> None:
    still = np.zeros((side, side), np.float32)
    still[side // 2, side // 2] = 1
    photo = leaves(160)[: size[0], : size[1]]
    found, wanted = restored(photo, photo, still), distances(photo)
    assert found.shape == wanted.shape
    moved = [np.roll(wanted, (down, right), (0, 1)) for down, right in ((0, 1), (1, 0))]
    assert psnr(found, wanted, 4) > 27
    assert psnr(found, wanted, 4) > max(psnr(found, each, 4) for each in moved) + 3
