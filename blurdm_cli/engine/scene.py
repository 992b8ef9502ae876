"""A synthetic scene, sharp and blurred, to try networks with."""

import cv2
import numpy as np
from jaxtyping import Float32

from blurdm_cli.motion.light import to_encoded, to_linear

SIDE = 192
"""Side in pixels, for a network that takes any size."""

BLUR = 9
"""Length of the blur in pixels."""

Scene = tuple[Float32[np.ndarray, "1 3 h w"], Float32[np.ndarray, "1 3 h w"]]
"""The sharp scene and the blurred one, sRGB-encoded in [0, 1]."""


def trial_scene(size: tuple[int, int] | None, multiple_of: int) -> Scene:
    """The scene for a network that takes this size, or any that is a multiple."""
    side = -(-SIDE // multiple_of) * multiple_of
    return scene(*(size or (side, side)))


def scene(height: int, width: int) -> Scene:
    """A sharp scene, and the same blurred by a moving camera.

    The scene is of discs that cover each other, whose statistics are like those of photos
    (the dead leaves model of Lee, Mumford and Huang, 2001).
    """
    rng = np.random.default_rng(0)
    margin = BLUR
    rows, columns = height + 2 * margin, width + 2 * margin
    sharp = np.full((rows, columns, 3), 0.5, np.float32)
    for _ in range(rows * columns // 40):
        centre = (int(rng.integers(columns)), int(rng.integers(rows)))
        radius = int(min(3 / np.sqrt(rng.uniform(0.001, 1)), 60))
        colour = rng.uniform(0.05, 0.95) + rng.uniform(-0.15, 0.15, 3)
        cv2.circle(sharp, centre, radius, np.clip(colour, 0, 1).tolist(), -1, cv2.LINE_8)
    kernel = np.zeros((BLUR, BLUR), np.float32)
    cv2.line(kernel, (0, BLUR // 4), (BLUR - 1, BLUR - 1 - BLUR // 4), 1.0, 1, cv2.LINE_8)
    light = cv2.filter2D(to_linear(sharp), -1, kernel / kernel.sum())
    inner = np.s_[margin : margin + height, margin : margin + width]
    both = (image[inner].transpose(2, 0, 1)[None] for image in (sharp, to_encoded(light)))
    first, second = map(np.ascontiguousarray, both)
    return first, second


def psnr(found: np.ndarray, wanted: np.ndarray) -> float:
    """PSNR of values in [0, 1], in dB."""
    return float(-10 * np.log10(np.mean((found - wanted) ** 2) + 1e-12))
