"""The candidates of one photo, made tile by tile.

The motion of the whole photo is known; each tile is deconvolved with what surrounds it, so that
memory goes with the tile and no seam is left.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from blurdm_cli.engine.pixels import Pixels
from blurdm_cli.engine.tiling import Corner, Plan
from blurdm_cli.machine import available_cores
from blurdm_cli.motion.candidates import make_candidates
from blurdm_cli.motion.colour import even
from blurdm_cli.motion.estimation import find_motion
from blurdm_cli.motion.found import Motion
from blurdm_cli.motion.windows import in_unit_range
from blurdm_cli.spec import CANDIDATE_PLANES

MARGIN = 36
"""Pixels around a tile that are deconvolved with it, beside half the kernel's side."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """A photo and its motion; cuts tiles with their candidates."""

    photo: Pixels
    motion: Motion

    def cut(self, plan: Plan, corner: Corner, white: float) -> Float32[np.ndarray, "1 planes h w"]:
        """One tile of a plan, with its candidates behind its red, green and blue."""
        blurred = plan.cut(self.photo, [corner], white)
        tile = np.empty((3 + CANDIDATE_PLANES, *blurred.shape[2:]), np.float32)
        tile[:3] = blurred[0]
        rows, columns = (
            _with_margin(start, axis.inside(start), axis.length, self.reach)
            for start, axis in zip(corner, (plan.rows, plan.columns), strict=True)
        )
        around = in_unit_range(self.photo[rows.seen, columns.seen])
        origin = (rows.seen.start, columns.seen.start)
        planes = make_candidates(around, self.motion, available_cores(), origin)
        plan.fill(tile[3:], planes[:, rows.own, columns.own])
        return tile[None]

    @property
    def reach(self) -> int:
        """Pixels around a tile that are deconvolved with it."""
        return self.motion.reach // 2 + MARGIN if self.motion.reach > 1 else 0


def with_candidates(tile: Float32[np.ndarray, "1 3 h w"]) -> Float32[np.ndarray, "1 planes h w"]:
    """A tile that is a whole photo, in [0, 1], with its candidates behind."""
    photo = np.ascontiguousarray(tile[0].transpose(1, 2, 0))
    planes = make_candidates(photo, find_motion(photo, available_cores()), available_cores())
    return np.concatenate([tile, planes[None]], axis=1)


@dataclass(frozen=True)
class _Range:
    """Rows or columns that are looked at, and which of these are a tile's own."""

    seen: slice
    own: slice


def _with_margin(start: int, inside: int, length: int, margin: int) -> _Range:
    first, last = even(max(start - margin, 0)), min(start + inside + margin, length)
    return _Range(slice(first, last), slice(start - first, start - first + inside))
