"""The path whose kernel is most like one that was found pixel by pixel; path fits start there."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from blurdm_cli.motion.kernel import Kernel, centroid, padded, rescaled
from blurdm_cli.motion.path import AXES, CONTROLS, Path
from blurdm_cli.motion.path_fit import SHIFTS, fit_path

STARTS = 6
"""Paths that a kernel is compared with."""

COARSE = 3.0
"""Standard deviation in pixels of kernels along their length, at most, in the first comparison."""

ROUGH, EXACT = ((1.5, 3), (0.8, 2)), 0.7
"""Standard deviation in pixels of the blur through which kernels are compared: at first, with how
many paths are compared further, and in full detail."""


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
    fitted = [fit_path(system, path, steps=steps, axes=SHIFTS) for path in paths]
    return [path for path, _ in sorted(fitted, key=lambda each: each[1])]


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
