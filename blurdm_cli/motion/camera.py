"""The camera's path with roll and zoom, fitted to what several places of a photo show.

A path that only shifts has one kernel everywhere. With roll and zoom each place has its own; all of
them follow from how long the camera stood in each pose:

    kernel at p = Σ over poses of  share · δ(shift + (scale·rotation - 1)(p - centre))

The shares are what the normal equations of all windows together ask for, and are not negative.
Source: the camera's poses of Whyte et al. (IJCV 2012) and Hu and Yang (ECCV 2012); to fit them to
few windows by their correlations is ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float32, Float64
from scipy import sparse

from blurdm_cli.motion import latent
from blurdm_cli.motion.fit import Equations, gradients, salient, solve_non_negative
from blurdm_cli.motion.kernel import Kernel, NewKernel, normalised, odd, trimmed
from blurdm_cli.motion.latent import Grey

ROLLS, ZOOMS = 7, 3
"""Poses of roll and of zoom that are told apart."""

LARGEST_ROLL, LARGEST_ZOOM = 8.0, 4.0
"""Pixels that either moves the farthest corner by, at most."""

ROUNDS = 4
"""Times that latent pictures and shares are found by turns."""

ITERATIONS = 150
"""FISTA steps a round: to stop early keeps poses that nothing tells apart near the shifts."""

FAINT = 0.01
"""Share of the largest pose's below which a pose is dropped."""


@dataclass(frozen=True, eq=False)
class Window:
    """A part of a photo, and where its middle lies."""

    grey: Grey
    row: float
    """Pixels from the photo's top, at full scale."""
    column: float


@dataclass(frozen=True, eq=False)
class CameraPath:
    """How long the camera stood in each pose."""

    down: Float64[np.ndarray, "n"]
    """Shift in pixels."""
    right: Float64[np.ndarray, "n"]
    roll: Float64[np.ndarray, "n"]
    """Radians, clockwise."""
    log_scale: Float64[np.ndarray, "n"]
    share: Float64[np.ndarray, "n"]
    """Share of the exposure; the sum is 1."""
    centre: tuple[float, float]
    """Row and column of the photo's middle, which roll and zoom leave where it is."""

    def displacements(self, row: float, column: float) -> tuple[np.ndarray, np.ndarray]:
        """How far down and to the right each pose moves a place of the photo, in pixels."""
        y, x = row - self.centre[0], column - self.centre[1]
        cosine, sine = (np.exp(self.log_scale) * f(self.roll) for f in (np.cos, np.sin))
        return self.down + (cosine - 1) * y + sine * x, self.right + (cosine - 1) * x - sine * y

    def kernel_at(self, row: float, column: float) -> NewKernel:
        """The kernel of a place."""
        down, right = self.displacements(row, column)
        side = odd(2 * float(max(np.abs(down).max(), np.abs(right).max())) + 3)
        shares = self.share.astype(np.float32)
        return normalised((_splat(down, right, side) @ shares).reshape(side, side))

    @property
    def unevenness(self) -> float:
        """How fast displacements differ from place to place, in pixels a pixel."""
        mean = np.average(np.hypot(self.roll, self.log_scale) ** 2, weights=self.share)
        return float(np.sqrt(mean))

    def centred(self) -> "CameraPath":
        """The same path, in the mean without shift, roll and zoom."""
        means = {
            name: float(self.share @ getattr(self, name))
            for name in ("down", "right", "roll", "log_scale")
        }
        moved = {name: getattr(self, name) - mean for name, mean in means.items()}
        return replace(self, **moved)


def fit_camera(
    windows: Sequence[Window],
    kernel: Kernel,
    size: tuple[int, int],
    *,
    weight: float,
) -> CameraPath:
    """Find the poses that explain several windows of a photo.

    Args:
        windows: spread over the photo, at its own scale.
        kernel: what the whole photo was found to be blurred with.
        size: height and width of the photo in pixels.
        weight: price of an edge in the latent pictures.
    """
    shares, poses = _poses(kernel, size)
    side = kernel.shape[0] + 2 * int(LARGEST_ROLL + LARGEST_ZOOM)
    moves = [_splat(*poses.displacements(each.row, each.column), side) for each in windows]
    blurred = [gradients(window.grey) for window in windows]
    for _ in range(ROUNDS):
        local = [normalised((move @ shares).reshape(side, side)) for move in moves]
        pictures = [
            latent.edges(window.grey, trimmed(kernel), weight, last=2e3)
            for window, kernel in zip(windows, local, strict=True)
        ]
        systems = [
            Equations.of(salient(picture, side), seen, side)
            for picture, seen in zip(pictures, blurred, strict=True)
        ]
        shares = _solve(systems, moves, shares)
    kept = shares > FAINT * shares.max()
    names = ("down", "right", "roll", "log_scale")
    path = {name: getattr(poses, name)[kept] for name in names}
    share = shares[kept].astype(np.float64)
    return replace(poses, **path, share=share / share.sum()).centred()


def _solve(
    systems: Sequence[Equations],
    moves: Sequence[sparse.csr_matrix],
    start: Float32[np.ndarray, " n"],
) -> Float32[np.ndarray, " n"]:
    """The shares of poses that fit the equations of all windows best."""
    side = systems[0].side

    def slope(shares: Float32[np.ndarray, " n"]) -> Float32[np.ndarray, " n"]:
        total = np.zeros_like(shares)
        for system, move in zip(systems, moves, strict=True):
            local = (move @ shares).reshape(side, side)
            total += move.T @ (system.apply(local) - system.target).ravel()
        return total

    steepest = sum(system.largest for system in systems) * _norm(moves)
    return solve_non_negative(slope, start, steepest, ITERATIONS)


def _poses(kernel: Kernel, size: tuple[int, int]) -> tuple[Float32[np.ndarray, " n"], CameraPath]:
    """All poses that are looked at, and the shares of a path that only shifts."""
    height, width = size
    radius = np.hypot(height, width) / 2
    wide = np.pad(kernel, 2)
    near = cv2.dilate((wide > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    rows, columns = np.nonzero(near)
    middle = wide.shape[0] // 2
    length = float(max(np.ptp(rows), np.ptp(columns)))
    rolls = np.linspace(-1, 1, ROLLS) * min(LARGEST_ROLL, 0.35 * length) / radius
    zooms = np.linspace(-1, 1, ZOOMS) * min(LARGEST_ZOOM, 0.2 * length) / radius
    place, roll, zoom = (
        grid.ravel()
        for grid in np.meshgrid(
            np.arange(len(rows)), np.arange(ROLLS), np.arange(ZOOMS), indexing="ij"
        )
    )
    still = (roll == ROLLS // 2) & (zoom == ZOOMS // 2)
    shares = np.where(still, wide[rows, columns][place], 0).astype(np.float32)
    return shares, CameraPath(
        down=(rows - middle)[place].astype(np.float64),
        right=(columns - middle)[place].astype(np.float64),
        roll=rolls[roll],
        log_scale=zooms[zoom],
        share=shares.astype(np.float64),
        centre=(height / 2, width / 2),
    )


def _splat(down: np.ndarray, right: np.ndarray, side: int) -> sparse.csr_matrix:
    """The matrix from shares of displacements to a kernel; what lies beyond its edge is lost."""
    middle = side // 2
    row, column = np.floor(down), np.floor(right)
    below, beside = down - row, right - column
    number = np.arange(len(down))
    parts = []
    for y, x, value in (
        (0, 0, (1 - below) * (1 - beside)),
        (0, 1, (1 - below) * beside),
        (1, 0, below * (1 - beside)),
        (1, 1, below * beside),
    ):
        at_row, at_column = row + middle + y, column + middle + x
        inside = (at_row >= 0) & (at_row < side) & (at_column >= 0) & (at_column < side)
        place = (at_row * side + at_column)[inside].astype(np.int64)
        parts.append((value[inside], place, number[inside]))
    values, places, numbers = (np.concatenate(column) for column in zip(*parts, strict=True))
    shape = (side * side, len(down))
    return sparse.csr_matrix((values.astype(np.float32), (places, numbers)), shape)


def _norm(matrices: Sequence[sparse.csr_matrix]) -> float:
    """Upper bound of the squared norm of the matrices: largest row sum times largest column sum."""
    return max(
        float(matrix.sum(axis=1).max()) * float(matrix.sum(axis=0).max()) for matrix in matrices
    )
