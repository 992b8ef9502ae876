from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from blurdm_cli.physics import camera


def smooth() -> torch.Tensor:
    noise = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    photo = torch.nn.functional.interpolate(noise, size=(64, 64), mode="bicubic")
    return camera.quantise(photo.clamp(0, 1))


def test_srgb_there_and_back_changes_nothing() -> None:
    values = torch.linspace(0, 1, 4097, dtype=torch.float64)
    back = camera.linear_to_srgb(camera.srgb_to_linear(values))
    torch.testing.assert_close(back, values, atol=1e-6, rtol=0)


def test_srgb_has_the_standards_values() -> None:
    encoded = torch.tensor([0.0, 0.04, 0.5, 1.0], dtype=torch.float64)
    light = torch.tensor([0.0, 0.0030960, 0.2140411, 1.0], dtype=torch.float64)
    torch.testing.assert_close(camera.srgb_to_linear(encoded), light, atol=1e-6, rtol=0)


def test_noise_has_the_variance_asked_for() -> None:
    torch.manual_seed(0)
    light = torch.full((2, 3, 200, 200), 0.25)
    noisy = camera.add_noise(light, torch.tensor([0.01, 0.0]), torch.tensor([0.02, 0.05]))
    variance = (noisy - light).var(dim=(1, 2, 3))
    torch.testing.assert_close(variance, torch.tensor([0.0029, 0.0025]), rtol=0.03, atol=0)


def test_lifting_highlights_leaves_the_rest_alone() -> None:
    light = torch.linspace(0, 1, 101)
    lifted = camera.lift_highlights(light, threshold=0.7, gain=5.0)
    assert (lifted[:70] == light[:70]).all()
    assert lifted[-1] == pytest.approx(5)
    assert (lifted.diff() > 0).all()


def test_a_tone_curve_adds_contrast_about_middle_grey_and_keeps_black_and_white() -> None:
    light = torch.linspace(0, 1, 101)
    torch.testing.assert_close(camera.tone_curve(light, 0.0, 1.0), light, atol=1e-5, rtol=1e-4)
    encoded = camera.linear_to_srgb(light)
    curved = camera.linear_to_srgb(camera.tone_curve(light, 0.8, 1.0))
    assert curved.diff().min() >= 0
    assert curved[0] == 0
    assert curved[-1] == pytest.approx(1, abs=1e-5)
    inner = (encoded > 0.01) & (encoded < 0.99)
    assert ((curved - encoded) * (encoded - 0.5))[inner].min() > -1e-6


@pytest.mark.parametrize("quality", [40, 75, 92])
@pytest.mark.parametrize("subsample", [False, True])
def test_jpeg_loses_what_a_jpeg_file_loses(quality: int, subsample: bool) -> None:
    photo = smooth()
    ours = camera.jpeg(photo, torch.tensor([float(quality)]), subsample=subsample)[0]
    file = BytesIO()
    pixels = (photo[0] * 255).byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(
        file, "JPEG", quality=quality, subsampling="4:2:0" if subsample else "4:4:4"
    )
    theirs = np.asarray(Image.open(file)).astype(float)
    error = ((ours.permute(1, 2, 0).numpy() * 255 - theirs) ** 2).mean()
    lost = ((pixels.astype(float) - theirs) ** 2).mean()
    assert 10 * np.log10(255**2 / error) > 42
    assert error < lost / 2


def test_jpeg_of_an_odd_size_is_that_of_the_whole_blocks_it_covers() -> None:
    photo, quality = smooth(), torch.tensor([40.0])
    whole = camera.jpeg(photo, quality, subsample=False)
    odd = camera.jpeg(photo[..., :-5, :-11], quality, subsample=False)
    assert odd.shape[2:] == (photo.shape[2] - 5, photo.shape[3] - 11)
    torch.testing.assert_close(
        odd[..., :-16, :-16], whole[..., : odd.shape[2] - 16, : odd.shape[3] - 16]
    )
