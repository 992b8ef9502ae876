"""The path of the camera while the shutter was open, as a spline in time, and what it draws.

A kernel of pixels has a thousand numbers, and what the photo does not tell of them is noise: arms
beside the path, gaps in it. A path has some thirty, and roll and zoom are two more axes of it:

    kernel at p = mean over time of  δ(shift + zoom · (p - middle) + roll · turned (p - middle))
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float32, Float64, Int64

from blurdm_cli.motion.kernel import Kernel, centred, normalised, odd, pruned, trimmed

AXES = 4
"""Down, right, roll and zoom."""

CONTROLS = 20
"""Control points of a path."""

INSTANTS = 192
"""Instants of the exposure at which it is drawn."""

FITTED_WIDTH, WIDTH = 0.6, 0.5
"""Standard deviation in pixels of the dot that draws a path, while it is fitted and afterwards."""

REACH = 2
"""Pixels of a dot on each side of its middle."""

FAINT = 0.02
"""Share of the largest value below which a drawn kernel's values are dropped."""

Controls = Float64[np.ndarray, "controls 4"]
Points = Float64[np.ndarray, "instants 2"]
Place = tuple[float, float]
"""Rows down and columns right of the photo's middle, as a share of half its diagonal."""

MIDDLE: Place = (0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Path:
    """Control points of a uniform cubic spline over the exposure.

    All axes are in pixels; roll (clockwise) and zoom as they move the photo's corners.
    """

    controls: Controls

    def at(self, place: Place = MIDDLE) -> Points:
        """Rows down and columns right by which a place of the photo moves, at each instant."""
        return basis() @ self.controls @ seen_from(place)

    def centred(self) -> "Path":
        """The same path, moved so that its mean over the exposure is zero."""
        return Path(self.controls - (basis() @ self.controls).mean(0))

    def scaled(self, factor: float) -> "Path":
        """The same path, `factor` times as large."""
        return Path(self.controls * factor)

    def side(self, places: Sequence[Place] = (MIDDLE,)) -> int:
        """Rows and columns that the kernels of these places need."""
        reach = max(float(np.abs(self.at(place)).max()) for place in places)
        return odd(2 * (reach + REACH))

    def kernel(self, place: Place = MIDDLE) -> Kernel:
        """The kernel of a place."""
        drawn = draw(self.at(place), self.side([place]), WIDTH)
        return trimmed(centred(pruned(normalised(drawn), FAINT)))


@lru_cache(1)
def basis() -> Float64[np.ndarray, "instants controls"]:
    """Weights of the control points at each instant."""
    first, cubics = _cubics()
    weights = np.zeros((INSTANTS, CONTROLS))
    for place, cubic in enumerate(cubics):
        weights[np.arange(INSTANTS), first + place] = cubic
    return weights


@lru_cache(1)
def _cubics() -> tuple[Int64[np.ndarray, " instants"], Float64[np.ndarray, "4 instants"]]:
    """The first control point that counts at each instant, and the weights of it and the next."""
    time = (np.arange(INSTANTS) + 0.5) / INSTANTS * (CONTROLS - 3)
    first = time.astype(np.int64)
    t = time - first
    cubics = [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, 3 * t * (1 + t - t * t) + 1, t**3]
    return first, np.stack(cubics) / 6


def seen_from(place: Place) -> Float64[np.ndarray, "4 2"]:
    """The matrix from axes to displacements at a place."""
    down, right = place
    return np.array([[1, 0], [0, 1], [right, -down], [down, right]], np.float64)


def _dots(
    points: Points, side: int, width: float
) -> tuple[Int64[np.ndarray, "n d d"], Float64[np.ndarray, "2 n d"], Float64[np.ndarray, "2 n d"]]:
    """Pixels of the dots at some points, the profile of each down and to the right, and distances.

    Pixels beyond the kernel's edge lead to one more number at its end.
    """
    around = np.arange(-REACH, REACH + 1)
    places = np.rint(points).astype(np.int64).T[..., None] + around
    apart = places - points.T[..., None]
    profiles = np.exp(-0.5 * (apart / width) ** 2) / (np.sqrt(2 * np.pi) * width)
    rows, columns = places + side // 2
    inside = ((rows >= 0) & (rows < side))[..., None] & ((columns >= 0) & (columns < side))[:, None]
    pixels = np.where(inside, rows[..., None] * side + columns[:, None], side * side)
    return pixels, profiles, apart


def draw(points: Points, side: int, width: float) -> Kernel:
    """A dot of Gaussian profile at each point; the sum is about 1."""
    pixels, (down, right), _ = _dots(points, side, width)
    drawn = _summed(pixels, down[..., None] * right[:, None] / len(points), side)
    return drawn[0].astype(np.float32)


def derivatives(points: Points, side: int) -> Float32[np.ndarray, "n side side"]:
    """How the kernel changes with the control points down, then to the right; last the kernel."""
    pixels, (down, right), apart = _dots(points, side, FITTED_WIDTH)
    steeper = apart / (FITTED_WIDTH**2 * len(points))
    first, cubics = _cubics()
    controls = (first + np.arange(len(cubics))[:, None])[..., None, None]
    there = controls * (side * side + 1) + pixels
    dots = down[..., None] * right[:, None]
    slopes = dots * steeper[0][..., None], dots * steeper[1][:, None]
    moved = [
        _summed(there, cubics[..., None, None] * slope, side, pictures=CONTROLS) for slope in slopes
    ]
    drawn = _summed(pixels, dots / len(points), side)
    return np.concatenate([*moved, drawn]).astype(np.float32)


def _summed(
    there: Int64[np.ndarray, "*n"],
    values: Float64[np.ndarray, "*n"],
    side: int,
    *,
    pictures: int = 1,
) -> Float64[np.ndarray, "pictures side side"]:
    """Pictures that hold the sum of the values at each place; one follows the other."""
    length = side * side + 1
    sums = np.bincount(there.ravel(), values.ravel(), pictures * length)
    return sums.reshape(pictures, length)[:, :-1].reshape(pictures, side, side)
