"""What a restored photo must not be: nothing, one colour, or of other light than the blurred one.

Blur moves light by some pixels and makes none of it: seen from afar, the restored photo is the
blurred one. benchmarks/guard.py measures how far good answers are from these limits.
"""

from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float32

from blurdm_cli.engine.pixels import Pixels

Guard = Literal["on", "off", "strict"]
"""What to do where an answer cannot be right: mend it and say so, take it, or fail."""

BLOCK = 64
"""Pixels a side of the squares whose mean light is compared."""

LARGEST_DRIFT = 0.1
"""Of white: a square's mean light that changed by more is no deblurring."""

FLAT, DETAILED = 1e-4, 1e-2
"""Standard deviations, of white: below the first there is no picture, above the second one is."""


def is_garbage(
    blurred: Float32[np.ndarray, "3 h w"], restored: Float32[np.ndarray, "3 h w"]
) -> bool:
    """Whether a restored tile is not a number somewhere, or one colour where there was detail."""
    if not np.isfinite(restored.sum()):  # one value that is no number makes the sum none
        return True
    return _spread(restored) < FLAT and _spread(blurred) > DETAILED


def _spread(tile: Float32[np.ndarray, "3 h w"]) -> float:
    """The largest standard deviation of a colour, of every eighth pixel along both sides."""
    return float(tile[:, ::8, ::8].std(axis=(1, 2)).max())


def drift(blurred: Pixels, restored: Pixels, white: float) -> Float32[np.ndarray, "rows columns 3"]:
    """How much the mean light of each square changed, of white; every eighth row is looked at."""
    height, width = blurred.shape[:2]
    size = (max(1, round(width / BLOCK)), max(1, round(height / BLOCK)))
    changed = np.subtract(restored[::8], blurred[::8], dtype=np.float32).transpose(2, 0, 1)
    means = [
        cv2.resize(np.ascontiguousarray(colour), size, interpolation=cv2.INTER_AREA)
        for colour in changed
    ]
    return np.stack(means, axis=2).reshape(size[1], size[0], 3) / np.float32(white)


def without_drift(
    restored: Pixels, drifted: Float32[np.ndarray, "rows columns 3"], white: float
) -> Pixels:
    """Take the change of light off again; what is finer than the squares stays restored."""
    height, width = restored.shape[:2]
    result = np.empty_like(restored)
    half = np.float32(0 if restored.dtype == np.float32 else 0.5)
    smooth = cv2.resize(drifted, (width, height), interpolation=cv2.INTER_LINEAR)
    for top in range(0, height, BLOCK):
        rows = slice(top, top + BLOCK)
        values = restored[rows] - smooth[rows] * np.float32(white) + half
        result[rows] = np.clip(values, 0, white)
    return result
