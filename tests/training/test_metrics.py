import numpy as np
import pytest
import torch

from blurdm_cli.training.losses import charbonnier, frequency_distance, image_loss
from blurdm_cli.training.metrics import psnr, ssim, ssim_3d
from blurdm_cli.training.recipe import ImageRecipe


def images(seed: int = 0) -> torch.Tensor:
    return torch.rand(2, 3, 24, 28, generator=torch.Generator().manual_seed(seed))


def test_psnr_of_a_known_error() -> None:
    found = images().clone()
    found[1] += 0.1
    assert psnr(found, images()).tolist() == pytest.approx([100, 20], abs=1e-4)


def test_ssim_is_1_for_equal_images_and_less_for_others() -> None:
    assert ssim(images(), images()).tolist() == pytest.approx([1, 1])
    assert ssim(images(), images(1)).abs().max() < 0.2


def test_ssim_of_flat_images_compares_their_brightness() -> None:
    """Without structure, what is left is (2ab + c) / (a² + b² + c) with c = 0.0001."""
    dark, bright = torch.full((1, 3, 16, 16), 0.2), torch.full((1, 3, 16, 16), 0.6)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert ssim(dark, bright).item() == pytest.approx(expected, abs=1e-5)


def test_3d_ssim_is_that_of_one_channel_where_all_three_are_equal() -> None:
    gray, other = (images(seed)[:, :1].expand(-1, 3, -1, -1) for seed in (0, 1))
    inner = (..., slice(5, -5), slice(5, -5))
    everywhere, cut = torch.zeros(2, 1, 24, 28, dtype=torch.bool), torch.ones(2, 1, 14, 18)
    everywhere[inner] = cut.bool()
    assert ssim_3d(gray, other, everywhere).tolist() == pytest.approx(ssim(gray, other).tolist())


def test_3d_ssim_takes_a_colour_cast_for_structure() -> None:
    gray = torch.full((1, 3, 24, 24), 0.5)
    cast = gray + torch.tensor([0.2, 0.0, -0.2])[:, None, None]
    assert ssim(cast, gray).item() > 0.9
    assert ssim_3d(cast, gray).item() < 0.1
    assert ssim_3d(cast, cast).item() == pytest.approx(1)


def test_only_what_is_inside_counts() -> None:
    found = images().clone()
    found[..., :14] = images(1)[..., :14]
    right = torch.zeros(2, 1, 24, 28, dtype=torch.bool)
    right[..., 20:] = True
    assert psnr(found, images(), right).tolist() == [100, 100]
    assert ssim(found, images(), right).tolist() == pytest.approx([1, 1])


def test_charbonnier_is_the_mean_absolute_error_where_errors_are_large() -> None:
    assert charbonnier(images(), images() + 0.5).item() == pytest.approx(0.5, abs=1e-4)
    assert charbonnier(images(), images()).item() == pytest.approx(1e-3, rel=1e-4)


def test_the_frequency_distance_of_one_wave_is_its_amplitude_in_one_place() -> None:
    wave = 0.1 * torch.cos(2 * torch.pi * 5 * torch.arange(28) / 28).expand(2, 3, 24, 28)
    found = frequency_distance(images() + wave, images()).item()
    energy = 0.1 * np.sqrt(24 * 28) / 2  # of one coefficient, in an orthonormal transform
    assert found == pytest.approx(energy / (24 * 15), rel=1e-3)


def test_the_frequency_part_is_weighted() -> None:
    recipes = (ImageRecipe(frequency_weight=weight) for weight in (0.0, 2.0))
    plain, more = (image_loss([images()], images(1), recipe).item() for recipe in recipes)
    assert plain == pytest.approx(charbonnier(images(), images(1)).item())
    assert more - plain == pytest.approx(2 * frequency_distance(images(), images(1)).item())


@pytest.mark.parametrize(("db", "counted"), [(20.0, 40.0), (60.0, 60.0 + 45.09)])
def test_psnr_counts_twice_up_to_45_db_and_once_above(db: float, counted: float) -> None:
    found = [images() + 10 ** (-db / 20)]
    recipes = (ImageRecipe(psnr_weight=weight) for weight in (0.0, 0.5))
    plain, with_psnr = (image_loss(found, images(), recipe).item() for recipe in recipes)
    assert (plain - with_psnr) / 0.5 == pytest.approx(counted, abs=0.1)
