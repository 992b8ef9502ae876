"""From a model's spec to its networks."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from blurdm_cli.errors import ModelError
from blurdm_cli.networks.prior import PriorNetwork
from blurdm_cli.networks.unet import UNet
from blurdm_cli.spec import ModelSpec

BACKBONES: dict[str, type[nn.Module]] = {
    "unet": UNet,
}


class DeblurNetwork(nn.Module):
    """All that runs at inference: the prior network, if any, and the backbone it guides."""

    def __init__(self, spec: ModelSpec) -> None:
        """Build untrained networks.

        Raises:
            ModelError: the spec names an unknown backbone, or sizes it does not take.
        """
        super().__init__()
        self.low, high = spec.input_range
        self.span = high - self.low
        self.prior = None if spec.prior.kind == "none" else PriorNetwork(spec.prior)
        try:
            backbone = BACKBONES[spec.backbone.kind]
            self.backbone = backbone(spec.prior_channels, **spec.backbone.sizes)
        except KeyError:
            raise ModelError(
                f"There is no backbone {spec.backbone.kind!r}",
                hint=f"Known: {', '.join(BACKBONES)}",
            ) from None
        except (TypeError, ValueError) as error:
            raise ModelError(f"The backbone {spec.backbone.kind!r}: {error}") from error

    def forward(
        self, blurred: Float[Tensor, "n 3 h w"], noise: Float[Tensor, "n c"] | None = None
    ) -> Float[Tensor, "n 3 h w"]:
        """Restore sRGB images in [0, 1]; the result is not clipped."""
        return self.restore(blurred, self.find_prior(blurred, noise))

    def find_prior(
        self, blurred: Float[Tensor, "n 3 h w"], noise: Float[Tensor, "n c"] | None = None
    ) -> Float[Tensor, "n c"] | None:
        """The latent prior of each image, or None for a model without one.

        Raises:
            ValueError: the model has a prior, and there is no noise to start from.
        """
        if self.prior is None:
            return None
        if noise is None:
            raise ValueError("a model with a prior needs noise to start from")
        return self.prior(self.to_range(blurred), noise)

    def restore(
        self, blurred: Float[Tensor, "n 3 h w"], prior: Float[Tensor, "n c"] | None
    ) -> Float[Tensor, "n 3 h w"]:
        """Restore images with a prior that is known."""
        return (self.backbone(self.to_range(blurred), prior) - self.low) / self.span

    def to_range(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
        """From [0, 1] to what black and white are to the networks."""
        return images * self.span + self.low


def build(spec: ModelSpec, weights: Mapping[str, np.ndarray] | None = None) -> DeblurNetwork:
    """Build a model's networks, and load its weights where they are given.

    Raises:
        ModelError: the spec cannot be built, or the weights are not this model's.
    """
    network = DeblurNetwork(spec)
    if weights is None:
        return network
    state = {name: torch.from_numpy(array).float() for name, array in weights.items()}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise ModelError(f"The weights do not fit the model {spec.name!r}: {first}") from error
    return network
