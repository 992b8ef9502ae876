from math import pi

import pytest
import torch
from torch.nn.functional import pad

from blurdm_cli.networks.loformer import (
    SIZES,
    Block,
    LoFormer,
    WindowAttention,
    cosine_basis,
    to_whole_windows,
    transform,
)
from tests.networks.golden import image, set_weights


def test_answers_are_those_of_the_authors_network() -> None:
    network = LoFormer(0, **SIZES["tiny"])
    set_weights(network)
    answer = network(image(64, 128), None)
    expected = torch.tensor([0.06478, 0.74129, 0.59191, 0.56601, 0.14671, 1.01435])
    found = torch.cat([answer[0, :, 32, 42], answer[0, :, 0, 127]])
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert answer.mean().item() == pytest.approx(0.512693, abs=1e-5)


@pytest.mark.parametrize("size", [8, 48, 384])
def test_the_basis_is_the_cosine_transform_s(size: int) -> None:
    number = torch.arange(size, dtype=torch.float64)
    expected = torch.cos(pi / size * number[:, None] * (number + 0.5)) * (2 / size) ** 0.5
    expected[0] /= 2**0.5
    found = cosine_basis(torch.zeros(size), 0).double()
    torch.testing.assert_close(found, expected, atol=5e-8, rtol=0)
    torch.testing.assert_close(found @ found.T, torch.eye(size).double(), atol=1e-6, rtol=0)


def test_a_transform_of_all_pixels_leads_back_to_them() -> None:
    x = torch.randn(2, 3, 16, 24)
    tall, wide = cosine_basis(x, 2), cosine_basis(x, 3)
    frequencies = transform(x, tall, wide)
    torch.testing.assert_close(frequencies, tall @ x @ wide.T, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(transform(frequencies, tall.T, wide.T), x, atol=1e-5, rtol=0)


def test_windows_of_frequencies_do_not_hear_each_other() -> None:
    attention = WindowAttention(8, 2)
    torch.nn.init.dirac_(attention.mix.weight, groups=24)
    x = torch.randn(1, 8, 16, 24)
    changed = x.clone()
    changed[:, :, 3, 10] += 1
    moved = (attention(changed) - attention(x)).abs().amax(dim=1)[0] > 1e-7
    window = torch.zeros(16, 24, dtype=torch.bool)
    window[:8, 8:16] = True
    assert torch.equal(moved, window)


def test_windows_that_are_not_whole_are_mirrored() -> None:
    attention = WindowAttention(8, 2)
    torch.nn.init.dirac_(attention.mix.weight, groups=24)
    torch.nn.init.zeros_(attention.mix.bias)
    x = torch.randn(2, 8, 12, 21)
    whole = pad(x, (0, 3, 0, 4), mode="reflect")
    torch.testing.assert_close(attention(x), attention(whole)[:, :, :12, :21])


def test_mirroring_goes_on_where_one_mirror_image_is_too_short() -> None:
    few = to_whole_windows(torch.arange(3)[None], 1)
    assert few.tolist() == [[0, 1, 2, 1, 0, 1, 2, 1]]
    assert to_whole_windows(torch.ones(1, 1), 1).shape == (1, 8)


def test_the_prior_enters_the_attention_after_its_norm() -> None:
    """Scaled to nothing there, the block is what it is without the norm's weights."""
    block = Block(8, 1, prior_channels=1)
    x = torch.randn(1, 8, 16, 16)
    bases = cosine_basis(x, 2), cosine_basis(x, 3)
    without = block(x, bases, None)
    block.fusion.to_scale_shift.weight.data[:8] = -1.0
    found = block(x, bases, torch.ones(1, 1))
    torch.nn.init.zeros_(block.attention_norm.weight)
    torch.testing.assert_close(found, block(x, bases, None))
    assert (found - without).abs().max() > 1e-3


def test_other_than_three_levels_are_refused() -> None:
    with pytest.raises(ValueError, match="decoder_pairs"):
        LoFormer(0, width=8, encoder_pairs=[1, 1, 1], middle_pairs=1, decoder_pairs=[1, 1])


@pytest.mark.parametrize(("size", "millions"), [("tiny", 0.4), ("base", 27.9), ("large", 49.0)])
def test_sizes_have_as_many_parameters_as_they_say(size: str, millions: float) -> None:
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in LoFormer(0, **SIZES[size]).parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.05)
