"""Regions of an image: overlapping squares, each with its own latent.

    |----------- 384 -----------|
            |----------- 384 -----------|        a region begins every 128 pixels
                    |----------- 384 -----------|

They are about as large as the crops that a prior is trained on, whatever the size of the tile.
Their values are interpolated between their centres. A street has more than one motion, and the
mean over all of them in a large tile is of little use to a prior. docs/research.md compares sizes.
"""

from typing import cast

import torch
from jaxtyping import Float
from torch import SymInt, Tensor

SIDE, STRIDE = 384, 128
"""Side of a region, and distance from one to the next, in pixels."""


def over_regions(
    maps: Float[Tensor, "n *maps h w"],
    images: Float[Tensor, "n 3 height width"],
    step: int,
    size: int,
) -> Float[Tensor, "n *maps rows columns"]:
    """Means of maps over the regions of the images that they were computed from.

    Args:
        maps: values at each place of a grid over the images.
        images: the images.
        step: pixels from one place to the next.
        size: side in pixels of the square of a place; it must lie wholly in a region to count.
    """
    down, right = (
        _shares(extent, places, step, size, maps)
        for extent, places in zip(images.shape[2:], maps.shape[-2:], strict=True)
    )
    return down @ maps @ right.T


def _shares(
    extent: int | SymInt, places: int | SymInt, step: int, size: int, like: Tensor
) -> Float[Tensor, "regions places"]:
    """Weight of each place in the mean of each region, along one side of an image.

    The first region begins 128 pixels before the image. Others follow as long as the middle third
    of a region is in the image, plus the two pixels that a Laplacian removes.
    """
    regions = torch.sym_max((extent - 2) // STRIDE, 1)
    middles = _along(regions, STRIDE, STRIDE, like)
    apart = (_along(places, step, size, like) - middles[:, None]).abs()
    inside = (apart <= (SIDE - size) / 2).to(like.dtype)
    return inside / inside.sum(dim=1, keepdim=True)


def _along(count: int | SymInt, step: int, size: int, like: Tensor) -> Float[Tensor, "count"]:
    """Centres of intervals of `size` pixels, `step` apart, from the image's edge on."""
    numbers = torch.arange(cast("int", count), dtype=like.dtype, device=like.device)
    return numbers * step + size / 2
