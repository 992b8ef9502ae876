"""A kernel by least squares, from the salient gradients of a latent picture.

Sources: salient gradients by direction, Cho and Lee (SIGGRAPH Asia 2009); the normal equations on
the few lags that a kernel has, solved by FISTA (Beck and Teboulle, 2009) with restarts.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from blurdm_cli.motion.fourier import (
    fast_size,
    inner_differences,
    invert,
    multiply,
    transform,
)
from blurdm_cli.motion.kernel import Kernel
from blurdm_cli.motion.latent import Grey

Gradients = Float32[np.ndarray, "2 h w"]

DIRECTIONS = 4
DENSITY = 3.0
"""Salient gradients a direction: half of this times the root of image area times kernel area."""


def gradients(image: Grey) -> Gradients:
    """Differences to the next column and the next row."""
    return np.stack(inner_differences(image))


def salient(image: Grey, side: int) -> Gradients:
    """The strongest gradients of an image, enough of each direction for a kernel of this side."""
    found = gradients(image)
    strength = found[0] * found[0] + found[1] * found[1]
    angle = np.arctan2(found[1], found[0]) % np.float32(np.pi)
    which = np.minimum((angle / np.float32(np.pi / DIRECTIONS)).astype(np.int8), DIRECTIONS - 1)
    wanted = int(max(2 * side, 0.5 * DENSITY * math.sqrt(image.size) * side))
    threshold = np.inf
    for direction in range(DIRECTIONS):
        values = strength[which == direction]
        if len(values) > wanted:
            threshold = min(threshold, np.partition(values, -wanted)[-wanted])
        elif len(values):
            threshold = min(threshold, values.min())
    return found * (strength >= threshold)


@dataclass(frozen=True, eq=False)
class Equations:
    """Normal equations of a kernel: how it turns sharp gradients into blurred ones."""

    side: int
    """Rows and columns of the kernel."""
    spectrum: Float32[np.ndarray, "h w"]
    """Transform of the sharp gradients' autocorrelation."""
    target: Float32[np.ndarray, "k k"]
    """Correlation of the sharp with the blurred gradients."""
    size: tuple[int, int]
    """Size of the images that `spectrum` is the transform of."""
    lags: Float32[np.ndarray, "l l"]
    """The autocorrelation itself, up to the displacement from edge to edge of the kernel."""

    @classmethod
    def of(cls, sharp: Gradients, blurred: Gradients, side: int) -> "Equations":
        """Set up the equations of a kernel of this side."""
        reach = side // 2
        size = fast_size(sharp.shape[1] + side, sharp.shape[2] + side)
        own = cross = np.zeros(size, np.float32)
        for before, after in zip(sharp, blurred, strict=True):
            of_sharp = _transformed(before, size)
            own = own + multiply(of_sharp, of_sharp, conjugate=True)
            cross = cross + multiply(_transformed(after, size), of_sharp, conjugate=True)
        lags = np.arange(-reach, reach + 1)
        target = invert(cross)[np.ix_(lags % size[0], lags % size[1])]
        small = fast_size(2 * side - 1, 2 * side - 1)
        far = np.arange(-2 * reach, 2 * reach + 1)
        matrix = np.zeros(small, np.float32)
        kept = invert(own)[np.ix_(far % size[0], far % size[1])]
        matrix[np.ix_(far % small[0], far % small[1])] = kept
        return cls(side, transform(matrix), target, small, kept)

    def apply(self, kernel: Kernel) -> Kernel:
        """The left side of the equations; `target` is the right one."""
        around = np.zeros(self.size, np.float32)
        around[: self.side, : self.side] = kernel
        return invert(multiply(self.spectrum, transform(around)))[: self.side, : self.side]

    @property
    def largest(self) -> float:
        """An upper bound of the largest eigenvalue."""
        return float(self.spectrum.max())


def fit(
    sharp: Gradients,
    blurred: Gradients,
    side: int,
    weight: float,
    *,
    near: Kernel | None = None,
    iterations: int = 40,
) -> Kernel:
    """The non-negative kernel that turns the sharp gradients into the blurred ones.

    Args:
        sharp: gradients of the latent picture.
        blurred: gradients of the photo.
        side: rows and columns of the kernel.
        weight: price of the kernel's squared distance from `near`, or from zero.
        near: a kernel that the new one should be like; the start too.
        iterations: steps of FISTA, which starts anew where it turns back.

    Returns:
        The kernel, not normalised.
    """
    equations = Equations.of(sharp, blurred, side)
    price, target = np.float32(weight), equations.target
    values = np.zeros((side, side), np.float32)
    if near is not None:
        values, target = near, target + price * near
    step = np.float32(1 / (equations.largest + weight))
    ahead, momentum = values, 1.0
    for _ in range(iterations):
        slope = equations.apply(ahead) + price * ahead - target
        following = np.maximum(ahead - slope * step, 0)
        if float(((ahead - following) * (following - values)).sum()) > 0:
            momentum = 1.0
        grown = (1 + math.sqrt(1 + 4 * momentum * momentum)) / 2
        ahead = following + np.float32((momentum - 1) / grown) * (following - values)
        values, momentum = following, grown
    return values


def _transformed(image: Grey, size: tuple[int, int]) -> Float32[np.ndarray, "y x"]:
    padded = np.zeros(size, np.float32)
    padded[: image.shape[0], : image.shape[1]] = image
    return transform(padded)
