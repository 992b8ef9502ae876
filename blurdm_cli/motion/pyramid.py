"""Blind kernel estimation, coarse to fine: latent picture and kernel by turns."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from blurdm_cli.motion import latent
from blurdm_cli.motion.fit import fit, gradients, salient
from blurdm_cli.motion.kernel import (
    Kernel,
    NewKernel,
    centred,
    odd,
    padded,
    pruned,
    rescaled,
    trimmed,
)
from blurdm_cli.motion.latent import Grey, NewGrey

COARSEST = 5
"""Side in pixels of the kernel at the coarsest level."""

FAINT = 0.02, 0.02
"""Share of the largest value, and share of the sum for a part on its own, below which a refined
kernel's values are dropped. A long path breaks up into parts; to drop more makes it shorter."""

PAGE_FAINT = 0.04, 0.1
"""The same on pages, whose few edges tell less of a kernel."""

COARSE = 0.6
"""Levels smaller than this share of the photo take all iterations."""


@dataclass(frozen=True)
class Settings:
    """How one hypothesis is estimated. Measured on made blur; see docs/motion.md."""

    weight: float = 1e-2
    """Price of an edge in the latent picture, at the coarsest level; it falls by a tenth an
    iteration."""
    least_weight: float = 2e-3
    kernel_weight: float = 20.0
    """Price of the kernel's squared norm."""
    iterations: int = 10
    """At the coarse levels."""
    fine_iterations: int = 3
    ratio: float = math.sqrt(0.5)
    """Size of a level as a share of the next finer one."""
    page: bool = False
    """Whether the photo shows ink on paper."""


def estimate(image: Grey, support: int, settings: Settings) -> NewKernel:
    """Find the kernel of a blurred image.

    Args:
        image: grey, in [0, 1], linear or encoded.
        support: the kernel's largest side in pixels, odd.
        settings: how.
    """
    weight = settings.weight
    kernel: Kernel | None = None
    before = 1.0
    for scale, side in _levels(support, settings.ratio):
        level = resized(image, scale)
        if kernel is None:
            kernel = np.zeros((side, side), np.float32)
            kernel[side // 2, side // 2 - 1 : side // 2 + 1] = 0.5
        else:
            kernel = padded(rescaled(kernel, scale / before), side)
            kernel = centred(pruned(kernel, 0.02))
        blurred = gradients(level)
        fine = scale >= COARSE
        for _ in range(settings.fine_iterations if fine else settings.iterations):
            find = latent.page_edges if settings.page else latent.edges
            edges = salient(find(level, kernel, weight), side)
            found = fit(edges, blurred, side, settings.kernel_weight)
            kernel = pruned(found, 0.05, 0.1)
            weight = max(weight / 1.1, settings.least_weight)
        kernel, before = centred(kernel), scale
    assert kernel is not None
    return trimmed(kernel)


def refine(
    image: Grey,
    kernel: Kernel,
    *,
    weight: float,
    kernel_weight: float,
    iterations: int = 3,
    page: bool = False,
) -> NewKernel:
    """Improve a kernel at the image's own scale.

    Args:
        image: grey, in [0, 1].
        kernel: what it is blurred with, about.
        weight: price of an edge in the latent picture.
        kernel_weight: price of the squared distance from `kernel`.
        iterations: how often.
        page: whether the image shows ink on paper.
    """
    start = padded(kernel, kernel.shape[0] + 8)
    side, blurred, kernel = start.shape[0], gradients(image), start
    for _ in range(iterations):
        edges = salient(latent.edges(image, kernel, weight, last=2e3), side)
        found = fit(edges, blurred, side, kernel_weight, near=start)
        kernel = pruned(found, *(PAGE_FAINT if page else FAINT))
    return trimmed(centred(kernel))


def resized(image: Grey, scale: float) -> NewGrey:
    """An image at a smaller scale."""
    if scale == 1:
        return image
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _levels(support: int, ratio: float) -> list[tuple[float, int]]:
    """Scale and kernel side of each level, the coarsest first."""
    count = max(1, int(math.log(COARSEST / support) / math.log(ratio)) + 1)
    levels: list[tuple[float, int]] = []
    for level in range(count - 1, -1, -1):
        side = odd(support * ratio**level - 1e-9)
        if not levels or side > levels[-1][1]:
            levels.append((ratio**level, side))
    return levels
