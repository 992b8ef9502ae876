"""How well a kernel explains a photo: the choice among hypotheses.

A right kernel gives a picture with few strong edges that blurs into the photo again. The measure
is l1/l2 of the gradients (Krishnan, Tay and Fergus, CVPR 2011) relative to the blurred photo's own,
plus what is left unexplained. It holds in the values in which the kernel was estimated, linear or
encoded; scores of the two do not compare as they are.
"""

import math

import numpy as np

from blurdm_cli.motion.deconvolution import Deconvolved, Deconvolver
from blurdm_cli.motion.fourier import inner_differences
from blurdm_cli.motion.kernel import Kernel, entropy
from blurdm_cli.motion.latent import Grey

WEIGHT = 1e-3
"""λ of the deconvolution that is looked at."""
ITERATIONS = 8


def score(image: Grey, kernel: Kernel, support: int | None = None) -> float:
    """Score a kernel; below 1 it explains the photo better than no blur does.

    A kernel of more than half the image's side cannot be told, and has the score infinity.

    Args:
        image: grey, in [0, 1], in the values in which the kernel was estimated.
        kernel: trimmed.
        support: the largest side that it could have had: one that fills it was cut off.
    """
    if kernel.size == 1:
        return 1.0
    if 2 * kernel.shape[0] > min(image.shape):
        return math.inf
    found = tried(image, kernel)
    edge = kernel.shape[0] // 2
    inner = np.s_[edge:-edge, edge:-edge]
    left = float(np.mean((found.reblurred - image)[inner] ** 2, dtype=np.float64))
    sparsity = _sparsity(found.image[inner]) / max(_sparsity(image[inner]), 1e-6)
    cut_off = support is not None and kernel.shape[0] >= support - 1
    return sparsity + 10 * math.sqrt(left) + 0.025 * entropy(kernel) + 0.06 * cut_off


def tried(image: Grey, kernel: Kernel) -> Deconvolved:
    """An image deconvolved with a kernel, for all kernels in the same way, to compare them.

    It may be negative: that shows which kernels are wrong.
    """
    solve = Deconvolver(kernel, image.shape[0], image.shape[1], WEIGHT, positive=False)
    return solve(image, ITERATIONS)


def _sparsity(image: Grey) -> float:
    along, down = inner_differences(image)
    power = along * along + down * down
    mean = float(np.sqrt(power).mean(dtype=np.float64))
    return mean / max(math.sqrt(float(power.mean(dtype=np.float64))), 1e-9)
