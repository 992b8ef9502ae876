import pytest
import torch
from torch import Tensor

from blurdm_cli.networks.fftformer import (
    SIZES,
    AttentionBlock,
    FFTformer,
    FrequencyFeedForward,
)
from blurdm_cli.networks.patch_fourier import PatchFourier
from tests.networks.golden import image, set_weights


def cut(images: Tensor) -> Tensor:
    """(n, c, h, w) to (n, c, rows, columns, 8, 8)."""
    return images.unflatten(2, (-1, 8)).unflatten(4, (-1, 8)).transpose(3, 4)


def paste(patches: Tensor) -> Tensor:
    return patches.transpose(3, 4).flatten(4, 5).flatten(2, 3)


def test_answers_are_those_of_the_authors_network() -> None:
    network = FFTformer(0, **SIZES["tiny"])
    set_weights(network)
    answer = network(image(32, 64), None)
    expected = torch.tensor([0.29061, 0.58424, -0.01703, 0.73123, 1.44009, -0.29871])
    found = torch.cat([answer[0, :, 16, 21], answer[0, :, 0, 63]])
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert answer.mean().item() == pytest.approx(0.522495, abs=1e-5)


def test_a_spectrum_leads_back_to_its_patch() -> None:
    fourier, images = PatchFourier(), torch.randn(2, 5, 16, 24)
    torch.testing.assert_close(fourier.invert(fourier(images), images), images, atol=1e-5, rtol=0)


def test_spectra_keep_energy_but_for_conjugates() -> None:
    """Of two conjugate frequencies one is there, so its square counts twice."""
    fourier, images = PatchFourier(), torch.randn(1, 1, 8, 8)
    squares = fourier(images).flatten().square()
    energy = 2 * squares[:60].sum() + squares[60:].sum()
    torch.testing.assert_close(energy, images.square().sum())


def test_products_of_spectra_are_circular_convolutions() -> None:
    fourier = PatchFourier()
    one, other = torch.randn(2, 3, 5, 16, 24)
    product = torch.fft.rfft2(cut(one)) * torch.fft.rfft2(cut(other))
    found = fourier.invert(fourier.convolve(fourier(one), fourier(other)), one)
    expected = paste(torch.fft.irfft2(product, s=(8, 8)))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)


def test_gains_weigh_frequencies_as_those_of_a_real_fft_do() -> None:
    fourier, images, gains = PatchFourier(), torch.randn(2, 5, 16, 24), torch.randn(5, 8, 5)
    found = fourier.invert(fourier(images) * fourier.spread(gains), images)
    weighed = torch.fft.rfft2(cut(images)) * gains[:, None, None]
    expected = paste(torch.fft.irfft2(weighed, s=(8, 8)))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_the_first_layer_may_work_on_spectra() -> None:
    feed, images = FrequencyFeedForward(4, 3, PatchFourier()), torch.randn(1, 4, 16, 16)
    feed.gains.data = torch.randn(feed.gains.shape)
    weighed = torch.fft.rfft2(cut(feed.expand(images))) * feed.gains[:, None, None]
    gate, content = feed.mix(paste(torch.fft.irfft2(weighed, s=(8, 8)))).chunk(2, dim=1)
    expected = feed.reduce(torch.nn.functional.gelu(gate) * content)
    torch.testing.assert_close(feed(images), expected, atol=1e-5, rtol=1e-5)


def test_the_prior_enters_the_attention_after_its_norm() -> None:
    """Scaled to nothing there, the attention is silent, and the rest goes on."""
    block = AttentionBlock(8, 1, PatchFourier())
    x = torch.randn(1, 8, 16, 16)
    block.fusion.to_scale_shift.weight.data[:8] = -1.0
    expected = x + block.feed(block.feed_norm(x))
    torch.testing.assert_close(block(x, torch.ones(1, 1)), expected)
    assert (block(x, None) - expected).abs().max() > 1e-3


def test_other_than_three_levels_are_refused() -> None:
    with pytest.raises(ValueError, match="blocks"):
        FFTformer(0, width=8, blocks=[1, 1], refinement_blocks=1)
