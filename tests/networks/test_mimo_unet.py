import pytest
import torch

from blurdm_cli.networks.mimo_unet import SIZES, MimoUNet
from tests.networks.golden import image, set_weights


def test_answers_are_those_of_the_authors_network() -> None:
    network = MimoUNet(0, width=32, blocks=1, dropout=0.0)
    set_weights(network)
    fine, middle, coarse = network.forward_scales(image(32, 64) - 0.5, None)
    expected = torch.tensor([-0.07834, 0.51691, -0.46695, -0.49976, 0.53171, -0.30581])
    found = torch.cat([fine[0, :, 16, 21], fine[0, :, 0, 63]])
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    means = [scale.mean().item() for scale in (coarse, middle, fine)]
    assert means == pytest.approx([0.040413, 0.035743, 0.067867], abs=1e-5)


def test_scales_halve_and_the_first_is_the_answer() -> None:
    network, blurred = MimoUNet(0, **SIZES["tiny"]), torch.rand(2, 3, 16, 24)
    scales = network.forward_scales(blurred, None)
    assert [tuple(scale.shape[2:]) for scale in scales] == [(16, 24), (8, 12), (4, 6)]
    assert torch.equal(scales[0], network(blurred, None))


def test_every_scale_hears_the_prior() -> None:
    torch.manual_seed(0)
    network, blurred = MimoUNet(4, **SIZES["tiny"]), torch.rand(1, 3, 16, 24)
    torch.nn.init.ones_(network.fusion[0].to_scale_shift.weight)
    one, other = (network.forward_scales(blurred, prior) for prior in torch.rand(2, 1, 4))
    assert all((a - b).abs().max() > 1e-4 for a, b in zip(one, other, strict=True))


def test_dropout_is_for_training_alone() -> None:
    network = MimoUNet(0, **SIZES["tiny"] | {"dropout": 0.5})
    blurred = torch.rand(1, 3, 32, 32)
    assert not torch.equal(network(blurred, None), network(blurred, None))
    network.eval()
    assert torch.equal(network(blurred, None), network(blurred, None))


def test_the_smaller_one_has_as_many_parameters_as_published() -> None:
    with torch.device("meta"):
        network = MimoUNet(0, **SIZES["base"])
    assert sum(parameter.numel() for parameter in network.parameters()) == 6_807_171


def test_a_width_that_has_no_quarter_is_refused() -> None:
    with pytest.raises(ValueError, match="width=6"):
        MimoUNet(0, width=6, blocks=1, dropout=0.0)
