"""What all backbones promise that were built from a publication."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from blurdm_cli.networks import fftformer, loformer, mimo_unet, nafnet, stripformer
from blurdm_cli.networks.fftformer import FFTformer
from blurdm_cli.networks.loformer import LoFormer
from blurdm_cli.networks.mimo_unet import MimoUNet
from blurdm_cli.networks.nafnet import NAFNet
from blurdm_cli.networks.stripformer import Stripformer

TINY: list[tuple[Any, dict[str, Any]]] = [
    (Stripformer, stripformer.SIZES["tiny"]),
    (FFTformer, fftformer.SIZES["tiny"]),
    (LoFormer, loformer.SIZES["tiny"]),
    (MimoUNet, mimo_unet.SIZES["tiny"]),
    (NAFNet, nafnet.SIZES["tiny"] | {"window": 24}),
]

every_backbone = pytest.mark.parametrize(
    ("backbone", "sizes"), TINY, ids=[backbone.__name__ for backbone, _ in TINY]
)


def trained(network: nn.Module) -> nn.Module:
    """The network with its weights moved, as if it had learnt something."""
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return network


def image_for(network: Any) -> Tensor:
    """Two images, not square, of the smallest size that the network takes."""
    side = network.multiple_of
    low, high = network.input_range
    random = torch.rand(2, 3, side, 2 * side, generator=torch.Generator().manual_seed(0))
    return low + (high - low) * random


@pytest.mark.parametrize(
    ("backbone", "sizes", "alone", "fusion"),
    [
        (Stripformer, stripformer.SIZES["paper"], 19_708_611, 2_555_904),
        (FFTformer, fftformer.SIZES["paper"], 16_560_474, 1_720_320),
        (LoFormer, loformer.SIZES["small"], 16_382_661, 657_920),
        (MimoUNet, mimo_unet.SIZES["plus"], 16_107_651, 114_688),
    ],
)
def test_parameters_are_as_many_as_in_the_paper(
    backbone: Any, sizes: dict[str, Any], alone: int, fusion: int
) -> None:
    with torch.device("meta"):
        counts = [
            sum(parameter.numel() for parameter in backbone(channels, **sizes).parameters())
            for channels in (0, 256)
        ]
    assert counts == [alone, alone + fusion]


@every_backbone
def test_the_answer_has_the_shape_of_the_question(backbone: Any, sizes: dict[str, Any]) -> None:
    network = backbone(0, **sizes)
    image = image_for(network)
    assert network(image, None).shape == image.shape


@every_backbone
def test_an_untrained_fusion_leaves_the_answer(backbone: Any, sizes: dict[str, Any]) -> None:
    network = backbone(16, **sizes)
    image = image_for(network)
    torch.testing.assert_close(network(image, torch.rand(2, 16)), network(image, None))


@every_backbone
def test_each_image_hears_its_own_prior(backbone: Any, sizes: dict[str, Any]) -> None:
    network = trained(backbone(16, **sizes))
    image = image_for(network)[:1].repeat(2, 1, 1, 1)
    one, other = torch.rand(2, 16)
    together = network(image, torch.stack([one, other]))
    torch.testing.assert_close(together[1:], network(image[1:], other[None]), atol=1e-4, rtol=0)
    assert (together[0] - together[1]).abs().max() > 1e-3


@every_backbone
def test_training_reaches_every_parameter(backbone: Any, sizes: dict[str, Any]) -> None:
    network = trained(backbone(16, **sizes))
    restore = getattr(network, "forward_scales", lambda *given: [network(*given)])
    scales = restore(image_for(network), torch.rand(2, 16))
    sum(scale.square().sum() for scale in scales).backward()
    missed = [
        name
        for name, parameter in network.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    ]
    assert missed == []


@every_backbone
def test_the_memory_layout_changes_nothing(backbone: Any, sizes: dict[str, Any]) -> None:
    network = trained(backbone(0, **sizes))
    image = image_for(network)
    before = network(image, None)
    network.to(memory_format=torch.channels_last)
    after = network(image.to(memory_format=torch.channels_last), None)
    torch.testing.assert_close(after, before, atol=1e-4, rtol=0)


@every_backbone
def test_images_of_other_sizes_are_refused(backbone: Any, sizes: dict[str, Any]) -> None:
    network = backbone(0, **sizes)
    with pytest.raises(RuntimeError):
        network(torch.rand(1, 3, network.multiple_of, network.multiple_of - 2), None)
