"""Deconvolution with a known kernel: total variation, by ADMM.

    min over x of   ½ Σ_seen (k * x - y)²  +  λ Σ |∇x|

Pixels outside the image are unknowns like all others, so that light which moved across the border
needs no guess (free borders). A saturated pixel only says that the light was at least as strong.

Source: Almeida and Figueiredo, "Deconvolving images with unknown boundaries" (IEEE TIP 2013), for
the splitting; the one-sided term for saturation is ours.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32

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

ITERATIONS = 8
COUPLING = 0.2
"""Weight of the coupling between the blurred estimate and the photo."""
GRADIENT_COUPLING = 20.0
"""Weight of the coupling between gradients and thresholded ones, as a multiple of λ."""
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

    def __init__(self, kernel: Kernel, height: int, width: int, weight: float) -> None:
        """Prepare.

        Args:
            kernel: its centre of mass stands for no displacement: the restored image shows the
                middle of the exposure, to a fraction of a pixel.
            height: of the channels, in pixels.
            width: of the channels, in pixels.
            weight: λ; see `weight_for`.
        """
        side = kernel.shape[0]
        self.inner = (height, width)
        self.size = fast_size(height + 2 * side, width + 2 * side)
        self.blur = transfer(kernel, self.size, centroid(kernel))
        self.weight, self.coupling = weight, GRADIENT_COUPLING * weight
        inverse = np.float32(COUPLING) * power(self.blur)
        inverse += np.float32(self.coupling) * gradient_power(self.size)
        inverse += np.float32(1e-8)
        np.reciprocal(inverse, out=inverse)
        self._from_data = np.float32(COUPLING) * inverse
        self._from_gradients = np.float32(self.coupling) * inverse

    def __call__(self, blurred: Channel, iterations: int = ITERATIONS) -> Deconvolved:
        """Deconvolve one channel, of values in [0, 1]."""
        height, width = self.inner
        seen = np.s_[:height, :width]
        threshold = np.float32(self.weight / self.coupling)
        one_sided = blurred >= SATURATED
        any_saturated = bool(one_sided.any())
        data = extend(blurred, self.size)
        gap = np.zeros_like(data)  # the scaled multiplier of the data, of no weight outside
        clipped: tuple[np.ndarray, np.ndarray] | None = None
        gradient_spectrum = None
        for last in range(iterations - 1, -1, -1):
            spectrum = multiply(transform(data), self.blur, conjugate=True)
            spectrum *= self._from_data
            if gradient_spectrum is not None:
                gradient_spectrum *= self._from_gradients
                spectrum += gradient_spectrum
            again = invert(multiply(spectrum, self.blur))
            image = invert(spectrum)
            if not last:
                break
            gradient_spectrum, clipped = self._shrink(image, clipped, threshold)
            # z-step: a compromise inside, the estimate itself outside and where it is too bright
            again -= gap
            part = blurred - again[seen]
            if any_saturated:
                part[one_sided & (part < 0)] = 0
            part *= np.float32(1 / (1 + COUPLING))
            gap[seen] = part
            data = again
            data[seen] += 2 * part
        return Deconvolved(image[seen], again[seen])

    @staticmethod
    def _shrink(
        image: Channel, before: tuple[np.ndarray, np.ndarray] | None, threshold: np.float32
    ) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
        """Soft-threshold the length of the gradients.

        With v the gradient plus the multiplier, the multiplier becomes the part of v within
        the threshold, so that one array a direction holds all the state.

        Returns:
            Transform of what the next image's gradients should be, and the multipliers.
        """
        along, down = differences(image)
        if before is not None:
            along += before[0]
            down += before[1]
        # no cv2.magnitude: its last bits depend on where arrays lie in memory
        share = cv2.multiply(along, along)
        cv2.accumulateSquare(down, share)
        np.sqrt(share, out=share)
        np.maximum(share, threshold, out=share)
        np.divide(threshold, share, out=share)
        clipped = along * share, down * share
        along -= 2 * clipped[0]
        down -= 2 * clipped[1]
        return transform(divergence(along, down)), clipped


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
