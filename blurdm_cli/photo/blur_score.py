"""How blurred a photo looks, told from its pixels alone: no model, no sharp photo beside it.

An edge keeps its slope when a sharp photo is smoothed a little, and loses it when it is smoothed
more. In a photo that motion has smoothed already, along one direction at least, both slopes are
about the same. So the score compares the energy of slopes at a fine and at a coarse scale, in
the direction where the fine one has lost most. Where slopes come from sensor noise they are
taken off, by the noise that the photo's own second differences show (Immerkær, 1996).

A scene with the spectrum of natural scenes (amplitude falling as 1/f; Field, 1987) has twice
the slope at half the scale: its score is 0. A photo without any slope finer than the coarse
scale has the score 1.
"""

import cv2
import numpy as np
from jaxtyping import Float32, Float64, UInt8, UInt16

Pixels = UInt8[np.ndarray, "height width channels"] | UInt16[np.ndarray, "height width channels"]

BLURRED = 0.6
"""Photos with a higher score are taken for blurred; benchmarks/score.py measures how well."""

FINE, COARSE = 1.0, 2.0
"""Standard deviations of the two smoothings, pixels."""

DIRECTIONS = np.pi * np.arange(8) / 8

STRIP = 2**22
"""Pixels that are looked at together, so that a large photo needs no more memory than these."""

MARGIN = 12
"""Rows above and below a strip that its smoothing reaches into."""


def blur_score(pixels: Pixels) -> float:
    """How blurred a photo is at the scale of its pixels: 0 is sharp, 1 is blurred.

    Args:
        pixels: gray or RGB, sRGB-encoded.

    Returns:
        From 0 to 1. A photo without any detail (one colour, or noise alone) has 0: nothing
        in it is known to be blurred.
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
    """The score of slopes' energies: of xx, xy and yy."""
    x, y = np.cos(DIRECTIONS), np.sin(DIRECTIONS)
    directed = np.stack([x * x, 2 * x * y, y * y], axis=1)
    seen = directed @ coarse > 1e-3  # in 8-bit levels squared: less is rounding
    if not seen.any():
        return 0.0
    ratios = np.maximum(directed @ fine, 0)[seen] / (directed @ coarse)[seen]
    return float(np.clip(2 - np.sqrt(ratios.min()), 0, 1))


def _luma(pixels: Pixels) -> Float32[np.ndarray, "height width"]:
    """Gray, in 8-bit levels."""
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if pixels.shape[2] == 3 else pixels[..., 0]
    return gray.astype(np.float32) / np.float32(1 if pixels.dtype == np.uint8 else 257)


def _slopes(
    luma: Float32[np.ndarray, "height width"], scale: float, rows: slice
) -> Float64[np.ndarray, "3"]:
    """The mean energy of a smoothed picture's slopes, across these rows: xx, xy and yy."""
    smooth = cv2.GaussianBlur(luma, (0, 0), scale)
    x = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=1)[rows]
    y = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=1)[rows]
    return np.array([np.mean(x * x), np.mean(x * y), np.mean(y * y)], np.float64)


def _noise_slopes(scale: float) -> Float64[np.ndarray, "3"]:
    """What noise of variance 1 adds to the energy of slopes; slopes are of two pixels' width."""
    energy = 4 / (8 * np.pi * scale**4)
    return np.array([energy, 0, energy])


def _noise_variance(luma: Float32[np.ndarray, "height width"]) -> float:
    """Of white noise, from what no straight edge and no slope causes."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    deviation = np.median(np.abs(cv2.filter2D(luma, cv2.CV_32F, kernel))) / 0.6745 / 6
    return float(deviation) ** 2
