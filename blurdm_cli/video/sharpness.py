"""Which frames of a clip are sharp already, told scene by scene.

A frame is left alone once its blur score falls below one threshold, and until it rises above
another, so that a score between them does not switch the restoration on and off. A cut starts
anew. A cut is where the histogram of luma moves by more than motion and light move it.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32

from blurdm_cli.photo.blur_score import BLURRED, blur_score

SHARP = 0.5
"""A frame with a lower blur score is left alone; one over `score.BLURRED` is restored again."""

BINS = 32

CUT = 0.18
"""Share of the pixels that change their place in the histogram at a cut, at the least."""

LOOKED_AT = (360, 640)
"""Rows and columns in the middle of a frame whose blur is scored."""


@dataclass
class Sharpness:
    """Follows a clip frame by frame."""

    is_sharp: bool = False
    histogram: list[float] | None = None
    """Of the frame before: shares of its pixels, from dark to light."""

    def follow(self, pixels: Float32[np.ndarray, "height width 3"]) -> bool:
        """Look at the next frame, and say whether it is to be left alone.

        Args:
            pixels: RGB in [0, 1], encoded.
        """
        seen = luma_histogram(pixels)
        if self.histogram is None or is_cut(np.array(self.histogram, np.float32), seen):
            self.is_sharp = False
        self.histogram = seen.tolist()
        score = blur_score(_middle(pixels))
        self.is_sharp = score <= (BLURRED if self.is_sharp else SHARP)
        return self.is_sharp

    def state(self) -> dict[str, Any]:
        """What `Sharpness(**state)` goes on from."""
        return {"is_sharp": self.is_sharp, "histogram": self.histogram}


def luma_histogram(pixels: Float32[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "bins"]:
    """Shares of a frame's pixels, from dark to light; blur and grain are averaged out first."""
    step = max(1, min(pixels.shape[:2]) // 180)  # a fourth of the rows of 720, and columns
    some = np.ascontiguousarray(pixels[::step, ::step])
    small = cv2.resize(some, (64, 36), interpolation=cv2.INTER_AREA)
    luma = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    counts, _ = np.histogram(luma, bins=BINS, range=(0, 1))
    return (counts / luma.size).astype(np.float32)


def is_cut(before: Float32[np.ndarray, "bins"], after: Float32[np.ndarray, "bins"]) -> bool:
    """Whether a frame shows another scene than the one before it.

    Neighbouring bins are taken together, so that a slow change of light is none.
    """
    smooth = np.array([0.25, 0.5, 0.25])
    moved = np.convolve(after - before, smooth, mode="same")
    return bool(np.abs(moved).sum() / 2 > CUT)


def _middle(pixels: Float32[np.ndarray, "height width 3"]) -> np.ndarray:
    """The middle of a frame in 8 bits, as much as is looked at."""
    top, left = (max(0, (n - m) // 2) for n, m in zip(pixels.shape[:2], LOOKED_AT, strict=True))
    part = pixels[top : top + LOOKED_AT[0], left : left + LOOKED_AT[1]]
    return cv2.convertScaleAbs(part, alpha=255)
