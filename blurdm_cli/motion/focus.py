"""Soft focus: out of focus, each point becomes a disc, the picture of the lens's aperture.

A disc has one unknown, its diameter, and a power spectrum with dark rings at known places. So
nothing has to be followed from coarse to fine: discs of all diameters are held against the photo's
spectrum, and the right one leaves fewer ripples than those that are a little smaller or larger. It
competes with the paths that were found.
"""

import math
from dataclasses import dataclass

import numpy as np

from blurdm_cli.motion.found import FOCUS, Found
from blurdm_cli.motion.kernel import DELTA, Kernel, normalised
from blurdm_cli.motion.ripples import Ripples
from blurdm_cli.motion.score import score
from blurdm_cli.motion.windows import Views

DIAMETERS = 7 * 1.06 ** np.arange(42)
"""Discs that are tried, in pixels of a scale. The tiles of the spectrum hardly show the rings of
larger ones; smaller ones are found as paths are."""

LARGE = 16
"""Diameter below which a smaller scale leaves discs to the next larger one."""

BESIDE = (2, 3, 4, 5)
"""Steps to the smaller and larger diameters that one is compared with; both must exist."""

FEWER = 1.6
"""By how much fewer ripples a disc must leave than their median, over its diameter: of large discs,
tiles show the rings less clearly."""

NEAR = 1.02
"""Factor between the diameters of the last choice."""


def disc(diameter: float) -> Kernel:
    """The kernel of a photo out of focus.

    Args:
        diameter: of the disc that a point becomes, in pixels.
    """
    middle = math.ceil(diameter / 2)
    away = np.arange(-middle, middle + 1)
    inside = np.clip((diameter + 1) / 2 - np.hypot(away[:, None], away), 0, 1)
    return normalised(inside.astype(np.float32))


@dataclass(frozen=True, eq=False)
class Focus:
    """The disc that explains a photo best in one kind of values."""

    values: str
    views: Views

    def __call__(self) -> Found:
        """Find it; the score is infinite where no disc explains anything."""
        seen = {
            diameter / scale: self._found(diameter / scale)
            for scale in sorted(self.views.scales)
            for diameter in _diameters(self.views.ripples(self.values, scale))
            if scale == 1 or diameter >= LARGE
        }
        about = min(seen, key=lambda diameter: seen[diameter].cost, default=0.0)
        if not seen or seen[about].score >= 1:  # no blur at all explains more
            return Found(DELTA, math.inf, FOCUS)
        near = (self._found(diameter) for diameter in (about / NEAR, about * NEAR))
        return min([seen[about], *near], key=lambda found: found.cost)

    def _found(self, diameter: float) -> Found:
        kernel = disc(diameter)
        ripples = self.views.ripples(self.values, 1).left_by(kernel)
        return Found(kernel, score(self.views.grey(self.values, 1), kernel), FOCUS, ripples=ripples)


def _diameters(ripples: Ripples) -> list[float]:
    """The diameter whose disc leaves fewest ripples beside its neighbours; none if all are alike.

    In pixels of the scale.
    """
    left = np.array([ripples.left_by(disc(diameter)) for diameter in DIAMETERS])
    places = np.arange(len(left))[:, None] + [*(-step for step in BESIDE), *BESIDE]
    inside = (places >= 0) & (places < len(left))
    beside = np.where(inside, left[places.clip(0, len(left) - 1)], np.nan)
    fewer = np.nanmedian(beside, axis=1) - left
    clear = (fewer * DIAMETERS)[min(BESIDE) : -min(BESIDE)]
    best = float(DIAMETERS[int(clear.argmax()) + min(BESIDE)])
    return [best] if clear.max() >= FEWER else []
