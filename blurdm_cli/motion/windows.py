"""The windows of a photo that its motion is looked for in: small parts with many edges."""

from collections.abc import Sequence
from math import isqrt

import cv2
import numpy as np
from jaxtyping import Float32, UInt8, UInt16

from blurdm_cli.motion.latent import Grey
from blurdm_cli.motion.light import LUMA, to_linear
from blurdm_cli.motion.pyramid import resized
from blurdm_cli.motion.ripples import Ripples

Photo = Float32[np.ndarray, "h w 3"] | UInt8[np.ndarray, "h w 3"] | UInt16[np.ndarray, "h w 3"]
"""sRGB-encoded; float in [0, 1]."""

WINDOW = 250_000
"""Pixels that are looked at, at most, at each scale."""

LOOKED_AT = 1_000_000
"""Pixels that a window is looked for in."""

SCALES = (1.0, 0.5, 0.25)
VALUES = ("linear", "encoded")

SMALLEST_SPREAD, LARGEST_SPREAD = 96, 256
"""Sides of the windows that roll and zoom are looked for in, pixels."""

PAGE = 0.4
"""Share of a photo's pixels about its commonest tone from which on it may be a page."""


class Views:
    """The windows of a photo that are looked at, grey, by scale and kind of values."""

    def __init__(self, photo: Photo, scales: Sequence[float]) -> None:
        """Cut the windows.

        Args:
            photo: sRGB-encoded.
            scales: that are wanted; a quarter is left out where the photo is not large.
        """
        area = photo.shape[0] * photo.shape[1]
        wanted = (scale for scale in SCALES if scale >= min(scales))
        self.scales = {s for s in wanted if s >= 0.5 or area * s * s >= WINDOW / 2}
        self._greys: dict[tuple[str, float], Grey] = {}
        self._ripples: dict[tuple[str, float], Ripples] = {}
        for scale in sorted(self.scales):
            seen = in_unit_range(photo[window(photo, round(WINDOW / scale**2))])
            for values in VALUES:
                light = to_linear(seen) if values == "linear" else seen
                grey = np.ascontiguousarray(light @ LUMA)
                grey = self._greys[values, scale] = resized(grey, scale)
                self._ripples[values, scale] = Ripples(grey)

    def grey(self, values: str, scale: float) -> Grey:
        """A window in linear or encoded values, at a scale of the photo."""
        return self._greys[values, scale]

    def ripples(self, values: str, scale: float) -> Ripples:
        """The power spectrum of that window."""
        return self._ripples[values, scale]


def spread_windows(photo: Photo) -> list[tuple[slice, slice]]:
    """Windows with edges in the corners and in the middle of a photo; none in a small one."""
    height, width = photo.shape[:2]
    side = min(min(height, width) // 2, LARGEST_SPREAD)
    if side < SMALLEST_SPREAD:
        return []
    thirds = [[round(length * n / 3) for n in range(4)] for length in (height, width)]
    places = []
    for row, column in ((0, 0), (0, 2), (1, 1), (2, 0), (2, 2)):
        top = _room(thirds[0][row], thirds[0][row + 1], side, height)
        left = _room(thirds[1][column], thirds[1][column + 1], side, width)
        rows, columns = window(photo[top, left], side * side)
        places.append(
            (
                slice(top.start + rows.start, top.start + rows.stop),
                slice(left.start + columns.start, left.start + columns.stop),
            )
        )
    return places


def _room(first: int, last: int, side: int, length: int) -> slice:
    """A third of a photo's side, or more where a window needs it."""
    missing = max(side - (last - first), 0)
    begin = min(max(first - missing // 2, 0), max(length - max(side, last - first), 0))
    return slice(begin, begin + max(side, last - first))


def is_pagelike(image: Grey) -> bool:
    """Whether many pixels have about the commonest tone, as paper has."""
    return commonest_share(image, max(float(image.max()), 0.1)) >= PAGE


def commonest_share(image: Grey, brightest: float) -> float:
    """Share of the pixels that have about the commonest tone.

    Args:
        image: grey.
        brightest: end of the fifty tones; pixels above have none.
    """
    counts, _ = np.histogram(image, 50, (0, brightest))
    most = int(counts.argmax())
    return float(counts[max(most - 1, 0) : most + 2].sum() / image.size)


def in_unit_range(photo: Photo) -> Float32[np.ndarray, "h w 3"]:
    """A photo of any type as float32 in [0, 1]."""
    if photo.dtype == np.float32:
        return photo
    return photo.astype(np.float32) / np.float32(np.iinfo(photo.dtype).max)


def window(photo: Photo, most: int = WINDOW) -> tuple[slice, slice]:
    """The part of a photo with the most edges, of at most so many pixels.

    Large photos are looked at in a smaller copy.
    """
    height, width = photo.shape[:2]
    if height * width <= most:
        return slice(0, height), slice(0, width)
    step = max(1, isqrt(height * width // LOOKED_AT))
    small = in_unit_range(np.ascontiguousarray(photo[::step, ::step]))
    rows = min(height, isqrt(most))
    columns = min(width, most // rows)
    rows = min(height, most // columns)
    top, left = _most_edges(np.ascontiguousarray(small @ LUMA), rows // step, columns // step)
    top, left = min(top * step, height - rows), min(left * step, width - columns)
    return slice(top, top + rows), slice(left, left + columns)


def _most_edges(grey: Grey, rows: int, columns: int) -> tuple[int, int]:
    """Top and left of the window with the most pixels on strong edges, but for saturated ones."""
    strength = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    strong = (strength > np.quantile(strength, 0.8)) & (grey < 0.95)
    sums = cv2.integral(strong.astype(np.uint8))
    tops = np.arange(0, grey.shape[0] - rows + 1, 32)
    lefts = np.arange(0, grey.shape[1] - columns + 1, 32)
    counts = (
        sums[np.ix_(tops + rows, lefts + columns)]
        - sums[np.ix_(tops, lefts + columns)]
        - sums[np.ix_(tops + rows, lefts)]
        + sums[np.ix_(tops, lefts)]
    )
    place = np.unravel_index(int(counts.argmax()), counts.shape)
    return int(tops[place[0]]), int(lefts[place[1]])
