"""A sharp crop moved to where its candidates stand, and how much nearer they are to it."""

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from blurdm_cli.motion.light import LUMA

FARTHEST = 3.0
"""Pixels that a sharp crop is moved, at most, to where a candidate stands: which instant of the
exposure it shows, the blurred one does not tell."""

BETTER = 0.5
"""dB that it must be nearer there."""


def moved_to_candidate(
    sharp: UInt8[np.ndarray, "h w 3"],
    blurred: UInt8[np.ndarray, "h w 3"],
    planes: Float32[np.ndarray, "10 h w"],
) -> UInt8[np.ndarray, "h w 3"]:
    """The sharp crop, moved by a few pixels where a candidate is clearly nearer to it there."""
    height, width = sharp.shape[:2]
    inner, window = np.s_[8:-8, 8:-8], cv2.createHanningWindow((width, height), cv2.CV_32F)
    best, nearest = sharp, _error(blurred, sharp, inner)
    grey = sharp.astype(np.float32) @ LUMA
    for first in (0, 3):
        candidate = planes[first : first + 3].transpose(1, 2, 0) * 255
        seen = np.ascontiguousarray(candidate @ LUMA)
        (right, down), _ = cv2.phaseCorrelate(grey, seen, window)
        if max(abs(right), abs(down)) > FARTHEST:
            continue
        matrix = np.array([[1, 0, right], [0, 1, down]], np.float32)
        moved = cv2.warpAffine(
            sharp,
            matrix,
            (width, height),
            flags=cv2.INTER_LANCZOS4,
            borderMode=cv2.BORDER_REPLICATE,
        )
        error, factor = _error(candidate, moved, inner), 10 ** (-BETTER / 10)
        if error < factor * _error(candidate, sharp, inner) and error < factor * nearest:
            best, nearest = moved, error
    return best


def gain_of(
    sharp: UInt8[np.ndarray, "h w 3"],
    blurred: UInt8[np.ndarray, "h w 3"],
    planes: Float32[np.ndarray, "10 h w"],
) -> float:
    """By how many dB the better candidate is nearer to the sharp crop than the blurred one is."""
    inner = np.s_[8:-8, 8:-8]
    before = _error(blurred, sharp, inner)
    after = min(_error(planes[n : n + 3].transpose(1, 2, 0) * 255, sharp, inner) for n in (0, 3))
    return float(10 * np.log10((before + 0.1) / (after + 0.1)))


def _error(found: np.ndarray, sharp: np.ndarray, inner: tuple[slice, slice]) -> float:
    difference = found[inner].astype(np.float32) - sharp[inner]
    return float(np.mean(difference * difference))
