import pytest
import torch

from blurdm_cli.networks.blocks import PriorFusion
from blurdm_cli.networks.unet import SIZES, UNet


def trained(network: torch.nn.Module) -> torch.nn.Module:
    """The network with all weights drawn anew, as if it had learnt something."""
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data = 0.1 * torch.randn(parameter.shape, generator=generator)
    return network


def test_an_untrained_fusion_changes_nothing() -> None:
    features = torch.randn(2, 8, 5, 5)
    assert torch.equal(PriorFusion(8, 16)(features, torch.randn(2, 16)), features)


def test_a_fusion_scales_and_shifts_each_channel_alone() -> None:
    features, fusion = torch.randn(1, 8, 5, 5), trained(PriorFusion(8, 16))
    prior = torch.randn(1, 16)
    shift = fusion(torch.zeros_like(features), prior)
    scale = fusion(torch.ones_like(features), prior) - shift
    torch.testing.assert_close(fusion(features, prior), features * scale + shift)
    assert scale.unique().numel() == 8


@pytest.mark.parametrize("prior_channels", [0, 16])
def test_an_untrained_network_is_the_identity(prior_channels: int) -> None:
    image = torch.rand(1, 3, 32, 48)
    prior = torch.rand(1, 16) if prior_channels else None
    assert torch.equal(UNet(prior_channels, **SIZES["tiny"])(image, prior), image)


def test_a_far_pixel_changes_nothing_while_the_prior_stays() -> None:
    network = trained(UNet(16, **SIZES["tiny"]))
    image, prior = torch.rand(1, 3, 64, 192), torch.rand(1, 16)
    changed = image.clone()
    changed[..., 100:] = 0

    difference = (network(image, prior) - network(changed, prior)).abs().amax(dim=(0, 1, 2))

    assert difference[100:].min() > 0
    assert difference[90:100].max() > 0
    assert difference[:30].max() == 0


def test_a_prior_changes_a_trained_network_s_answer() -> None:
    network, image = trained(UNet(16, **SIZES["tiny"])), torch.rand(1, 3, 32, 32)
    one, other = torch.rand(2, 1, 16)
    assert not torch.equal(network(image, one), network(image, other))


@pytest.mark.parametrize(
    ("size", "low", "high"), [("tiny", 0.3, 1.0), ("fast", 8, 13), ("quality", 32, 50)]
)
def test_sizes_cost_what_they_promise(size: str, low: float, high: float) -> None:
    """Multiplications and additions of all convolutions, in billions for 256 x 256 pixels."""
    flops = 0

    def count(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor):
        nonlocal flops
        pixels = inputs[0] if isinstance(module, torch.nn.ConvTranspose2d) else output
        flops += 2 * module.weight.numel() * pixels[0, 0].numel()

    with torch.device("meta"):
        network = UNet(16, **SIZES[size])
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
                module.register_forward_hook(count)
        network(torch.empty(1, 3, 256, 256), torch.empty(1, 16))
    assert low < flops / 1e9 < high


def test_sizes_that_do_not_fit_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="widths"):
        UNet(16, widths=[8, 16], encoder_blocks=[1, 1], decoder_blocks=[1, 1])


def test_features_neither_fade_nor_grow_on_their_way_through_an_untrained_network() -> None:
    torch.manual_seed(0)
    network = UNet(0, **SIZES["fast"])
    sizes: list[float] = []
    for module in (network.stem, *network.encoder, *network.down, *network.decoder):
        module.register_forward_hook(lambda *seen: sizes.append(seen[2].square().mean().item()))
    with torch.no_grad():
        network(torch.rand(2, 3, 64, 64) - 0.5, None)
    assert 0.3 < min(sizes) < max(sizes) < 6
