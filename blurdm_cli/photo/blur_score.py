"""No-reference blur score: it needs no model and no sharp photo, only the photo's pixels.

Light smoothing of a sharp photo keeps the gradient of an edge, and stronger smoothing reduces it.
In a photo that motion has already smoothed, along at least one direction, both gradients are
about the same. So the score compares the gradient energy at a fine and at a coarse scale, in
the direction where the fine scale has lost most. The gradient energy of sensor noise is
subtracted; the noise is estimated from the photo's second differences (Immerkær, 1996).

A scene with the spectrum of natural scenes (amplitude falling as 1/f; Field, 1987) has twice
the gradient at half the scale: its score is 0. A photo without any gradient finer than the coarse
scale has the score 1.
"""

import cv2
import numpy as np
from jaxtyping import Float32, Float64, UInt8, UInt16

GrayOrRgb = UInt8[np.ndarray, "height width channels"] | UInt16[np.ndarray, "height width channels"]

BLURRED = 0.6
"""Photos with a higher score count as blurred; benchmarks/score.py measures the accuracy."""

FINE, COARSE = 1.0, 2.0
"""Standard deviations of the two Gaussian filters, in pixels."""

DIRECTIONS = np.pi * np.arange(8) / 8

STRIP = 2**22
"""Pixels processed at a time, which limits the memory that a large photo needs."""

MARGIN = 12
"""Rows above and below a strip that its smoothing uses."""


def blur_score(pixels: GrayOrRgb) -> float:
    """Score how blurred a photo is at the scale of its pixels: 0 is sharp, 1 is blurred.

    Args:
        pixels: gray or RGB, sRGB-encoded.

    Returns:
        From 0 to 1. A photo without any detail (one colour, or only noise) scores 0, since
        nothing in it is known to be blurred.
    """
    height, width = pixels.shape[:2]
    rows = max(64, STRIP // width)
    fine, coarse, variances, weights = np.zeros(3), np.zeros(3), list[float](), list[int]()
    for top in range(0, height, rows):
        above, bottom = max(0, top - MARGIN), min(height, top + rows)
        luma = _luma(pixels[above : bottom + MARGIN])
        inside = slice(top - above, bottom - above)
        share = (bottom - top) / height
        fine += share * _slopes(luma, FINE, inside)
        coarse += share * _slopes(luma, COARSE, inside)
        variances.append(_noise_variance(luma))
        weights.append(bottom - top)
    variance = float(np.average(variances, weights=weights))
    return _score(fine - variance * _noise_slopes(FINE), coarse - variance * _noise_slopes(COARSE))


def _score(fine: Float64[np.ndarray, "3"], coarse: Float64[np.ndarray, "3"]) -> float:
    """Compute the score from gradient energies: xx, xy and yy."""
    x, y = np.cos(DIRECTIONS), np.sin(DIRECTIONS)
    directed = np.stack([x * x, 2 * x * y, y * y], axis=1)
    seen = directed @ coarse > 1e-3  # in squared 8-bit levels: less is rounding
    if not seen.any():
        return 0.0
    ratios = np.maximum(directed @ fine, 0)[seen] / (directed @ coarse)[seen]
    return float(np.clip(2 - np.sqrt(ratios.min()), 0, 1))


def _luma(pixels: GrayOrRgb) -> Float32[np.ndarray, "height width"]:
    """Convert to gray, in 8-bit levels."""
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if pixels.shape[2] == 3 else pixels[..., 0]
    return gray.astype(np.float32) / np.float32(1 if pixels.dtype == np.uint8 else 257)


def _slopes(
    luma: Float32[np.ndarray, "height width"], scale: float, rows: slice
) -> Float64[np.ndarray, "3"]:
    """Mean gradient energy of the smoothed image over these rows: xx, xy and yy."""
    smooth = cv2.GaussianBlur(luma, (0, 0), scale)
    x = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=1)[rows]
    y = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=1)[rows]
    return np.array([np.mean(x * x), np.mean(x * y), np.mean(y * y)], np.float64)


def _noise_slopes(scale: float) -> Float64[np.ndarray, "3"]:
    """Gradient energy of noise of variance 1, for gradients two pixels wide."""
    energy = 4 / (8 * np.pi * scale**4)
    return np.array([energy, 0, energy])


def _noise_variance(luma: Float32[np.ndarray, "height width"]) -> float:
    """Estimate the variance of white noise with a filter that ignores straight edges and ramps."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    deviation = np.median(np.abs(cv2.filter2D(luma, cv2.CV_32F, kernel))) / 0.6745 / 6
    return float(deviation) ** 2
