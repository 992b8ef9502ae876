"""Deconvolution with a known kernel: total variation, by Peaceman and Rachford's splitting.

    min over x of   ½ Σ_seen (k * x - y)²  +  λ Σ |∇x|      with x ≥ 0

Pixels outside the image are unknowns like all others, so that light which moved across the border
needs no guess (free borders). A saturated pixel only says that the light was at least as strong.

Sources: Almeida and Figueiredo, "Deconvolving images with unknown boundaries" (IEEE TIP 2013), for
what is split; Lions and Mercier (SIAM J. Numer. Anal. 1979) for the reflections, which are nearer
to the minimum in six rounds than ADMM's are in eight; the one-sided term for saturation is ours.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from blurdm_cli.motion.fourier import (
    differences,
    divergence,
    extend,
    fast_size,
    gradient_power,
    invert,
    multiply,
    power,
    transfer,
    transform,
)
from blurdm_cli.motion.kernel import Kernel, centroid

Channel = Float32[np.ndarray, "h w"]
Mask = Bool[np.ndarray, "h w"]

ITERATIONS = 6
COUPLING = 0.5
"""Weight of the coupling between the blurred estimate and the photo."""
GRADIENT_COUPLING = 20.0
"""Weight of the coupling between gradients and thresholded ones, as a multiple of λ."""
POSITIVITY = 0.01
"""Weight of the coupling between the image and what is positive of it."""
SATURATED = 0.985
"""Values from here on may have been brighter."""
LEAST_NOISE = 5e-4
"""Noise below which a residual is not compared with it."""
SMOOTHINGS = (1 / 8, 2.0)
"""Multiples of λ in encoded values, at least and at most."""
LINEAR_SMOOTHING = 0.75
"""Multiple of λ in linear light, for a right kernel."""


@dataclass(frozen=True)
class Deconvolved:
    """A restored channel, and what it looks like when it is blurred again."""

    image: Channel
    reblurred: Channel


class Deconvolver:
    """Deconvolves channels of one size with one kernel."""

    def __init__(
        self, kernel: Kernel, height: int, width: int, weight: float, *, positive: bool = True
    ) -> None:
        """Prepare.

        Args:
            kernel: its centre of mass stands for no displacement: the restored image shows the
                middle of the exposure, to a fraction of a pixel.
            height: of the channels, in pixels.
            width: of the channels, in pixels.
            weight: λ; see `weight_for`.
            positive: whether values below zero are avoided.
        """
        side = kernel.shape[0]
        self.inner = (height, width)
        self.size = fast_size(height + side, width + side)
        self.blur = transfer(kernel, self.size, centroid(kernel))
        coupling = np.float32(GRADIENT_COUPLING * weight / COUPLING)
        self.positivity = float(np.float32(POSITIVITY * positive) / coupling)
        inverse = gradient_power(self.size) + self.positivity
        inverse *= coupling
        inverse += power(self.blur)
        np.reciprocal(inverse, out=inverse)
        self.back = self.blur * inverse
        self.sharpen = np.multiply(inverse, coupling, out=inverse)

    def __call__(
        self, blurred: Channel, iterations: int = ITERATIONS, clipped: Mask | None = None
    ) -> Deconvolved:
        """Deconvolve one channel, of values in [0, 1].

        Args:
            blurred: the channel.
            iterations: how many images are solved for.
            clipped: pixels whose light may have been stronger; None for those near 1.
        """
        seen = np.s_[: self.inner[0], : self.inner[1]]
        one_sided = blurred >= SATURATED if clipped is None else clipped
        any_saturated = bool(one_sided.any())
        data = extend(blurred, self.size)
        image, again = self._solve(data)
        gradients: tuple[Channel, Channel] | None = None
        positive: Channel | None = None
        for _ in range(1, iterations):
            gradients = self._softened(image, gradients)
            wanted = divergence(*gradients)
            if self.positivity:
                positive = np.abs(image if positive is None else _mirrored(image, positive))
                cv2.scaleAdd(positive, self.positivity, wanted, dst=wanted)
            # mirrored too: a compromise inside; outside, and where it is too bright, the estimate
            data = _mirrored(again, data)
            part = blurred - data[seen]
            if any_saturated:
                part[one_sided & (part < 0)] = 0
            part *= np.float32(2 / (1 + COUPLING))
            data[seen] += part
            image, again = self._solve(data, wanted)
        return Deconvolved(image[seen], again[seen])

    def _solve(self, data: Channel, wanted: Channel | None = None) -> tuple[Channel, Channel]:
        """The image nearest to the data and to what is wanted, and what it looks like blurred."""
        spectrum = multiply(transform(data), self.back, conjugate=True)
        if wanted is not None:
            sharp = transform(wanted)
            sharp *= self.sharpen
            spectrum += sharp
        return invert(spectrum), invert(multiply(spectrum, self.blur))

    @staticmethod
    def _softened(
        image: Channel, before: tuple[Channel, Channel] | None
    ) -> tuple[Channel, Channel]:
        """Gradients with their length lowered by twice the threshold, to minus itself at least."""
        along, down = differences(image)
        if before is not None:
            along, down = _mirrored(along, before[0]), _mirrored(down, before[1])
        # no cv2.magnitude: its last bits depend on where arrays lie in memory
        share = cv2.multiply(along, along)
        cv2.accumulateSquare(down, share)
        np.sqrt(share, out=share)
        np.maximum(share, np.float32(1 / GRADIENT_COUPLING), out=share)
        np.divide(np.float32(-2 / GRADIENT_COUPLING), share, out=share)
        share += 1
        along *= share
        down *= share
        return along, down


def _mirrored(values: Channel, before: Channel) -> Channel:
    """Twice the values less those before, which are overwritten."""
    return cv2.addWeighted(values, 2, before, -1, 0, dst=before)


def noise_of(grey: Channel) -> float:
    """Standard deviation of an image's noise, from its finest details; not of clipped pixels."""
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
    detail = np.abs(cv2.filter2D(grey, -1, mask))[(grey > 0.02) & (grey < 0.98)]
    return float(np.median(detail)) / 0.6745 if detail.size else 0.0


def weight_for(noise: float, *, linear: bool) -> float:
    """λ for a photo of this noise in its encoded values; measured on made blur."""
    weight = 3e-4 + 25 * min(noise, 0.02) ** 2
    return weight if linear else 2.5 * weight + 1e-3


def smoothing_for(residual: float, noise: float) -> float:
    """The multiple of λ for a kernel in encoded values, from how well it explains the photo.

    A wrong kernel leaves residuals beyond the noise and needs more smoothing than a right one. The
    rule was fitted on made blur: on the photos of a motion that was found, the best multiple is
    between 1/8 and 2. In linear light it hardly depends on the residual.

    Args:
        residual: mean distance between the photo and the deconvolved one that was blurred again.
        noise: the photo's, as `noise_of` returns it.
    """
    ratio = residual / max(noise, LEAST_NOISE)
    low, high = SMOOTHINGS
    return min(max(0.15 * ratio**0.8, low), high)
