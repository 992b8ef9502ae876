"""The Blur Diffusion Model, forward and reverse, in the paper's symbols.

He et al., "BlurDM: A Blur Diffusion Model for Image Deblurring", NeurIPS 2025, arXiv 2512.03979.

    paper   here           meaning
    α_t     alpha[t]       exposure up to step t; α_0 is the sharp image's, α_T the blurred one's
    e_t     e_t            blur residual: the light gathered between α_{t-1} and α_t
    ε       eps            noise residual, drawn from N(0, I)
    β_t     beta[t]        scale of the noise added by step t
    β̄_t    beta_bar[t]    scale of the noise accumulated up to step t
    z_t     z_t            state at step t: z_0 is sharp, z_T is blurred and noisy

    forward   z_t     = (α_0 z_0 + e_1 + … + e_t) / α_t + β̄_t ε                         (Eq. 6)
    reverse   z_{t-1} = (α_t z_t - e_t) / α_{t-1} - (α_t β̄_t / α_{t-1} - β̄_{t-1}) ε    (Eq. 10)

The reverse step is deterministic, and exact: with the true e_t and ε it takes each
z_t to the z_{t-1} of Eq. 6. This module does not depend on networks, devices or files.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

Estimator = Callable[[Tensor, int, Tensor], Tensor]
"""Predicts one residual from (z_t, t, condition)."""


@dataclass(frozen=True)
class ExposureSchedule:
    """Exposure and accumulated noise at each step."""

    alpha: tuple[float, ...]
    """α_0 … α_T, never decreasing: exposures, in units of the sharp image's exposure."""
    beta_bar: tuple[float, ...]
    """β̄_0 … β̄_T: standard deviations, in units of the state; β̄_0 is 0."""

    def __post_init__(self) -> None:
        if len(self.alpha) != len(self.beta_bar) or len(self.alpha) < 2:
            raise ValueError(f"{len(self.alpha)} exposures for {len(self.beta_bar)} noise scales")
        if self.alpha[0] <= 0 or list(self.alpha) != sorted(self.alpha):
            raise ValueError(f"exposures must start above 0 and never decrease: {self.alpha}")
        if self.beta_bar[0] != 0.0:
            raise ValueError(f"a sharp state has no noise, but beta_bar[0] is {self.beta_bar[0]}")

    @property
    def steps(self) -> int:
        """T, the number of diffusion steps."""
        return len(self.alpha) - 1


def schedule(name: str, steps: int = 5) -> ExposureSchedule:
    """An exposure schedule of the paper: α from 1 to 2, β from 0 to 0.02, both linear.

    Args:
        name: "paper" accumulates noise as in Eq. 6, β̄_t² = Σ_{i≤t} (α_i/α_t)² β_i²;
            "released" as in the authors' code, β̄_t² = Σ_{i≤t} (α_{i-1}/α_t)² β_i,
            which is seven times as much noise at the end.
        steps: T; β_1 … β_T span the whole range for any T.

    Raises:
        ValueError: the name is not one of the two, or `steps` is below 1.
    """
    if name not in SCHEDULES or steps < 1:
        raise ValueError(f"no schedule {name!r} of {steps} steps; known: {', '.join(SCHEDULES)}")
    alpha = [1 + t / steps for t in range(steps + 1)]
    beta = [0.0, *(0.02 * (t - 1) / max(steps - 1, 1) for t in range(1, steps + 1))]
    beta_bar = [0.0]
    for t in range(1, steps + 1):
        if name == "paper":
            variance = sum((alpha[i] / alpha[t] * beta[i]) ** 2 for i in range(1, t + 1))
        else:
            variance = sum((alpha[i - 1] / alpha[t]) ** 2 * beta[i] for i in range(1, t + 1))
        beta_bar.append(math.sqrt(variance))
    return ExposureSchedule(tuple(alpha), tuple(beta_bar))


SCHEDULES = ("paper", "released")


def diffuse(
    z_0: Float[Tensor, "batch *shape"],
    e: Float[Tensor, "steps batch *shape"],
    eps: Float[Tensor, "batch *shape"],
    t: int,
    schedule: ExposureSchedule,
) -> Float[Tensor, "batch *shape"]:
    """Blur and noise a sharp state up to step t, in closed form (Eq. 6).

    Args:
        z_0: the sharp state.
        e: the blur residuals e_1 … e_T; only the first t are used.
        eps: the noise residual.
        t: the step to reach; 0 returns z_0.
        schedule: exposures and noise scales.
    """
    gathered = schedule.alpha[0] * z_0 + e[:t].sum(dim=0)
    return gathered / schedule.alpha[t] + schedule.beta_bar[t] * eps


def undiffuse(
    z_t: Float[Tensor, "batch *shape"],
    e_t: Float[Tensor, "batch *shape"],
    eps: Float[Tensor, "batch *shape"],
    t: int,
    schedule: ExposureSchedule,
) -> Float[Tensor, "batch *shape"]:
    """Take one reverse step (Eq. 10): close the shutter by one step, remove its noise."""
    alpha, beta_bar = schedule.alpha, schedule.beta_bar
    noise_scale = alpha[t] * beta_bar[t] / alpha[t - 1] - beta_bar[t - 1]
    return (alpha[t] * z_t - e_t) / alpha[t - 1] - noise_scale * eps


def sample(
    z_T: Float[Tensor, "batch *shape"],
    condition: Float[Tensor, "batch *shape"],
    blur_residual: Estimator,
    noise_residual: Estimator,
    schedule: ExposureSchedule,
) -> Float[Tensor, "batch *shape"]:
    """Walk back from the blurred, noisy state z_T to the sharp z_0.

    The loop is unrolled over plain Python numbers, so that tracing it gives a graph
    without control flow.
    """
    z = z_T
    for t in range(schedule.steps, 0, -1):
        e_t = blur_residual(z, t, condition)
        eps = noise_residual(z, t, condition)
        z = undiffuse(z, e_t, eps, t, schedule)
    return z
