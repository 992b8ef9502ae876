"""Regions of an image: overlapping squares, each of which has a latent of its own.

    |-------- 256 --------|
            |-------- 256 --------|        a region begins every 128 pixels
                    |-------- 256 --------|

They are as large as the crops that a prior is trained on, whatever the size of the tile, and what
they say is interpolated between their middles. A street has more than one motion; and of a large
tile's mean over all of them a prior makes little.
"""

from typing import cast

import torch
from jaxtyping import Float
from torch import SymInt, Tensor

SIDE, STRIDE = 256, 128
"""Pixels a side of a region, and from one to the next."""


def over_regions(
    maps: Float[Tensor, "n *maps h w"],
    images: Float[Tensor, "n 3 height width"],
    step: float,
    first: float,
) -> Float[Tensor, "n *maps rows columns"]:
    """The means of maps over the regions of the images that they were made of.

    Args:
        maps: something for each place of a grid over the images.
        images: the images.
        step: pixels from one place to the next.
        first: where in the image the first place's middle is, in pixels.
    """
    down, right = (
        _shares(extent, places, step, first, maps)
        for extent, places in zip(images.shape[2:], maps.shape[-2:], strict=True)
    )
    return down @ maps @ right.T


def _shares(
    extent: int | SymInt, places: int | SymInt, step: float, first: float, like: Tensor
) -> Float[Tensor, "regions places"]:
    """How much of a region's mean each place is, along one side of an image.

    The first region begins 64 pixels before the image. There are more as long as the middle half
    of a region is in the image, and two pixels that a Laplacian takes of it.
    """
    regions = torch.sym_max((extent - 2) // STRIDE, 1)
    middles = _along(regions, STRIDE, STRIDE / 2, like)
    apart = (_along(places, step, first, like) - middles[:, None]).abs()
    inside = (apart <= SIDE / 2).to(like.dtype)
    return inside / inside.sum(dim=1, keepdim=True)


def _along(count: int | SymInt, step: float, first: float, like: Tensor) -> Float[Tensor, "count"]:
    return torch.arange(cast("int", count), dtype=like.dtype, device=like.device) * step + first
