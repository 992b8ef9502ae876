"""Regions of an image: overlapping squares, each of which has a latent of its own.

    |-------- 256 --------|
            |-------- 256 --------|        a region begins every 128 pixels
                    |-------- 256 --------|

They are as large as the crops that a prior is trained on, whatever the size of the tile, and what
they say is interpolated between their middles. A street has more than one motion; and of a large
tile's mean over all of them a prior makes little.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

SIDE, STRIDE = 256, 128
"""Pixels a side of a region, and from one to the next."""


def over_regions(
    maps: Float[Tensor, "n *maps h w"], size: Sequence[int], step: float, first: float
) -> Float[Tensor, "n *maps rows columns"]:
    """The means of maps over the regions of the image that they were made of.

    Args:
        maps: something for each place of a grid over an image.
        size: the image's height and width in pixels.
        step: pixels from one place to the next.
        first: where in the image the first place's middle is, in pixels.
    """
    down, right = (
        _shares(extent, places, step, first, maps)
        for extent, places in zip(size, maps.shape[-2:], strict=True)
    )
    return down @ maps @ right.T


def _shares(
    extent: int, places: int, step: float, first: float, like: Tensor
) -> Float[Tensor, "regions places"]:
    """How much of a region's mean each place is, along one side of an image.

    There are as many regions as have their middle in the image, but for two pixels that
    a Laplacian takes of it; the regions at its ends reach beyond it.
    """
    count = torch.sym_max((extent - 2) // STRIDE, 1)
    middles = torch.arange(count, device=like.device) * STRIDE + STRIDE / 2
    places_at = torch.arange(places, device=like.device) * step + first
    inside = ((places_at - middles[:, None]).abs() <= SIDE / 2).to(like.dtype)
    return inside / inside.sum(dim=1, keepdim=True)
