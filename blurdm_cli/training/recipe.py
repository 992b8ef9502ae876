"""Interface between a stage and the training loop: recipe, objective and progress."""

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
    """Settings of the training loop for a stage."""

    steps: int = 300_000
    """Optimiser steps."""
    duration: float = 0.0
    """Seconds of training, if time is the limit instead of `steps`; the learning rate
    then follows the clock. 0 for no time limit."""
    batch: int = 8
    crop: int = 128
    """Side of a training crop in pixels."""
    learning_rate: float = 1e-3
    """Peak rate of the backbone. It rises over the first 2 % of steps, then falls as a cosine."""
    prior_rate: float = 0.1
    """Learning rate of the encoders, estimators and fusion, as a share of the backbone's.

    A fusion sums as many products as the latent has channels, and multiplies all features
    of a level by the sum: at the backbone's rate it diverges.
    """
    full_rate_inputs: int = 288
    """Weights of units with more inputs than this learn slower, in inverse proportion: a step moves
    all inputs of a unit together, which kills the ReLUs of wide layers without a norm. 0 turns
    this off. Source: μP's rule for Adam (Yang et al., "Tensor Programs V", 2022)."""
    motion_weight: float = 0.05
    """Weight of the motion loss (`Networks.motion_loss`), where the motion is known."""
    weight_decay: float = 1e-4
    ema_decay: float = 0.999
    gradient_clip: float = 0.5
    """Largest norm of all gradients together."""
    growth: float = 0.0
    """Share of the training over which blurs grow to their full length: an untrained network
    learns much faster from short ones. Only for synthetic blur."""
    seed: int = 0
    evaluate_every: int = 2000
    """Steps between two evaluations, each with a checkpoint."""


@dataclass(frozen=True)
class ImageRecipe(Recipe):
    """Settings of the stages whose loss is on the restored image."""

    pixel_loss: Literal["charbonnier", "l1", "psnr"] = "charbonnier"
    frequency_weight: float = 25.0
    """Weight of the Fourier part of the image loss."""
    edge_weight: float = 0.0
    """Weight of the edge part of the image loss."""
    psnr_weight: float = 0.0
    """Weight of the crops' mean PSNR in dB, which is subtracted from the loss: it demands as many
    dB of nearly sharp crops as of blurred ones. Up to about 45 dB it counts twice, see
    `losses.PSNR_FLOORS`."""


FUSION_RECIPE: Mapping[str, Any] = {
    "batch": 6,
    "crop": 128,
    "frequency_weight": 1.0,
    "psnr_weight": 0.0025,
}
"""Changes to the image stages if the backbone weighs candidates; measured, see docs."""


@dataclass(frozen=True)
class Progress:
    """Progress of a run."""

    step: int
    fraction: float
    """Share of the run that is done, in [0, 1]."""
    seconds: float
    """Seconds of training so far, including those before a resume."""
    loss: float
    skipped: int
    psnr: tuple[float, float] | None = None
    """PSNR of the blurred and of the restored validation crops in dB, at an evaluation."""
    rate: float = math.nan
    """Recent crops per second."""

    def outcome(self) -> dict[str, float]:
        """Outcome of a finished stage, as recorded in the model's spec."""
        found: dict[str, float] = {"steps_done": self.step, "seconds": round(self.seconds)}
        if self.psnr:
            found["psnr_blurred"], found["psnr_restored"] = (round(p, 3) for p in self.psnr)
        return found


class Objective(nn.Module, ABC):
    """Objective of a stage: networks, some of them frozen, and a loss."""

    partial_steps: int = 0
    """T, if the loss needs the partial exposures."""

    @abstractmethod
    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """The loss of one batch."""

    @abstractmethod
    def restore(self, batch: Batch) -> Float[Tensor, "n 3 h w"]:
        """Restore the blurred crops as well as this stage can."""
