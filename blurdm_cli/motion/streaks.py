"""Streaks of light: thin bright parts of a photo in dark surroundings, and those that are alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Float64

from blurdm_cli.motion.kernel import centroid
from blurdm_cli.motion.latent import Grey

LEVELS = (0.8, 0.5, 0.3, 0.18, 0.1, 0.06)
"""Light that a streak is brighter than. At high levels long streaks break up, at low ones
neighbours join."""

BRIGHT = 0.25
"""Share of a photo above a level from which on its surroundings are not dark."""

SHORTEST, LONGEST = 8, 96
"""Longer side of a streak's box in pixels, at least and at most."""

FULL = 0.5
"""Share of a square of its length that a streak fills, at most."""

SLENDER = 3.0
"""Length of a streak as a multiple of its width, at least."""

DARK = 0.3
"""Light around a streak as a share of its level, at most."""

MARGIN = 4
"""Pixels around a streak that are cut out with it."""

FEW = 120
"""Streaks of a level that are looked at, the thinnest first."""

LOOK = 64
"""Side of the picture by which streaks are compared; it shows twice as many pixels."""

ALIKE, EQUAL = 0.85, 0.9
"""Likeness from which on streaks support each other, and from which on they are returned."""

LEAST, MOST = 4, 8
"""Streaks that have to be alike, and that are looked for."""

CLOSENESS = 6
"""Power of the mean likeness in the support of a streak, beside its length."""

SIZES = 0.8, 1.3
"""Lengths of streaks that are returned, as multiples of the best supported one's."""

THIN = 0.02
"""Likeness that a pixel of width is worth: thin streaks show the path best."""


@dataclass(frozen=True, eq=False)
class Streak:
    """A thin bright part of a photo, in dark surroundings."""

    top: int
    """First row of what is cut out, in pixels."""
    left: int
    """First column of it."""
    mask: Bool[np.ndarray, "h w"]
    """The streak and the pixels next to it."""
    dark: float
    """Light around it."""
    brightness: float
    """Light of its brighter pixels, above what is around it."""
    length: int
    """Longer side of its box."""
    width: float
    look: Float32[np.ndarray, " n"]
    """Its picture, centred and blurred, of norm 1; the product of two is their likeness."""
    bar: float
    """Its likeness to a bar of its direction and size: lamps, windows and strokes are bars."""

    @property
    def middle(self) -> tuple[float, float]:
        """Row and column of the middle of what is cut out."""
        height, width = self.mask.shape
        return self.top + height / 2, self.left + width / 2


def find_streaks(light: Grey, longest: int = LONGEST) -> list[Streak]:
    """Find thin bright parts in dark surroundings; one light may give several.

    Args:
        light: grey, in linear light.
        longest: length of a streak in pixels, at most.
    """
    found: list[Streak] = []
    for level in LEVELS:
        bright = (light > level).astype(np.uint8)
        if bright.mean() > BRIGHT:
            break
        _, labels, boxes, _ = cv2.connectedComponentsWithStats(bright, connectivity=8)
        length = boxes[:, 2:4].max(1).astype(float)
        fill = boxes[:, 4] / length**2
        fitting = (length >= SHORTEST) & (length <= min(longest, LONGEST)) & (fill <= FULL)
        numbers = np.flatnonzero(fitting)
        for number in numbers[np.argsort(fill[numbers], kind="stable")][:FEW]:
            streak = _streak(light, labels, int(number), boxes[number], level)
            found += [streak] if streak else []
    return found


def _streak(
    light: Grey, labels: np.ndarray, number: int, box: np.ndarray, level: float
) -> Streak | None:
    """A connected bright part as a streak, if it is thin and its surroundings are dark."""
    left, top = (max(int(edge) - MARGIN, 0) for edge in box[:2])
    part = np.s_[top : box[1] + box[3] + MARGIN, left : box[0] + box[2] + MARGIN]
    own, seen = (labels[part] == number).astype(np.uint8), light[part]
    around = seen[cv2.dilate(own, np.ones((7, 7), np.uint8)) == 0]
    if not around.size or np.quantile(around, 0.8) > DARK * level:
        return None
    width = 2 * float(cv2.distanceTransform(np.pad(own, 1), cv2.DIST_L2, 3).max()) - 1
    length = int(box[2:4].max())
    if length < SLENDER * width:
        return None
    dark = float(np.median(around))
    mask = cv2.dilate(own, np.ones((3, 3), np.uint8)) > 0
    strength = np.sqrt(np.where(mask, np.clip(seen - dark, 0, 2 * level), 0) / (2 * level))
    look = _look(placed(strength, 2 * LOOK))
    return Streak(
        top=top,
        left=left,
        mask=mask,
        dark=dark,
        brightness=float(np.quantile(seen[mask], 0.8)) - dark,
        length=length,
        width=width,
        look=look,
        bar=float(look @ _look(_bar(strength))),
    )


def placed(image: Float32[np.ndarray, "h w"], side: int) -> Float32[np.ndarray, "k k"]:
    """An image in a square, with its centre of mass in the middle."""
    row, column = centroid(image)
    moved = np.array([[1, 0, side // 2 - column], [0, 1, side // 2 - row]], np.float32)
    return cv2.warpAffine(image, moved, (side, side))


def _look(image: Float32[np.ndarray, "k k"]) -> Float32[np.ndarray, " n"]:
    soft = cv2.GaussianBlur(image, (0, 0), 1.5)
    small = cv2.resize(soft, (LOOK, LOOK), interpolation=cv2.INTER_AREA).ravel()
    return small / np.linalg.norm(small)


def _bar(image: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "k k"]:
    """The bar with an image's direction, length and width, by its second moments, in a square."""
    row, column = centroid(image)
    places = np.indices(image.shape, np.float64).reshape(2, -1) - [[row], [column]]
    powers, axes = np.linalg.eigh((places * image.ravel()) @ places.T / image.sum())
    grid = np.indices((2 * LOOK, 2 * LOOK), np.float64).reshape(2, -1) - LOOK
    inside = np.abs(axes.T @ grid) <= np.sqrt(3 * np.maximum(powers, 1 / 12))[:, None]
    return inside.all(0).reshape(2 * LOOK, 2 * LOOK).astype(np.float32)


def alike_streaks(streaks: Sequence[Streak]) -> list[Streak]:
    """Choose streaks that lie apart and are alike, the longest and most alike ones.

    Returns:
        `LEAST` to `MOST` of them, thin ones first; none if so many are not alike.
    """
    if len(streaks) < LEAST:
        return []
    looks = np.stack([streak.look for streak in streaks])
    likeness = np.round(looks @ looks.T, 4)  # the same on any number of cores
    middles = np.array([streak.middle for streak in streaks])
    most, first = 0.0, 0
    for own, streak in zip(likeness, streaks, strict=True):
        alike = _distinct(np.where(own >= ALIKE, own, 0), middles, streak.length)
        support = streak.length * float(own[alike].mean()) ** CLOSENESS * len(alike)
        if len(alike) >= LEAST and support > most:
            most, first = support, alike[0]
    length = streaks[first].length
    size = np.array([streak.length for streak in streaks]) / length
    equal = (likeness[first] >= EQUAL) & (size >= SIZES[0]) & (size <= SIZES[1])
    thin = 1 - THIN * np.array([streak.width for streak in streaks])
    alike = _distinct(np.where(equal, likeness[first] + thin, 0), middles, length)
    return [streaks[number] for number in alike] if len(alike) >= LEAST else []


def _distinct(
    ranks: Float[np.ndarray, " n"], middles: Float64[np.ndarray, "n 2"], length: int
) -> list[int]:
    """The first few streaks by rank, of all above 0, that lie apart."""
    kept: list[int] = []
    for number in np.argsort(-ranks, kind="stable"):
        if ranks[number] <= 0 or len(kept) == MOST:
            break
        apart = np.abs(middles[kept] - middles[number]).max(1) > length / 2 + MARGIN
        if apart.all():
            kept.append(int(number))
    return kept
