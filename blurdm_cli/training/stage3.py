"""Stage 3: train the prior network and the backbone together, on the image alone.

trained   prior network, motion head, prior fusion, backbone
frozen    nothing; sharp encoder and motion encoder are not used
prior     Z_0, as at inference
loss      image loss, and motion loss of the prior
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from blurdm_cli.training import ranks
from blurdm_cli.training.losses import image_loss
from blurdm_cli.training.model import Networks
from blurdm_cli.training.pairs import Batch
from blurdm_cli.training.recipe import ImageRecipe, Objective


@dataclass(frozen=True)
class Stage3(ImageRecipe):
    """The recipe, saved with the run. `blurdm train` has flags for the most common settings."""

    batch: int = 4
    crop: int = 192
    learning_rate: float = 5e-4


class WholeModel(Objective):
    """Prior network and backbone, as they run at inference."""

    def __init__(self, networks: Networks, recipe: Stage3) -> None:
        super().__init__()
        self.networks, self.recipe = networks, recipe
        networks.freeze("sharp_encoder", "motion_encoder")

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        network = self.networks.network
        shape = (len(batch.blurred), self.networks.noise_channels)
        prior = network.find_prior(batch.seen, ranks.noise(shape, batch.blurred.device))
        found = network.restore_scales(batch.seen, prior)
        loss = image_loss(found, batch.sharp, self.recipe)
        return loss + self.recipe.motion_weight * self.networks.motion_loss(prior, batch.motion)

    @torch.no_grad()
    def restore(self, batch: Batch) -> Float[Tensor, "n 3 h w"]:
        return self.networks.deblur(batch.seen)
