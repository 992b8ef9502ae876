"""Detect frames that are sharp already, scene by scene.

Restoration stops when the blur score falls below one threshold, and starts again when it rises
above another, so that scores between them do not switch it on and off. A cut resets the state. A
cut is a change of the luma histogram that is larger than motion and light cause.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32

from blurdm_cli.photo.blur_score import BLURRED, blur_score

SHARP = 0.5
"""Frames with a lower blur score are not restored; above `blur_score.BLURRED` they are again."""

BINS = 32

CUT = 0.18
"""Minimum share of pixels that move within the histogram at a cut."""

LOOKED_AT = (360, 640)
"""Rows and columns of the central part of a frame that is scored."""


@dataclass
class Sharpness:
    """Follows a clip frame by frame."""

    is_sharp: bool = False
    histogram: list[float] | None = None
    """Luma histogram of the previous frame: shares of its pixels, from dark to light."""

    def follow(self, pixels: Float32[np.ndarray, "height width 3"]) -> bool:
        """Process the next frame, and return whether to leave it unchanged.

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
        """The state, from which `Sharpness(**state)` resumes."""
        return {"is_sharp": self.is_sharp, "histogram": self.histogram}


def luma_histogram(pixels: Float32[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "bins"]:
    """Luma histogram of a frame, from dark to light; blur and grain are averaged out first."""
    step = max(1, min(pixels.shape[:2]) // 180)  # for 720 rows, every fourth row and column
    some = np.ascontiguousarray(pixels[::step, ::step])
    small = cv2.resize(some, (64, 36), interpolation=cv2.INTER_AREA)
    luma = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    counts, _ = np.histogram(luma, bins=BINS, range=(0, 1))
    return (counts / luma.size).astype(np.float32)


def is_cut(before: Float32[np.ndarray, "bins"], after: Float32[np.ndarray, "bins"]) -> bool:
    """Whether a frame shows a different scene than the previous one.

    Neighbouring bins are smoothed, so that a slow change of light does not count as a cut.
    """
    smooth = np.array([0.25, 0.5, 0.25])
    moved = np.convolve(after - before, smooth, mode="same")
    return bool(np.abs(moved).sum() / 2 > CUT)


def _middle(pixels: Float32[np.ndarray, "height width 3"]) -> np.ndarray:
    """The central part of a frame that is scored, in 8 bits."""
    top, left = (max(0, (n - m) // 2) for n, m in zip(pixels.shape[:2], LOOKED_AT, strict=True))
    part = pixels[top : top + LOOKED_AT[0], left : left + LOOKED_AT[1]]
    return cv2.convertScaleAbs(part, alpha=255)
