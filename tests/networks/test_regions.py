from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from blurdm_cli.networks.blocks import PriorFusion
from blurdm_cli.networks.build import DeblurNetwork, build
from blurdm_cli.networks.regions import over_regions
from blurdm_cli.spec import BackboneSpec, EncoderKind, ModelSpec, PriorSpec


def spec(encoder: EncoderKind = "light") -> ModelSpec:
    sizes = {"widths": [8, 16], "encoder_blocks": [1], "decoder_blocks": [1, 1]}
    prior = PriorSpec("mlp", 16, encoder, "region")
    return ModelSpec("test", BackboneSpec("unet", sizes), prior, multiple_of=4)


def shaken(network: DeblurNetwork) -> DeblurNetwork:
    """Weights that are no longer the untrained network's zeros."""
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
    return network.eval()


@pytest.mark.parametrize(
    ("size", "regions"),
    [((16, 40), (1, 1)), ((256, 258), (1, 2)), ((300, 514), (2, 4)), ((720, 1280), (5, 9))],
)
def test_a_region_begins_every_128_pixels(size: tuple[int, int], regions: tuple[int, int]) -> None:
    places = torch.ones(1, 2, -(-size[0] // 16), -(-size[1] // 16))
    found = over_regions(places, torch.zeros(1, 3, *size), 16, 16)
    assert found.shape == (1, 2, *regions)
    torch.testing.assert_close(found, torch.ones_like(found))


def test_a_region_is_the_mean_of_384_pixels_around_its_middle() -> None:
    columns = torch.arange(64.0).expand(1, 1, 64, 64) * 16 + 8  # the pixel of a place's middle
    found = over_regions(columns, torch.zeros(1, 3, 1024, 1024), 16, 16)[0, 0]
    inner = torch.arange(1, 6) * 128.0 + 64
    torch.testing.assert_close(found[:, 1:6], inner.expand(len(found), -1))


def test_a_window_that_reaches_out_of_a_region_is_not_of_it() -> None:
    windows = torch.arange(15.0).expand(1, 1, 15, 15)  # of 128 pixels, every 64
    found = over_regions(windows, torch.zeros(1, 3, 1026, 1026), 64, 128)[0, 0, 0]
    torch.testing.assert_close(found, torch.tensor([1.0, 2, 4, 6, 8, 10, 12, 13]))


@pytest.mark.parametrize("encoder", ["paper", "light", "spectral"])
def test_a_prior_knows_its_region_and_little_around_it(encoder: EncoderKind) -> None:
    network = shaken(build(spec(encoder)))
    image = torch.rand(1, 3, 128, 1024, generator=torch.Generator().manual_seed(1))
    other = image.clone()
    other[..., 700:] = 0.5
    one, two = (network.find_prior(seen, torch.zeros(1, 16)) for seen in (image, other))
    assert one is not None
    assert two is not None
    assert one.shape == (1, 1, 7, 16)
    apart = (one - two).abs().amax(dim=(0, 1, 3))
    assert apart[5:].min() > 0
    assert apart[:3].max() < 0.01 * apart[5:].min()


def test_images_of_a_batch_have_priors_of_their_own() -> None:
    network = shaken(build(spec("spectral")))
    images, noise = torch.rand(2, 3, 128, 400), torch.zeros(2, 16)
    together = network.find_prior(images, noise)
    alone = network.find_prior(images[1:], noise[1:])
    assert together is not None
    torch.testing.assert_close(together[1:], alone)


def test_a_crop_in_training_has_one_prior() -> None:
    network, crops = build(spec()).train(), torch.rand(2, 3, 400, 400)
    found = network.find_prior(crops, torch.zeros(2, 16))
    assert found is not None
    assert found.shape == (2, 16)
    whole = replace(spec(), prior=replace(spec().prior, scope="tile"))
    same = build(whole)
    same.load_state_dict(network.state_dict())
    torch.testing.assert_close(found, same.find_prior(crops, torch.zeros(2, 16)))


def fusion() -> PriorFusion:
    found = PriorFusion(3, 4)
    nn.init.normal_(found.to_scale_shift.weight)
    return found


def test_one_region_is_fused_as_one_prior() -> None:
    fuse, x, prior = fusion(), torch.rand(2, 3, 8, 10), torch.rand(2, 4)
    torch.testing.assert_close(fuse(x, prior[:, None, None]), fuse(x, prior))


def test_between_the_middles_of_regions_priors_are_interpolated() -> None:
    fuse, x, (left, right) = fusion(), torch.ones(1, 3, 1, 8), torch.rand(2, 1, 4)

    def fused(prior: Tensor) -> Tensor:
        return fuse(x, prior)[..., 0]

    found = fuse(x, torch.stack([left, right], dim=1)[:, None])
    for column, share in enumerate((0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1)):
        expected = (1 - share) * fused(left) + share * fused(right)
        torch.testing.assert_close(found[..., column], expected)
