"""The camera's path, found from what one or several places of a photo show.

Latent pictures and the path are found by turns, as latent picture and kernel are. A path that only
shifts has one kernel everywhere; with roll and zoom each place has its own, and all follow from the
same path.

Source: roll and zoom from several places, Whyte et al. (IJCV 2012) and Hu and Yang (ECCV 2012), who
look for the share of time in each pose; a path in its place is ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from blurdm_cli.motion import latent
from blurdm_cli.motion.fit import Equations, gradients, salient
from blurdm_cli.motion.kernel import Kernel
from blurdm_cli.motion.latent import Grey
from blurdm_cli.motion.path import Path, Place, basis
from blurdm_cli.motion.path_fit import fit_path

STEPS = 6
"""Steps of the optimiser in each round, at most."""

MARGIN = 3
"""Pixels that a path may move beyond its kernel in a round, on each side."""


@dataclass(frozen=True, eq=False)
class Window:
    """A part of a photo, and where its middle lies."""

    grey: Grey
    row: float
    """Pixels from the photo's top, at full scale."""
    column: float


@dataclass(frozen=True, eq=False)
class CameraPath:
    """A path, and the photo that it belongs to."""

    path: Path
    size: tuple[int, int]
    """Height and width of the photo in pixels."""

    def place(self, row: float, column: float) -> Place:
        """A place of the photo, relative to its middle."""
        height, width = self.size
        return (row - height / 2) / self._radius, (column - width / 2) / self._radius

    def kernel_at(self, row: float, column: float) -> Kernel:
        """The kernel of a place."""
        return self.path.kernel(self.place(row, column))

    @cached_property
    def unevenness(self) -> float:
        """How fast displacements differ from place to place, in pixels a pixel."""
        turns = (basis() @ self.path.controls)[:, 2:] / self._radius
        return float(np.sqrt((turns * turns).sum(1).mean()))

    @property
    def _radius(self) -> float:
        return float(np.hypot(*self.size)) / 2


def trace(
    windows: Sequence[Window],
    start: CameraPath,
    *,
    weights: Sequence[float],
    axes: Sequence[int],
) -> CameraPath:
    """Find the path that explains windows of a photo.

    Args:
        windows: of the photo, at its own scale.
        start: a path that explains them about.
        weights: price of an edge in the latent pictures, in each round.
        axes: of the path that are looked for.
    """
    path, size = start.path.centred(), start.size
    places = [start.place(each.row, each.column) for each in windows]
    blurred = [gradients(window.grey) for window in windows]
    for weight in weights:
        side = path.side(places) + 2 * MARGIN
        pictures = [
            latent.edges(window.grey, path.kernel(place), weight, last=2e3)
            for window, place in zip(windows, places, strict=True)
        ]
        systems = [
            Equations.of(salient(picture, side), seen, side)
            for picture, seen in zip(pictures, blurred, strict=True)
        ]
        path = fit_path(systems, path, places, steps=STEPS, axes=axes)[0].centred()
    return CameraPath(path, size)
