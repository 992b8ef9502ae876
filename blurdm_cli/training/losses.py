"""Training losses."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv2d, interpolate, l1_loss, pad

from blurdm_cli.training.recipe import ImageRecipe


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


def edge_distance(
    found: Float[Tensor, "n c h w"], wanted: Float[Tensor, "n c h w"]
) -> Float[Tensor, ""]:
    """`charbonnier` of the detail that images lose when they are halved and enlarged again.

    Source: the edge loss of MPRNet (Zamir et al., CVPR 2021), which Stripformer trains with.
    """
    difference = found - wanted
    down = _blurred(difference)[:, :, ::2, ::2]
    up = torch.zeros_like(difference)
    up[:, :, ::2, ::2] = 4 * down
    lost = difference - _blurred(up)
    return charbonnier(lost, torch.zeros_like(lost))


def negative_psnr(
    found: Float[Tensor, "n c h w"], wanted: Float[Tensor, "n c h w"], floor: float = 1e-8
) -> Float[Tensor, ""]:
    """Minus the mean PSNR of images in [0, 1], in dB. Source: NAFNet's loss.

    Args:
        found: restored images.
        wanted: sharp images.
        floor: mean squared error below which a further decrease hardly counts.
    """
    squared = ((found - wanted) ** 2).mean(dim=(1, 2, 3))
    return 10 * (squared + floor).log10().mean()


PSNR_FLOORS = (1e-8, 3e-5)
"""Floors of the two PSNR terms of `image_loss`: the second one saturates at 45 dB, so that crops
above it count half. The included model was trained with both."""

PIXEL_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "charbonnier": charbonnier,
    "l1": l1_loss,
    "psnr": negative_psnr,
}


def image_loss(
    found: Sequence[Float[Tensor, "n c _ _"]], sharp: Float[Tensor, "n c h w"], recipe: ImageRecipe
) -> Float[Tensor, ""]:
    """The backbone's loss, summed over the sizes that it restores.

    Args:
        found: the restored images, and smaller ones if the backbone outputs them.
        sharp: the targets; scaled down bilinearly for the smaller ones.
        recipe: the pixel loss, and the weights of the frequency, edge and PSNR losses.
    """
    loss = sharp.new_zeros(())
    for image in found:
        image, wanted = image.float(), sharp
        if image.shape != sharp.shape:
            wanted = interpolate(sharp, image.shape[2:], mode="bilinear")
        loss = loss + PIXEL_LOSSES[recipe.pixel_loss](image, wanted)
        if recipe.frequency_weight:
            loss = loss + recipe.frequency_weight * frequency_distance(image, wanted)
        if recipe.psnr_weight:
            parts = [negative_psnr(image, wanted, floor) for floor in PSNR_FLOORS]
            loss = loss + recipe.psnr_weight * torch.stack(parts).sum()
        if recipe.edge_weight:
            loss = loss + recipe.edge_weight * edge_distance(image, wanted)
    return loss


def _blurred(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Blur images with a 5x5 binomial window, with repeated borders."""
    # created on the device: copying a list there would make each step wait for it
    line = torch.cat([images.new_full((1,), share) for share in (0.05, 0.25, 0.4, 0.25, 0.05)])
    window = torch.outer(line, line).expand(images.shape[1], 1, 5, 5)
    padded = pad(images, (2, 2, 2, 2), mode="replicate")
    return conv2d(padded, window, groups=images.shape[1])
