"""Stage 1: learn to deblur with a perfect prior, computed from the sharp image.

trained   sharp encoder, motion encoder and head, prior fusion, backbone
frozen    prior network
prior     Z_S = sharp encoder(blurred, sharp) + motion encoder(motion), where it is known
loss      image loss, and motion loss of the prior

Without a prior, this trains a plain backbone.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from blurdm_cli.training.losses import image_loss
from blurdm_cli.training.model import Networks, evaluating
from blurdm_cli.training.pairs import Batch
from blurdm_cli.training.recipe import ImageRecipe, Objective


@dataclass(frozen=True)
class Stage1(ImageRecipe):
    """The recipe, saved with the run. `blurdm train` has flags for the most common settings."""

    growth: float = 0.6


class OraclePrior(Objective):
    """The backbone, given the latent of the sharp image."""

    def __init__(self, networks: Networks, recipe: Stage1) -> None:
        super().__init__()
        self.networks, self.recipe = networks, recipe
        networks.freeze("network.prior")

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        prior = self._prior(batch)
        found = self.networks.network.restore_scales(batch.seen, prior)
        loss = image_loss(found, batch.sharp, self.recipe)
        return loss + self.recipe.motion_weight * self.networks.motion_loss(prior, batch.motion)

    @torch.no_grad()
    def restore(self, batch: Batch) -> Float[Tensor, "n 3 h w"]:
        with evaluating(self.networks):
            return self.networks.network.restore(batch.seen, self._prior(batch))

    def _prior(self, batch: Batch) -> Float[Tensor, "n c"] | None:
        if self.networks.sharp_encoder is None:
            return None
        return self.networks.oracle(batch.blurred, batch.sharp, batch.motion)
