import pytest
import torch

from blurdm_cli.networks.stripformer import (
    SIZES,
    InterStripAttention,
    IntraStripAttention,
    StripBlock,
    Stripformer,
)
from tests.networks.golden import image, set_weights


def test_answers_are_those_of_the_authors_network() -> None:
    network = Stripformer(0, **SIZES["paper"])
    set_weights(network)
    answer = network(image(32, 64) - 0.5, None)
    expected = torch.tensor([-0.11637, 0.37791, -0.45482, -0.46232, 0.46161, -0.21884])
    found = torch.cat([answer[0, :, 16, 21], answer[0, :, 0, 63]])
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert answer.mean().item() == pytest.approx(0.014311, abs=1e-5)


@pytest.mark.parametrize("kind", [IntraStripAttention, InterStripAttention])
def test_attention_is_the_same_for_a_photo_on_its_side(kind: type) -> None:
    """Rows become columns where weights and channels change places too."""
    attention = kind(16, 4)
    for parameter in attention.parameters():
        parameter.data = torch.randn(parameter.shape)
    turned = kind(16, 4)
    turned.load_state_dict(attention.state_dict())
    turned.rows, turned.columns = turned.columns, turned.rows
    turned.split.weight.data = turned.split.weight.data.roll(8, 0)
    turned.split.bias.data = turned.split.bias.data.roll(8)
    turned.merge.weight.data = turned.merge.weight.data.roll(8, 1)
    x = torch.randn(2, 16, 5, 7)
    torch.testing.assert_close(turned(x.mT).mT, attention(x), atol=1e-4, rtol=1e-4)


def test_pixels_attend_to_their_row_and_column_alone() -> None:
    attention = IntraStripAttention(16, 4)
    x = torch.randn(1, 16, 6, 9)
    changed = x.clone()
    changed[:, :, 2, 5] += 1
    moved = (attention(changed) - attention(x)).abs().amax(dim=1)[0] > 1e-7
    cross = torch.zeros(6, 9, dtype=torch.bool)
    cross[2, :] = cross[:, 5] = True
    assert torch.equal(moved, cross)


def test_the_prior_enters_before_the_norm_and_the_shortcut_goes_without() -> None:
    """All channels scaled alike: the norm takes it back, and nothing else saw it."""
    block = StripBlock(16, InterStripAttention(16, 4), prior_channels=1)
    x, prior = torch.randn(1, 16, 6, 9), torch.ones(1, 1)
    block.fusion.to_scale_shift.weight.data[:16] = 1.0
    torch.testing.assert_close(block(x, prior), block(x, None), atol=1e-4, rtol=1e-4)
    block.fusion.to_scale_shift.weight.data[:8] = 3.0
    assert (block(x, prior) - block(x, None)).abs().max() > 1e-3


def test_heads_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="head_channels"):
        Stripformer(0, widths=[8, 16, 24, 16], pairs=[1, 1], head_channels=5)
