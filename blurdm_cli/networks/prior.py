"""The prior network: a blurred image and noise in, a sharp latent prior out.

    blurred ── condition encoder ── Z_B ─┬─ + β̄_T · noise ── T reverse steps ── Z_0
                                         └─ condition of both estimators

Besides BlurDM there are the priors that it is compared with. All that have a network
share its encoder; each differs in one respect.

    blurdm   both residuals
    blur     no noise: the blur residual alone
    noise    no exposure: the noise residual alone, as in a plain diffusion model
    mlp      no diffusion: the two estimators, once each, one after the other
    none     no prior at all, and so no network here
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from blurdm_cli.networks.encoder import LatentEncoder
from blurdm_cli.networks.estimator import ResidualEstimator
from blurdm_cli.physics.diffusion import ExposureSchedule, sample
from blurdm_cli.spec import PriorSpec


class PriorNetwork(nn.Module):
    """Sample the sharp prior Z_0 of a blurred image, starting from given noise."""

    def __init__(self, spec: PriorSpec, *, candidates: bool = False) -> None:
        """Build the network.

        Args:
            spec: the prior's spec.
            candidates: whether the condition encoder takes candidates after the image.

        Raises:
            ValueError: the prior is "none", or is a diffusion without a schedule.
        """
        super().__init__()
        if spec.kind == "none":
            raise ValueError("a model without a prior has no prior network")
        self.kind = spec.kind
        self.schedule = _schedule(spec)
        self.condition_encoder = LatentEncoder(spec.channels, spec.encoder, candidates=candidates)
        if spec.kind != "noise":
            self.blur_residual = ResidualEstimator(spec.channels, self.schedule.steps)
        if spec.kind != "blur":
            self.noise_residual = ResidualEstimator(spec.channels, self.schedule.steps)

    def forward(
        self, images: Float[Tensor, "n planes h w"], noise: Float[Tensor, "n c"]
    ) -> Float[Tensor, "n c"]:
        condition = self.condition(images)
        with torch.autocast(condition.device.type, enabled=False):
            return self.sample(condition.float(), noise)

    def condition(self, images: Float[Tensor, "n planes h w"]) -> Float[Tensor, "n c"]:
        """Z_B of blurred images, which may be followed by their candidates."""
        return self.condition_encoder(*_seen(images))

    def by_region(
        self, images: Float[Tensor, "n planes h w"], noise: Float[Tensor, "n c"]
    ) -> Float[Tensor, "n rows columns c"]:
        """A prior for each region of the images, from the same noise; see `networks.regions`."""
        condition = self.condition_encoder.by_region(*_seen(images))
        n, rows, columns, channels = condition.shape
        everywhere = noise[:, None].expand(n, rows * columns, channels)
        with torch.autocast(condition.device.type, enabled=False):
            priors = self.sample(condition.flatten(0, 2).float(), everywhere.flatten(0, 1))
        return priors.unflatten(0, (n, rows, columns))

    def of_photo(
        self, blurred: Float[Tensor, "n 3 h w"], noise: Float[Tensor, "n c"]
    ) -> Float[Tensor, "n c"]:
        """The prior of a photo of any size; see `LatentEncoder.in_bands`."""
        condition = self.condition_encoder.in_bands(blurred, blurred)
        with torch.autocast(condition.device.type, enabled=False):
            return self.sample(condition.float(), noise)

    def sample(
        self, condition: Float[Tensor, "n c"], noise: Float[Tensor, "n c"]
    ) -> Float[Tensor, "n c"]:
        """Sample the prior from the output of the condition encoder."""
        if self.kind == "mlp":
            hidden = self.blur_residual(condition, self.schedule.steps, condition)
            return self.noise_residual(hidden, 0, condition)
        z_T = condition + self.schedule.beta_bar[-1] * noise
        return sample(
            z_T,
            condition,
            _nothing if self.kind == "noise" else self.blur_residual,
            _nothing if self.kind == "blur" else self.noise_residual,
            self.schedule,
        )


def _seen(images: Float[Tensor, "n planes h w"]) -> tuple[Tensor, Tensor, Tensor | None]:
    """The condition encoder's input: the blurred image twice, and its candidates, if any."""
    blurred = images[:, :3] if images.shape[1] > 3 else images
    return blurred, blurred, images[:, 3:] if images.shape[1] > 3 else None


def _schedule(spec: PriorSpec) -> ExposureSchedule:
    """The schedule, without the part that this kind of prior leaves out."""
    if spec.kind == "mlp":
        return ExposureSchedule((1.0, 1.0), (0.0, 0.0))
    if spec.schedule is None:
        raise ValueError(f"the prior {spec.kind!r} needs an exposure schedule")
    alpha, beta_bar = spec.schedule.alpha, spec.schedule.beta_bar
    if spec.kind == "noise":
        alpha = (1.0,) * len(alpha)
    if spec.kind == "blur":
        beta_bar = (0.0,) * len(beta_bar)
    return ExposureSchedule(alpha, beta_bar)


def _nothing(z_t: Tensor, t: int, condition: Tensor) -> Tensor:
    return torch.zeros_like(z_t)


ORIGINAL_NAMES: dict[str, str] = {
    r"^condition_encoder\.E\.(\d+)\.body\.0\.": r"condition_encoder.features.\1.first.",
    r"^condition_encoder\.E\.(\d+)\.body\.2\.": r"condition_encoder.features.\1.second.",
    r"^condition_encoder\.E\.": "condition_encoder.features.",
    r"^condition_encoder\.mlp\.": "condition_encoder.to_latent.",
    r"^lcr_model\.": "blur_residual.",
    r"^noise_model\.": "noise_residual.",
    **{rf"\.resmlp\.{layer + 1}\.resmlp\.0\.": f".layers.{2 * layer}." for layer in range(1, 6)},
    r"\.resmlp\.0\.": ".layers.0.",
}
"""Patterns that map the authors' names of BlurDM's parameters to ours, each replaced in turn."""
