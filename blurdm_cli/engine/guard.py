"""Checks of restored photos: not a number, one flat colour, or a drift in brightness.

Blur moves light by some pixels and creates none: at a coarse scale, the restored photo equals the
blurred one. benchmarks/guard.py measures how far good results are from these limits.
"""

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float32

from blurdm_cli.engine.pixels import Pixels
from blurdm_cli.motion.light import to_linear
from blurdm_cli.motion.windows import in_unit_range

BLOCK = 64
"""Side in pixels of the squares whose mean brightness is compared."""

LARGEST_DRIFT = 0.1
"""Largest plausible change of a square's mean brightness, as a share of white."""

LARGEST_SCATTER = 0.22
"""Largest plausible standard deviation of the change within a square, as a share of white.
Patterns that fill a tile can exceed it; no training photo contained such patterns."""

FLAT, DETAILED = 1e-4, 1e-2
"""Standard deviations as shares of white: below the first a tile is flat, above the second it has
detail."""


def is_garbage(
    blurred: Float32[np.ndarray, "3 h w"], restored: Float32[np.ndarray, "3 h w"]
) -> bool:
    """Whether a restored tile holds NaN or infinity, or is flat where the photo has detail."""
    if not np.isfinite(restored.sum()):  # one NaN or infinity makes the sum one too
        return True
    return _spread(restored) < FLAT and _spread(blurred) > DETAILED


def _spread(tile: Float32[np.ndarray, "3 h w"]) -> float:
    """The largest standard deviation of a colour channel, over every eighth row and column."""
    return float(tile[:, ::8, ::8].std(axis=(1, 2)).max())


def mended(
    blurred: Pixels, restored: Pixels, white: float, reach: int = 1
) -> tuple[Pixels, list[str]]:
    """Repair regions of a restored photo that look wrong.

    Args:
        blurred: the photo.
        restored: the restored photo.
        white: value of white in both.
        reach: length in pixels of the motion that was undone; within that distance the grey of a
            blurred page may correctly become black and white.

    Returns:
        The repaired photo, and one line for each kind of repair.
    """
    notes = []
    block = max(BLOCK, 3 * reach)
    drifted, scattered = drift(blurred, restored, white, block)
    if reach > 1 and scattered.max() > LARGEST_SCATTER:
        scattered = _scatter_beyond(blurred, restored, white, block, reach)
    if scattered.max() > LARGEST_SCATTER:
        restored = _without_scatter(blurred, restored, scattered, white)
        notes.append("some regions came out nothing like the photo; the original is kept there")
        drifted, _ = drift(blurred, restored, white, block)
    light = drifted
    if reach > 1 and np.abs(drifted).max() > LARGEST_DRIFT:
        light = _drift_of_light(blurred, restored, block)
    if min(np.abs(drifted).max(), np.abs(light).max()) > LARGEST_DRIFT:
        restored = _without_drift(restored, drifted, white)
        notes.append("the brightness of whole regions changed; it is corrected")
    return restored, notes


def drift(
    blurred: Pixels, restored: Pixels, white: float, block: int = BLOCK
) -> tuple[Float32[np.ndarray, "rows columns 3"], Float32[np.ndarray, "rows columns"]]:
    """Mean and spread of the brightness change in each square, as shares of white.

    The spread is the standard deviation, within the square, of the change averaged over the
    channels. Only every eleventh row is used: patterns rarely have a period of eleven.
    """
    before, after = (photo[::11].transpose(2, 0, 1) for photo in (blurred, restored))
    changed = np.subtract(after, before, out=np.empty(before.shape, np.float32), dtype=np.float32)
    together = cv2.add(cv2.add(changed[0], changed[1]), changed[2])
    size = _squares(blurred, block)
    *colours, square = (
        cv2.resize(values, size, interpolation=cv2.INTER_AREA)
        for values in (*changed, cv2.multiply(together, together))
    )
    means = np.stack(colours, axis=2)
    spread = np.sqrt(np.maximum(square - means.sum(axis=2) ** 2, 0)) / 3
    return means / np.float32(white), spread / np.float32(white)


def _drift_of_light(
    blurred: Pixels, restored: Pixels, block: int
) -> Float32[np.ndarray, "rows columns 3"]:
    """Mean change of each square in linear light, as a share of white.

    Blur that forms in linear light preserves the mean of linear light, not of encoded values. All
    rows are used: a sample of rows is too uneven on lines of text.
    """
    size = _squares(blurred, block)
    before, after = (
        cv2.resize(to_linear(in_unit_range(photo)), size, interpolation=cv2.INTER_AREA)
        for photo in (blurred, restored)
    )
    return after - before


def _scatter_beyond(
    blurred: Pixels, restored: Pixels, white: float, block: int, reach: int
) -> Float32[np.ndarray, "rows columns"]:
    """Spread of the change in each square, ignoring light that moved by up to `reach` pixels."""
    changed: Float32[np.ndarray, "h w"] = np.zeros(blurred.shape[:2], np.float32)
    for channel in range(3):
        changed += restored[..., channel]
        changed -= blurred[..., channel]
    smooth = cv2.blur(changed, (reach, reach))
    mean, square = (
        cv2.resize(values, _squares(blurred, block), interpolation=cv2.INTER_AREA)
        for values in (smooth, cv2.multiply(smooth, smooth))
    )
    return np.sqrt(np.maximum(square - mean**2, 0)) / np.float32(3 * white)


def _squares(photo: Pixels, block: int) -> tuple[int, int]:
    """Number of columns and rows of squares with about this side."""
    height, width = photo.shape[:2]
    return max(1, round(width / block)), max(1, round(height / block))


def _without_drift(
    restored: Pixels, drifted: Float32[np.ndarray, "rows columns 3"], white: float
) -> Pixels:
    """Subtract the brightness drift; detail finer than the squares stays restored."""
    smooth = _over_photo(drifted, restored) * np.float32(white)
    return _adding(restored, lambda rows: -smooth[rows], white)


def _without_scatter(
    blurred: Pixels,
    restored: Pixels,
    scattered: Float32[np.ndarray, "rows columns"],
    white: float,
) -> Pixels:
    """Blend the blurred photo back in where squares scatter too much, and in their neighbours."""
    around = np.ones((3, 3), np.uint8)
    wild = cv2.dilate((scattered > LARGEST_SCATTER).astype(np.float32), around)
    back = _over_photo(wild, restored)[..., None]

    def added(rows: slice) -> Float32[np.ndarray, "some_rows width 3"]:
        return back[rows] * np.subtract(blurred[rows], restored[rows], dtype=np.float32)

    return _adding(restored, added, white)


def _over_photo(
    squares: Float32[np.ndarray, "rows columns *channels"], photo: Pixels
) -> Float32[np.ndarray, "height width *channels"]:
    """Interpolate values of squares to the pixels of a photo."""
    return cv2.resize(squares, photo.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def _adding(restored: Pixels, added: Callable[[slice], np.ndarray], white: float) -> Pixels:
    """Add values to a photo, rounded and clipped, a band of rows at a time."""
    result = np.empty_like(restored)
    half = np.float32(0 if restored.dtype == np.float32 else 0.5)
    for top in range(0, len(restored), BLOCK):
        rows = slice(top, top + BLOCK)
        result[rows] = np.clip(restored[rows] + added(rows) + half, 0, white)
    return result
