"""What training minimises."""

import torch
from jaxtyping import Float
from torch import Tensor


def charbonnier(
    found: Float[Tensor, "*shape"], wanted: Float[Tensor, "*shape"], epsilon: float = 1e-3
) -> Float[Tensor, ""]:
    """A smooth mean absolute difference.

    Source: Charbonnier et al., ICIP 1994; ε as in BlurDM's recipe.
    """
    return ((found - wanted) ** 2 + epsilon**2).sqrt().mean()


def frequency_distance(
    found: Float[Tensor, "n c h w"], wanted: Float[Tensor, "n c h w"]
) -> Float[Tensor, ""]:
    """Mean absolute difference of two images' orthonormal 2-D Fourier coefficients.

    Source: MIMO-UNet (Cho et al., ICCV 2021), there not normalised: its weight of 0.1
    on 256-pixel crops is 25.6 here.
    """
    return torch.fft.rfft2(found - wanted, norm="ortho").abs().mean()


def image_loss(
    found: Float[Tensor, "n c h w"], wanted: Float[Tensor, "n c h w"], frequency_weight: float
) -> Float[Tensor, ""]:
    """The backbone's loss: `charbonnier` in pixels and, weighted, `frequency_distance`."""
    loss = charbonnier(found, wanted)
    if frequency_weight:
        loss = loss + frequency_weight * frequency_distance(found, wanted)
    return loss
