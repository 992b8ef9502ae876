"""A path fitted to what a photo tells of its kernels, by Levenberg and Marquardt's method.

The path as the unknown of the equations, in place of the kernel, is ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64

from blurdm_cli.motion.kernel import Kernel
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
    here, damping = problem.at(path.controls), 1e-2
    for _ in range(steps):
        slope, bend = problem.derivatives(here)
        while damping < 1e4:
            there = problem.at(here.controls + problem.step(slope, bend, damping))
            if there.cost < here.cost:
                break
            damping *= 4
        else:
            break
        small = here.cost - there.cost < SMALLEST_GAIN * abs(here.cost)
        here, damping = there, max(damping / 3, 1e-4)
        if small:
            break
    return Path(here.controls), here.cost


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


@dataclass(frozen=True, eq=False)
class _Tried:
    """A path, its kernel in each window, their common gain, and what it costs."""

    controls: Controls
    drawn: Sequence[_Drawn]
    gain: float
    cost: float


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

    def at(self, controls: Controls) -> _Tried:
        """What a path draws, and what it costs."""
        drawn = [
            _drawn(system, basis() @ controls @ seen)
            for system, seen in zip(self.systems, self.seen, strict=True)
        ]
        square, product = sum(each.square for each in drawn), sum(each.product for each in drawn)
        gain = max(product / max(square, 1e-12), 0.0)
        shape = controls[:, self.axes].T.ravel()
        price = 0.5 * float(shape @ self.price @ shape)
        cost = self.scale * (0.5 * gain * gain * square - gain * product) + price
        return _Tried(controls, drawn, gain, cost)

    def derivatives(
        self, here: _Tried
    ) -> tuple[Float64[np.ndarray, "n"], Float64[np.ndarray, "n n"]]:
        """The cost's slope and (Gauss-Newton) curvature in control points, axis by axis.

        The last number is that of the gain.
        """
        count = len(self.axes) * CONTROLS
        slope, bend = np.zeros(count + 1), np.zeros((count + 1, count + 1))
        gain, windows = here.gain, zip(self.systems, self.seen, self.tables, strict=True)
        for drawn, (system, seen, table) in zip(here.drawn, windows, strict=True):
            turns = seen[self.axes]
            own, target = (
                (basis().T @ pulled @ turns.T).T.ravel()
                for pulled in pulls(drawn.points, (drawn.applied, system.target))
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
        shape = here.controls[:, self.axes].T.ravel()
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


def _drawn(system: System, points: Points) -> _Drawn:
    """The kernel of one window."""
    kernel = draw(points, system.side, FITTED_WIDTH)
    applied = system.apply(kernel)
    square, product = (
        float((kernel * picture).sum(dtype=np.float64)) for picture in (applied, system.target)
    )
    return _Drawn(points, applied, square, product)


@lru_cache(1)
def _roughness() -> Float64[np.ndarray, "controls controls"]:
    """The quadratic form of third differences."""
    third = np.diff(np.eye(CONTROLS), 3, axis=0)
    return third.T @ third
