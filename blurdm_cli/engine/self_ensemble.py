"""Test-time augmentation: average eight rotated and flipped restorations of a tile.

Source: the geometric self-ensemble of EDSR (Lim et al., 2017).
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32

EIGHT = range(8)
"""Rotations by 0 to 3 quarter turns, without and with a flip."""


def restore_turned(
    restore: Callable[[np.ndarray, np.ndarray], np.ndarray],
    blurred: Float32[np.ndarray, "n planes h w"],
    noise: Float32[np.ndarray, "n c"],
) -> Float32[np.ndarray, "n 3 h w"]:
    """Average a runtime's `restore` over the eight orientations of tiles."""
    total = np.zeros_like(blurred[:, :3])
    for number in EIGHT:
        restored = restore(np.ascontiguousarray(turned(blurred, number)), noise)
        total += turned_back(restored, number)
    return total / np.float32(len(EIGHT))


def turned(tiles: Float32[np.ndarray, "n c h w"], number: int) -> Float32[np.ndarray, "n c y x"]:
    """Flip tiles if the number is 4 or more, then rotate them by `number % 4` quarter turns."""
    mirrored = tiles[..., ::-1] if number >= 4 else tiles
    return np.rot90(mirrored, number % 4, (2, 3))


def turned_back(
    tiles: Float32[np.ndarray, "n c h w"], number: int
) -> Float32[np.ndarray, "n c y x"]:
    """The inverse of `turned`."""
    back = np.rot90(tiles, -(number % 4), (2, 3))
    return back[..., ::-1] if number >= 4 else back
