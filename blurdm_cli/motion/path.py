"""The path of the camera while the shutter was open, as a spline in time, and what it draws.

A kernel of pixels has a thousand numbers, and what the photo does not tell of them is noise: arms
beside the path, gaps in it. A path has some thirty, and roll and zoom are two more axes of it:

    kernel at p = mean over time of  δ(shift + zoom · (p - middle) + roll · turned (p - middle))
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
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

EVERY = 2
"""The curvature looks at every second instant, cost and slope at all of them."""

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
    time = (np.arange(INSTANTS) + 0.5) / INSTANTS * (CONTROLS - 3)
    first = time.astype(np.int64)
    t = time - first
    cubics = [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, 3 * t * (1 + t - t * t) + 1, t**3]
    weights = np.zeros((INSTANTS, CONTROLS))
    for place, cubic in enumerate(cubics):
        weights[np.arange(INSTANTS), first + place] = cubic / 6
    return weights


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
    dots = down[..., None] * right[:, None] / len(points)
    drawn = np.bincount(pixels.ravel(), dots.ravel(), side * side + 1)
    return drawn[:-1].reshape(side, side).astype(np.float32)


def pulls(points: Points, pictures: Sequence[Kernel]) -> list[Points]:
    """How the product of a drawn path and each picture changes with each point, down and right."""
    pixels, (down, right), apart = _dots(points, pictures[0].shape[0], FITTED_WIDTH)
    steeper = apart * (down, right) / (FITTED_WIDTH**2 * len(points))
    both = (steeper[0], right), (down, steeper[1])
    under = [np.append(picture.ravel(), 0)[pixels] for picture in pictures]
    return [
        np.stack([np.einsum("nij,ni,nj->n", each, *profiles) for profiles in both], 1)
        for each in under
    ]


def curvature(lags: Kernel) -> Float32[np.ndarray, "3 l l"]:
    """How ⟨k, A k⟩ bends as two dots of a path move, for each displacement between them.

    Args:
        lags: what A convolves a kernel with.

    Returns:
        Both dots moved down, one down and the other to the right, both to the right.
    """
    width = np.sqrt(2) * FITTED_WIDTH
    apart = np.arange(-4, 5) / width
    dot = np.exp(-0.5 * apart**2) / (np.sqrt(2 * np.pi) * width)
    slope, bend = apart / width * dot, (1 - apart**2) / width**2 * dot
    return np.stack(
        [
            cv2.sepFilter2D(lags, cv2.CV_32F, right, down, borderType=cv2.BORDER_CONSTANT)
            for down, right in ((bend, dot), (-slope, slope), (dot, bend))
        ]
    )


def bends(
    points: Points, table: Float32[np.ndarray, "3 l l"]
) -> Float64[np.ndarray, "2 2 controls controls"]:
    """How ⟨k, A k⟩ bends as control points move down and right, from the table of `curvature`."""
    some = points[::EVERY]
    apart = (some[:, None] - some + table.shape[1] // 2).astype(np.float32)
    down, right = np.ascontiguousarray(apart.transpose(2, 0, 1))
    both = np.stack(
        [
            cv2.remap(each, right, down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT)
            for each in table
        ]
    )
    weights = (basis()[::EVERY].T / len(some)).astype(np.float32)
    # einsum and no product of matrices: BLAS rounds otherwise with more threads
    half = np.einsum("mi,aij->amj", weights, both.transpose(0, 2, 1))
    bent = np.einsum("amj,nj->amn", half, weights).astype(np.float64)
    return np.stack([bent[:2], bent[1:]])
