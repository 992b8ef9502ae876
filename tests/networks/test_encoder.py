import pytest
import torch

from blurdm_cli.networks.encoder import LatentEncoder
from blurdm_cli.networks.estimator import ResidualEstimator


def parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_the_paper_s_encoder_and_estimator_have_the_paper_s_size() -> None:
    assert parameters(LatentEncoder(256, "paper")) == 1_146_688
    assert parameters(ResidualEstimator(256, steps=5)) == 460_544


@pytest.mark.parametrize("kind", ["paper", "light", "spectral"])
@pytest.mark.parametrize("size", [(32, 32), (64, 48)])
def test_images_of_any_size_become_one_vector_each(kind: str, size: tuple[int, int]) -> None:
    images = torch.rand(2, 3, *size)
    latent = LatentEncoder(32, kind)(images, images)
    assert latent.shape == (2, 32)


@pytest.mark.parametrize("kind", ["paper", "light", "spectral"])
def test_an_image_s_vector_does_not_depend_on_its_neighbours_in_the_batch(kind: str) -> None:
    encoder, images = LatentEncoder(32, kind), torch.rand(3, 3, 32, 32)
    alone = encoder(images[1:2], images[2:3])
    together = encoder(images, images[[0, 2, 1]])[1:2]
    torch.testing.assert_close(together, alone)


def test_the_sharp_image_matters() -> None:
    encoder, (blurred, sharp) = LatentEncoder(32, "light"), torch.rand(2, 1, 3, 32, 32)
    assert not torch.equal(encoder(blurred, sharp), encoder(blurred, blurred))


def test_an_estimator_knows_the_step() -> None:
    estimator, z = ResidualEstimator(16, steps=5), torch.rand(2, 16)
    assert not torch.equal(estimator(z, 1, z), estimator(z, 5, z))
