"""Stage 2: estimate, from the blurred image alone, the prior that stage 1 took from the sharp one.

trained   condition encoder, blur residual, noise residual
frozen    sharp encoder, motion encoder and head, prior fusion, backbone
loss      |Z_0 - Z_S|, and motion loss of Z_0; with step supervision also, at each
          step t, |e_t - e_θ| and |ε - ε_θ|

Step supervision needs the true partial exposures, which synthetic blur has: the sharp
encoder turns I_t into the latent z_t, and e_t = α_t z_t - α_{t-1} z_{t-1} (Eqs. 34 and 35).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import l1_loss

from blurdm_cli.errors import TrainingError
from blurdm_cli.networks.prior import PriorNetwork
from blurdm_cli.training import ranks
from blurdm_cli.training.model import Networks
from blurdm_cli.training.pairs import Batch
from blurdm_cli.training.recipe import Objective, Recipe


@dataclass(frozen=True)
class Stage2(Recipe):
    """The recipe, saved with the run. `blurdm train` has flags for the most common settings."""

    learning_rate: float = 5e-4
    prior_rate: float = 1.0
    step_weight: float = 0.0
    """Weight of step supervision; 0 turns it off."""


class FoundPrior(Objective):
    """The prior network, supervised by the sharp encoder."""

    def __init__(self, networks: Networks, recipe: Stage2) -> None:
        """Freeze everything except the prior network.

        Raises:
            TrainingError: the model has no prior, or no steps for step supervision.
        """
        super().__init__()
        if networks.network.prior is None:
            raise TrainingError("A model without a prior has no stage 2")
        self.networks, self.recipe = networks, recipe
        self.prior: PriorNetwork = networks.network.prior
        networks.freeze("sharp_encoder", "motion_encoder", "motion_head", "network.backbone")
        if recipe.step_weight:
            if self.prior.kind != "blurdm":
                raise TrainingError("Step supervision works only with the prior 'blurdm'")
            self.partial_steps = self.prior.schedule.steps

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        seen = self.networks.network.seen(batch.seen)
        with torch.no_grad():
            target = self.networks.oracle(batch.blurred, batch.sharp, batch.motion)
        condition = self.prior.condition(seen)
        with torch.autocast(seen.device.type, enabled=False):
            condition, noise = condition.float(), ranks.noise(target.shape, target.device)
            prior = self.prior.sample(condition, noise)
            loss = l1_loss(prior, target)
            loss = loss + self.recipe.motion_weight * self.networks.motion_loss(prior, batch.motion)
            if batch.partial is not None:
                supervised = self._supervise(batch, batch.partial, condition)
                loss = loss + self.recipe.step_weight * supervised
        return loss

    @torch.no_grad()
    def restore(self, batch: Batch) -> Float[Tensor, "n 3 h w"]:
        return self.networks.deblur(batch.seen)

    def _supervise(
        self,
        batch: Batch,
        partial: Float[Tensor, "steps_and_one n 3 h w"],
        condition: Float[Tensor, "n c"],
    ) -> Float[Tensor, ""]:
        """Mean error of both estimators over all steps, each from its true state."""
        schedule = self.prior.schedule
        with torch.no_grad():
            oracle = self.networks.oracle
            latents = [oracle(batch.blurred, image, batch.motion) for image in partial]
        eps = ranks.noise(condition.shape, condition.device)
        loss = l1_loss(condition, latents[-1])
        for t in range(1, schedule.steps + 1):
            e_t = schedule.alpha[t] * latents[t] - schedule.alpha[t - 1] * latents[t - 1]
            z_t = latents[t] + schedule.beta_bar[t] * eps
            loss = loss + l1_loss(self.prior.blur_residual(z_t, t, condition), e_t)
            loss = loss + l1_loss(self.prior.noise_residual(z_t, t, condition), eps)
        return loss / schedule.steps
