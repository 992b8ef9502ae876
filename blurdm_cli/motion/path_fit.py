"""A path fitted to what a photo tells of its kernels, by Levenberg and Marquardt's method.

It starts at the path whose kernel is most like one that was found pixel by pixel. The path as the
unknown of the equations, in place of the kernel, is ours.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Float64

from blurdm_cli.motion.kernel import Kernel, centroid, padded, rescaled
from blurdm_cli.motion.path import (
    AXES,
    CONTROLS,
    FITTED_WIDTH,
    MIDDLE,
    Controls,
    Path,
    Place,
    Points,
    basis,
    bends,
    curvature,
    draw,
    pulls,
    seen_from,
)

SHIFTS, TURNS = (0, 1), (2, 3)
"""Axes of a path that move the whole photo, and those that turn and scale it."""

SMOOTH = 1e-7
"""Price of the squared third differences of control points, in pixels."""

LEVEL = 1e-8
"""Price of squared roll and zoom, in pixels at the photo's corners: few windows tell of them."""

FARTHEST = 2.0
"""Pixels that a step moves a path, at most."""

SMALLEST_GAIN = 1e-5
"""Share of the objective by which a step must lower it for another one."""

STARTS = 6
"""Paths that a kernel is compared with."""

COARSE = 3.0
"""Standard deviation in pixels of kernels along their length, at most, in the first comparison."""

ROUGH, EXACT = ((1.5, 3), (0.8, 2)), 0.7
"""Standard deviation in pixels of the blur through which kernels are compared: at first, with how
many paths are compared further, and in full detail."""


@runtime_checkable
class System(Protocol):
    """Linear equations of a kernel, symmetric and positive: `apply(kernel) = target`."""

    @property
    def side(self) -> int:
        """Rows and columns of the kernel."""

    @property
    def target(self) -> Kernel:
        """The right side."""

    @property
    def lags(self) -> Kernel:
        """The picture that `apply` convolves a kernel with, of twice its side less one."""

    @property
    def largest(self) -> float:
        """An upper bound of the largest eigenvalue."""

    def apply(self, kernel: Kernel) -> Kernel:
        """The left side."""


def path_of(kernel: Kernel) -> Path:
    """The path, without roll and zoom, whose kernel is most like this one, of sum 1."""
    paths, length = _starts(kernel)
    shrunk = max(length / COARSE, 1.0)
    small = rescaled(kernel, 1 / shrunk) if shrunk > 1 else kernel
    paths = [path.scaled(1 / shrunk) for path in paths]
    for blur, kept in ROUGH:
        paths = _most_alike(small, blur, paths, steps=6)[:kept]
    paths = [path.scaled(shrunk) for path in paths]
    return _most_alike(kernel, EXACT, paths, steps=8)[0]


def _most_alike(kernel: Kernel, blur: float, paths: Sequence[Path], steps: int) -> list[Path]:
    """Paths, each made more like a kernel when both are seen through a blur; the best one first."""
    system = [_Likeness.of(kernel, blur)]
    fitted = [fit_path(system, path, steps=steps) for path in paths]
    return [path for path, _ in sorted(fitted, key=lambda each: each[1])]


def fit_path(
    systems: Sequence[System],
    path: Path,
    places: Sequence[Place] = (MIDDLE,),
    *,
    steps: int,
    axes: Sequence[int] = SHIFTS,
) -> tuple[Path, float]:
    """Fit a path to the normal equations of kernels at several places of a photo.

    Args:
        systems: of one or more windows, all of one side.
        path: where to begin.
        places: of the windows.
        steps: of the optimiser, at most.
        axes: that are fitted.

    Returns:
        The path, and what it costs: less is better.
    """
    problem = _Problem(systems, [seen_from(place) for place in places], axes)
    controls, damping = path.controls, 1e-2
    cost, gain = problem.cost(controls)
    for _ in range(steps):
        slope, bend = problem.derivatives(controls, gain)
        while damping < 1e4:
            move = problem.step(slope, bend, damping)
            tried, gain_there = problem.cost(controls + move)
            if tried < cost:
                break
            damping *= 4
        else:
            break
        small = cost - tried < SMALLEST_GAIN * abs(cost)
        controls, cost, gain, damping = controls + move, tried, gain_there, max(damping / 3, 1e-4)
        if small:
            break
    return Path(controls), cost


@dataclass(frozen=True, eq=False)
class _Drawn:
    """A kernel k that a path draws in one window, whose equations are A k = b."""

    points: Points
    applied: Kernel
    """A k."""
    square: float
    """⟨k, A k⟩."""
    product: float
    """⟨b, k⟩."""


class _Problem:
    """A path's cost: ½ ⟨k, A k⟩ - ⟨b, k⟩ over all windows, and the price of its shape.

    The equations are divided by their largest eigenvalue. Edges in a latent picture are lower than
    in the scene, so kernels have a common gain, chosen anew for each path.
    """

    def __init__(
        self,
        systems: Sequence[System],
        seen: Sequence[Float64[np.ndarray, "4 2"]],
        axes: Sequence[int],
    ) -> None:
        self.systems, self.seen, self.axes = systems, seen, list(axes)
        self.scale = 1 / sum(system.largest for system in systems)
        self.tables = [curvature(system.lags) for system in systems]
        rough = np.kron(np.eye(len(axes)), SMOOTH * _roughness())
        level = np.repeat([0.0 if axis in SHIFTS else LEVEL for axis in axes], CONTROLS)
        self.price = rough + np.diag(level)

    def _drawn(self, controls: Controls) -> Iterator["_Drawn"]:
        """The kernel of each window."""
        for system, seen in zip(self.systems, self.seen, strict=True):
            points = basis() @ controls @ seen
            kernel = draw(points, system.side, FITTED_WIDTH)
            applied = system.apply(kernel)
            square, product = (
                float((kernel * picture).sum(dtype=np.float64))
                for picture in (applied, system.target)
            )
            yield _Drawn(points, applied, square, product)

    def cost(self, controls: Controls) -> tuple[float, float]:
        """The cost and the gain."""
        square = product = 0.0
        for drawn in self._drawn(controls):
            square += drawn.square
            product += drawn.product
        gain = max(product / max(square, 1e-12), 0.0)
        shape = controls[:, self.axes].T.ravel()
        price = 0.5 * float(shape @ self.price @ shape)
        return self.scale * (0.5 * gain * gain * square - gain * product) + price, gain

    def derivatives(
        self, controls: Controls, gain: float
    ) -> tuple[Float64[np.ndarray, "n"], Float64[np.ndarray, "n n"]]:
        """The cost's slope and (Gauss-Newton) curvature in control points, axis by axis.

        The last number is that of the gain.
        """
        count = len(self.axes) * CONTROLS
        slope, bend = np.zeros(count + 1), np.zeros((count + 1, count + 1))
        windows = zip(self._drawn(controls), self.systems, self.seen, self.tables, strict=True)
        for drawn, system, seen, table in windows:
            turns = seen[self.axes]
            own, target = (
                (basis().T @ pulls(drawn.points, picture) @ turns.T).T.ravel()
                for picture in (drawn.applied, system.target)
            )
            slope[:-1] += gain * (gain * own - target)
            slope[-1] += gain * drawn.square - drawn.product
            shifts = bends(drawn.points, table)
            turned = np.einsum("ai,ijmn,bj->ambn", turns, shifts, turns)
            bend[:-1, :-1] += gain * gain * turned.reshape(count, count)
            bend[:-1, -1] += gain * own
            bend[-1, :-1] += gain * own
            bend[-1, -1] += drawn.square
        slope, bend = slope * self.scale, (bend + bend.T) * (self.scale / 2)
        shape = controls[:, self.axes].T.ravel()
        slope[:-1] += self.price @ shape
        bend[:-1, :-1] += self.price
        return slope, bend

    def step(
        self, slope: Float64[np.ndarray, "n"], bend: Float64[np.ndarray, "n n"], damping: float
    ) -> Controls:
        """A damped step, of at most `FARTHEST`."""
        mean = float(np.diag(bend)[:-1].mean())
        damped = bend + np.diag(np.r_[np.full(len(slope) - 1, damping * mean), 1e-9])
        move = np.zeros((CONTROLS, AXES))
        solved = np.linalg.solve(damped, slope)[:-1]
        move[:, self.axes] = -solved.reshape(len(self.axes), CONTROLS).T
        farthest = float(np.abs(basis() @ move).max())
        return move * min(1.0, FARTHEST / max(farthest, 1e-9))


@lru_cache(1)
def _roughness() -> Float64[np.ndarray, "controls controls"]:
    """The quadratic form of third differences."""
    third = np.diff(np.eye(CONTROLS), 3, axis=0)
    return third.T @ third


@dataclass(frozen=True, eq=False)
class _Likeness:
    """Equations of the kernel that is most like one, both seen through a blur."""

    side: int
    target: Kernel
    blur: float
    largest: float = 1.0

    @classmethod
    def of(cls, kernel: Kernel, blur: float) -> "_Likeness":
        around = padded(kernel, kernel.shape[0] + 4)
        return cls(around.shape[0], _seen(around, blur), blur)

    @property
    def lags(self) -> Kernel:
        along = cv2.getGaussianKernel(2 * self.side - 1, self.blur, cv2.CV_32F)
        return along * along.T

    def apply(self, kernel: Kernel) -> Kernel:
        return _seen(kernel, self.blur)


def _seen(kernel: Kernel, blur: float) -> Kernel:
    return cv2.GaussianBlur(kernel, (0, 0), blur, borderType=cv2.BORDER_CONSTANT)


def _starts(kernel: Kernel) -> tuple[list[Path], float]:
    """Paths as long and as wide as a kernel: a straight one and curved ones; and its length.

    The length is the standard deviation along the kernel's main direction, in pixels.
    """
    middle = kernel.shape[0] // 2
    row, column = (place - middle for place in centroid(kernel))
    down, right = np.indices(kernel.shape) - middle
    apart = np.stack([(down - row).ravel(), (right - column).ravel()])
    spread, axes = np.linalg.eigh((apart * kernel.ravel()) @ apart.T)
    wide, long = np.sqrt(np.maximum(spread, 0.05))
    time = np.linspace(-1, 1, CONTROLS)
    waves = np.cos(np.pi / 2 * np.arange(5)[:, None] * (time + 1))
    paths, rng = [], np.random.default_rng(0)
    for number in range(STARTS):
        along, across = 1.7 * long * time, np.zeros(CONTROLS)
        if number:
            across = 0.8 * wide * (rng.standard_normal(4) @ waves[1:])
            swing = 0.6 * (rng.standard_normal(2) @ waves[2:4])
            along = long * (1.7 * rng.uniform(0.3, 1) * time + swing)
        controls = np.zeros((CONTROLS, AXES))
        controls[:, :2] = np.outer(along, axes[:, 1]) + np.outer(across, axes[:, 0]) + (row, column)
        paths.append(Path(controls))
    return paths, float(long)
