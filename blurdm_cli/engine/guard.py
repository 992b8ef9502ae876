"""What a restored photo must not be: nothing, one colour, or of other light than the blurred one.

Blur moves light by some pixels and makes none of it: seen from afar, the restored photo is the
blurred one. benchmarks/guard.py measures how far good answers are from these limits.
"""

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float32

from blurdm_cli.engine.pixels import Pixels
from blurdm_cli.motion.light import to_linear
from blurdm_cli.motion.windows import in_unit_range

BLOCK = 64
"""Pixels a side of the squares whose mean light is compared."""

LARGEST_DRIFT = 0.1
"""Of white: a square's mean light that changed by more is no deblurring."""

LARGEST_SCATTER = 0.22
"""Of white: a square whose values changed by more, beside their mean, is like the photo no more.
Patterns that fill a tile, as no photo of the training did, can bring that about."""

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


def mended(
    blurred: Pixels, restored: Pixels, white: float, reach: int = 1
) -> tuple[Pixels, list[str]]:
    """A restored photo without what cannot be right, and a line for each thing that was mended.

    Args:
        blurred: the photo.
        restored: what came out.
        white: of both.
        reach: pixels that the motion which was undone moved light by; within as many, a page's grey
            may rightly become black and white.
    """
    notes = []
    block = max(BLOCK, 3 * reach)
    drifted, scattered = drift(blurred, restored, white, block)
    if reach > 1 and scattered.max() > LARGEST_SCATTER:
        scattered = _scatter_beyond(blurred, restored, white, block, reach)
    if scattered.max() > LARGEST_SCATTER:
        restored = _without_scatter(blurred, restored, scattered, white)
        notes.append("regions came out nothing like the photo; they are left as they were")
        drifted, _ = drift(blurred, restored, white, block)
    light = drifted
    if reach > 1 and np.abs(drifted).max() > LARGEST_DRIFT:
        light = _drift_of_light(blurred, restored, block)
    if min(np.abs(drifted).max(), np.abs(light).max()) > LARGEST_DRIFT:
        restored = _without_drift(restored, drifted, white)
        notes.append("the light changed over whole regions; it is put back")
    return restored, notes


def drift(
    blurred: Pixels, restored: Pixels, white: float, block: int = BLOCK
) -> tuple[Float32[np.ndarray, "rows columns 3"], Float32[np.ndarray, "rows columns"]]:
    """How much the light of each square changed on average, and how unevenly, of white.

    The second is the standard deviation of the colours' mean change within the square. Every
    eleventh row is looked at: patterns rarely repeat by elevens.
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
    """How much the light of each square changed on average, in linear values, of white.

    Blur that is made in light keeps its mean, and not that of the encoded values. All rows are
    looked at: lines of text are too uneven for some of them.
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
    """How unevenly the light of each square changed, beside what moved by up to `reach` pixels."""
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
    """Columns and rows of squares of about this side."""
    height, width = photo.shape[:2]
    return max(1, round(width / block)), max(1, round(height / block))


def _without_drift(
    restored: Pixels, drifted: Float32[np.ndarray, "rows columns 3"], white: float
) -> Pixels:
    """Take the change of light off again; what is finer than the squares stays restored."""
    smooth = _over_photo(drifted, restored) * np.float32(white)
    return _adding(restored, lambda rows: -smooth[rows], white)


def _without_scatter(
    blurred: Pixels,
    restored: Pixels,
    scattered: Float32[np.ndarray, "rows columns"],
    white: float,
) -> Pixels:
    """Put the photo back in squares that changed too unevenly and those around them, softly."""
    around = np.ones((3, 3), np.uint8)
    wild = cv2.dilate((scattered > LARGEST_SCATTER).astype(np.float32), around)
    back = _over_photo(wild, restored)[..., None]

    def added(rows: slice) -> Float32[np.ndarray, "some_rows width 3"]:
        return back[rows] * np.subtract(blurred[rows], restored[rows], dtype=np.float32)

    return _adding(restored, added, white)


def _over_photo(
    squares: Float32[np.ndarray, "rows columns *channels"], photo: Pixels
) -> Float32[np.ndarray, "height width *channels"]:
    """Values of squares, interpolated for each pixel of a photo."""
    return cv2.resize(squares, photo.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def _adding(restored: Pixels, added: Callable[[slice], np.ndarray], white: float) -> Pixels:
    """A photo with something added to its values, rounded and clipped, some rows at a time."""
    result = np.empty_like(restored)
    half = np.float32(0 if restored.dtype == np.float32 else 0.5)
    for top in range(0, len(restored), BLOCK):
        rows = slice(top, top + BLOCK)
        result[rows] = np.clip(restored[rows] + added(rows) + half, 0, white)
    return result
