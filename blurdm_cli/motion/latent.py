"""The latent picture of blind estimation: few strong edges, sharp enough to tell the kernel.

It is no restored photo: fine texture is flattened on purpose, because it tells of noise rather
than of motion. Source: L0 gradient prior of Xu, Zheng and Jia (CVPR 2013); the prior on the tone
of pages after Pan, Hu, Su and Yang (CVPR 2014).
"""

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
from blurdm_cli.motion.kernel import Kernel

Grey = Float32[np.ndarray, "h w"]
NewGrey = Float32[np.ndarray, "y x"]
"""An image of another size."""

LAST_TONE_WEIGHT = 8.0
"""Weight of the coupling to a page's two tones, at its last round."""


def edges(blurred: Grey, kernel: Kernel, weight: float, *, last: float = 1e5) -> Grey:
    """Deconvolve with as few non-zero gradients as the weight asks for.

    Args:
        blurred: grey image in [0, 1].
        kernel: what it was blurred with.
        weight: price of a pixel whose gradient is not zero.
        last: weight of the coupling to the sparse gradients at which the rounds end.
    """
    solve = _Solver(blurred, kernel)
    return solve.inner(solve.sparse(solve.start, weight, 2.0, last))


def page_edges(blurred: Grey, kernel: Kernel, weight: float, *, last: float = 1e5) -> Grey:
    """`edges` for pages: few pixels may also differ from the paper's tone."""
    paper = np.quantile(blurred, 0.9).astype(np.float32)
    solve = _Solver(blurred - paper, kernel)
    image, tone = solve.start, 2 * weight
    while tone < LAST_TONE_WEIGHT:
        ink = transform(np.where(image * image >= weight / tone, image, 0))
        ink *= np.float32(tone)
        image = solve.sparse(image, weight, 4.0, last, (tone, ink))
        tone *= 4
    return solve.inner(image) + paper


class _Solver:
    """Half-quadratic rounds with one kernel."""

    def __init__(self, blurred: Grey, kernel: Kernel) -> None:
        side = kernel.shape[0]
        self.seen = blurred.shape
        self.size = fast_size(blurred.shape[0] + side, blurred.shape[1] + side)
        self.start = extend(blurred, self.size)
        blur = transfer(kernel, self.size)
        self.data = multiply(transform(self.start), blur, conjugate=True)
        self.power = power(blur)

    def sparse(
        self,
        image: Grey,
        weight: float,
        growth: float,
        last: float,
        tone: tuple[float, np.ndarray] | None = None,
    ) -> Grey:
        """Raise the coupling to thresholded gradients until it is `last`; of an extended image."""
        known, data = self.power, self.data
        if tone:
            known, data = known + np.float32(tone[0]), data + tone[1]
        smooth, total = gradient_power(self.size), np.empty_like(known)
        coupling = 2 * weight
        while coupling < last:
            along, down = differences(image)
            strength = cv2.multiply(along, along)
            cv2.accumulateSquare(down, strength)
            _, kept = cv2.threshold(strength, weight / coupling, 1, cv2.THRESH_BINARY)
            along *= kept
            down *= kept
            spectrum = transform(divergence(along, down))
            spectrum *= np.float32(coupling)
            spectrum += data
            np.multiply(smooth, np.float32(coupling), out=total)
            total += known
            np.reciprocal(total, out=total)
            spectrum *= total
            image = invert(spectrum)
            coupling *= growth
        return image

    def inner(self, image: Grey) -> NewGrey:
        """Cut an extended image to what the photo shows."""
        return np.ascontiguousarray(image[: self.seen[0], : self.seen[1]])
