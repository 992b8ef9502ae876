import math

import pytest
import torch

from blurdm_cli.networks.spectrum import LAGS, STRIDE, WINDOW, SpectralFeatures, Spectrum


def test_the_log_spectrum_is_that_of_fourier_s_transform() -> None:
    image = torch.rand(1, 3, 200, 260, generator=torch.Generator().manual_seed(0))
    spectrum = Spectrum()
    logarithm, cepstrum = spectrum(image)
    gray = image.mean(dim=1)[0].double()
    inner = gray[1:-1, 1:-1]
    edges = gray[:-2, 1:-1] + gray[2:, 1:-1] + gray[1:-1, :-2] + gray[1:-1, 2:] - 4 * inner
    hann = torch.sin(math.pi * (torch.arange(WINDOW) + 0.5) / WINDOW).double() ** 2
    windows = edges.unfold(0, WINDOW, STRIDE).unfold(1, WINDOW, STRIDE).flatten(0, 1)
    power = torch.fft.rfft2(windows * torch.outer(hann, hann)).abs().square().sum(dim=0)
    expected = torch.log(power / power.mean() + 1e-5) + spectrum.get_buffer("whitening")
    expected = expected - expected.mean()
    torch.testing.assert_close(logarithm[0].double(), expected, rtol=0, atol=1e-3)
    whole = torch.fft.irfft2(expected, s=(WINDOW, WINDOW)).roll((LAGS, LAGS), (0, 1))
    torch.testing.assert_close(
        cepstrum[0].double(), whole[: 2 * LAGS, : 2 * LAGS], rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("axis", [0, 1])
def test_motion_darkens_the_frequencies_along_its_direction(axis: int) -> None:
    scene = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(1))
    moved = torch.stack([scene.roll(step, 2 + axis) for step in range(16)]).mean(dim=0)
    before, after = (Spectrum()(image)[0][0] for image in (scene, moved))
    change = (after - before).movedim(axis, 0)  # first down or right, whichever the motion is
    wiped_out = change[WINDOW // 16 : WINDOW // 2 : WINDOW // 16]  # the zeros of a box
    assert wiped_out.mean() < change.mean() - 2


@pytest.mark.parametrize("size", [(16, 16), (128, 128), (130, 300)])
def test_images_of_any_size_have_features(size: tuple[int, int]) -> None:
    assert SpectralFeatures(32, 0.1)(torch.rand(2, 3, *size)).shape == (2, 32)


def test_nothing_of_the_transform_is_stored_with_a_model() -> None:
    assert not Spectrum().state_dict()
