"""Regions of an image: overlapping squares, each of which has a latent of its own.

    |----------- 384 -----------|
            |----------- 384 -----------|        a region begins every 128 pixels
                    |----------- 384 -----------|

They are about as large as the crops that a prior is trained on, whatever the size of the tile, and
what they say is interpolated between their middles. A street has more than one motion; of a large
tile's mean over all of them a prior makes little. docs/research.md compares sizes.
"""

from typing import cast

import torch
from jaxtyping import Float
from torch import SymInt, Tensor

SIDE, STRIDE = 384, 128
"""Pixels a side of a region, and from one to the next."""


def over_regions(
    maps: Float[Tensor, "n *maps h w"],
    images: Float[Tensor, "n 3 height width"],
    step: int,
    size: int,
) -> Float[Tensor, "n *maps rows columns"]:
    """The means of maps over the regions of the images that they were made of.

    Args:
        maps: something for each place of a grid over the images.
        images: the images.
        step: pixels from one place to the next.
        size: pixels a side that a place stands for. Those are of a region that are whole in it.
    """
    down, right = (
        _shares(extent, places, step, size, maps)
        for extent, places in zip(images.shape[2:], maps.shape[-2:], strict=True)
    )
    return down @ maps @ right.T


def _shares(
    extent: int | SymInt, places: int | SymInt, step: int, size: int, like: Tensor
) -> Float[Tensor, "regions places"]:
    """How much of a region's mean each place is, along one side of an image.

    The first region begins 128 pixels before the image. There are more as long as the middle third
    of a region is in the image, and two pixels that a Laplacian takes of it.
    """
    regions = torch.sym_max((extent - 2) // STRIDE, 1)
    middles = _along(regions, STRIDE, STRIDE, like)
    apart = (_along(places, step, size, like) - middles[:, None]).abs()
    inside = (apart <= (SIDE - size) / 2).to(like.dtype)
    return inside / inside.sum(dim=1, keepdim=True)


def _along(count: int | SymInt, step: int, size: int, like: Tensor) -> Float[Tensor, "count"]:
    """The middles of things that stand in a row from the image's edge on."""
    numbers = torch.arange(cast("int", count), dtype=like.dtype, device=like.device)
    return numbers * step + size / 2
