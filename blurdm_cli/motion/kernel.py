"""Blur kernels: what share of the exposure the image spent at each displacement.

A kernel is a float32 array with an odd number of rows and as many columns, sum 1, and no
displacement in its middle.
"""

import math

import cv2
import numpy as np
from jaxtyping import Float32

Kernel = Float32[np.ndarray, "k k"]

NewKernel = Float32[np.ndarray, "q q"]
"""A kernel of another side."""

DELTA: Kernel = np.ones((1, 1), np.float32)
"""The kernel of a sharp image."""


def normalised(kernel: Kernel) -> Kernel:
    """A kernel without negative values and of sum 1; `DELTA` padded where nothing is left."""
    kernel = np.maximum(kernel, 0)
    total = float(kernel.sum(dtype=np.float64))
    if total > 0:
        return kernel / np.float32(total)
    kernel[kernel.shape[0] // 2, kernel.shape[1] // 2] = 1
    return kernel


def centroid(image: Float32[np.ndarray, "h w"]) -> tuple[float, float]:
    """Row and column of the centre of mass, of a kernel or of any image."""
    total = image.sum(dtype=np.float64)
    rows, columns = image.sum(1, dtype=np.float64), image.sum(0, dtype=np.float64)
    row, column = (float(sums @ np.arange(len(sums)) / total) for sums in (rows, columns))
    return row, column


def centred(kernel: Kernel) -> Kernel:
    """A kernel moved by whole pixels, so that its centre of mass lies in the middle."""
    row, column = centroid(kernel)
    middle = kernel.shape[0] // 2
    return normalised(_moved(kernel, round(middle - row), round(middle - column)))


def _moved(kernel: Kernel, down: int, right: int) -> Kernel:
    """A kernel moved by whole pixels; what leaves it is lost."""
    side = kernel.shape[0]
    moved = np.zeros_like(kernel)
    to = [slice(max(step, 0), side + min(step, 0)) for step in (down, right)]
    of = [slice(max(-step, 0), side + min(-step, 0)) for step in (down, right)]
    moved[to[0], to[1]] = kernel[of[0], of[1]]
    return moved


def pruned(kernel: Kernel, threshold: float, smallest: float = 0.0) -> Kernel:
    """A kernel without its faint values and its small islands.

    Args:
        kernel: any values; negative ones are dropped.
        threshold: share of the largest value below which a value is dropped.
        smallest: share of the kernel's sum below which a connected part is dropped; the largest
            part always stays.
    """
    kernel = np.maximum(kernel, 0)
    kernel[kernel < threshold * kernel.max()] = 0
    kernel = normalised(kernel)
    count, labels = cv2.connectedComponents((kernel > 0).astype(np.uint8), connectivity=8)
    if smallest and count > 2:
        sums = np.bincount(labels.ravel(), kernel.ravel(), count)
        sums[0] = np.inf
        small = sums < min(smallest, sums[1:].max() * 0.999)
        kernel = normalised(np.where(small[labels], np.float32(0), kernel))
    return kernel


def trimmed(kernel: Kernel) -> NewKernel:
    """A kernel without the empty rows and columns around it; its middle stays."""
    middle = kernel.shape[0] // 2
    rows, columns = np.nonzero(kernel)
    reach = int(max(np.abs(rows - middle).max(), np.abs(columns - middle).max()))
    return np.ascontiguousarray(
        kernel[middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]
    )


def padded(kernel: Kernel, side: int) -> NewKernel:
    """A kernel in the middle of more, or fewer, rows and columns."""
    result = np.zeros((side, side), np.float32)
    reach = min(side, kernel.shape[0]) // 2
    here, there = side // 2, kernel.shape[0] // 2
    result[here - reach : here + reach + 1, here - reach : here + reach + 1] = kernel[
        there - reach : there + reach + 1, there - reach : there + reach + 1
    ]
    return normalised(result)


def rescaled(kernel: Kernel, factor: float) -> NewKernel:
    """The kernel of the same image at `factor` times its size."""
    side = odd(kernel.shape[0] * factor)
    if factor < 1:
        kernel = cv2.GaussianBlur(kernel, (0, 0), 0.5 / factor)
    shift = side // 2 - factor * (kernel.shape[0] // 2)
    matrix = np.array([[factor, 0, shift], [0, factor, shift]], np.float32)
    how = cv2.INTER_CUBIC if factor > 1 else cv2.INTER_LINEAR
    return normalised(cv2.warpAffine(kernel, matrix, (side, side), flags=how))


def odd(length: float) -> int:
    """The smallest odd number that is at least this."""
    return math.ceil(length) // 2 * 2 + 1


def entropy(kernel: Kernel) -> float:
    """Shannon entropy in nats: how spread out a kernel is."""
    shares = kernel[kernel > 0].astype(np.float64)
    return float(-(shares * np.log(shares)).sum())


def extent(kernel: Kernel) -> float:
    """Longest side of the box that holds a kernel's values above 2 % of the largest, in pixels."""
    rows, columns = np.nonzero(kernel > 0.02 * kernel.max())
    return float(max(np.ptp(rows), np.ptp(columns)))


def breadth(kernel: Kernel) -> float:
    """How many pixels a path covers for each pixel of its extent.

    Paths have 1 to 6; what covers an area, as soft focus does, has more.
    """
    return math.exp(entropy(kernel)) / max(extent(kernel), 1)


def direction(kernel: Kernel) -> float:
    """Angle of the line that a kernel lies along best, in degrees: 0 is level, 90 is upright.

    From 0 up to, not including, 180, counted anticlockwise as seen on the photo.
    """
    middle = kernel.shape[0] // 2
    down, right = np.indices(kernel.shape, np.float64) - middle
    row, column = centroid(kernel)
    down, right = down - (row - middle), right - (column - middle)
    across = 2 * float((kernel * down * right).sum())
    along = float((kernel * (right * right - down * down)).sum())
    return math.degrees(0.5 * math.atan2(-across, along)) % 180


def spread(kernel: Kernel) -> float:
    """Standard deviation of the displacements, in pixels."""
    row, column = centroid(kernel)
    down, right = np.indices(kernel.shape, np.float64)
    return math.sqrt(float((kernel * ((down - row) ** 2 + (right - column) ** 2)).sum()))


def likeness(found: Kernel, true: NewKernel) -> float:
    """Largest normalised cross-correlation of two kernels over all shifts, in [0, 1].

    Source: the kernel similarity of Hu and Yang, ECCV 2012.
    """
    side = odd(found.shape[0] + 2 * true.shape[0])
    correlation = cv2.matchTemplate(padded(found, side), true, cv2.TM_CCORR)
    return float(correlation.max() / (np.linalg.norm(found) * np.linalg.norm(true)))
