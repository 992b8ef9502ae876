"""What a stage and the loop tell each other: the recipe, the objective, and how it goes."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor, nn

from blurdm_cli.training.pairs import Batch


@dataclass(frozen=True)
class Recipe:
    """What every stage asks of the loop."""

    steps: int = 300_000
    """Optimiser steps."""
    duration: float = 0.0
    """Seconds of training, where that is the limit and not `steps`; the learning rate
    then follows the clock. 0 for none."""
    batch: int = 8
    crop: int = 128
    """Side of a training crop in pixels."""
    learning_rate: float = 1e-3
    """The backbone's highest; it rises over the first 2 % of the steps, then falls as a cosine."""
    prior_rate: float = 0.1
    """Learning rate of the encoders, estimators and fusion, as a share of the backbone's.

    A fusion sums as many products as the latent has channels, and multiplies all features
    of a level by the sum: at the backbone's rate it blows up.
    """
    full_rate_inputs: int = 288
    """Weights of units with more inputs than this learn slower, in inverse proportion: a step moves
    all inputs of a unit together, and wide layers without a norm lose their ReLUs to it. 0: none
    does. Source: μP's rule for Adam (Yang et al., "Tensor Programs V", 2022)."""
    motion_weight: float = 0.05
    """Of what the prior must tell about the motion (`Networks.motion_loss`), where it is known."""
    weight_decay: float = 1e-4
    ema_decay: float = 0.999
    gradient_clip: float = 0.5
    """Largest norm of all gradients together."""
    growth: float = 0.0
    """Share of the training over which blurs grow to their full length: short ones teach
    a network that knows nothing much faster. Only for blurs that are made."""
    seed: int = 0
    evaluate_every: int = 2000
    """Steps between two evaluations, each with a checkpoint."""


@dataclass(frozen=True)
class ImageRecipe(Recipe):
    """What the stages ask that look at the restored image."""

    pixel_loss: Literal["charbonnier", "l1", "psnr"] = "charbonnier"
    frequency_weight: float = 25.0
    """Of the Fourier part of the image loss."""
    edge_weight: float = 0.0
    """Of the edges' part of the image loss."""
    psnr_weight: float = 0.0
    """Of the crops' mean PSNR in dB, which is taken off the loss: of nearly sharp crops it asks for
    as many dB as of blurred ones."""


FUSION_RECIPE: Mapping[str, Any] = {
    "batch": 6,
    "crop": 128,
    "frequency_weight": 1.0,
    "psnr_weight": 0.0025,
}
"""What image stages do otherwise where the backbone weighs candidates; measured, see docs."""


@dataclass(frozen=True)
class Progress:
    """How a run is doing."""

    step: int
    fraction: float
    """Of the whole run that is done, in [0, 1]."""
    seconds: float
    """Spent on training so far, resumed runs included."""
    loss: float
    skipped: int
    psnr: tuple[float, float] | None = None
    """Of the blurred and of the restored validation crops in dB, at an evaluation."""
    rate: float = math.nan
    """Crops per second of late."""

    def outcome(self) -> dict[str, float]:
        """What the model's spec keeps of a finished stage."""
        found: dict[str, float] = {"steps_done": self.step, "seconds": round(self.seconds)}
        if self.psnr:
            found["psnr_blurred"], found["psnr_restored"] = (round(p, 3) for p in self.psnr)
        return found


class Objective(nn.Module, ABC):
    """What a stage trains: networks, some of them frozen, and a loss."""

    partial_steps: int = 0
    """T, where the loss needs the partial exposures."""

    @abstractmethod
    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """The loss of one batch."""

    @abstractmethod
    def restore(self, batch: Batch) -> Float[Tensor, "n 3 h w"]:
        """Restore the blurred crops, as well as this stage can."""
