"""Blend restored tiles into a photo. See `tiling` for the weights."""

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from jaxtyping import Float32

from blurdm_cli.engine.tiling import Plan


def blend(
    plan: Plan, restored: Iterable[Float32[np.ndarray, "3 h w"]]
) -> Iterator[tuple[slice, Float32[np.ndarray, "3 rows width"]]]:
    """Blend restored tiles, and yield the photo's rows as they are finished.

    Args:
        plan: how the photo was cut.
        restored: the tiles, in the order of `plan.corners`; consumed one by one.

    Yields:
        A slice of rows, from the top, and their values. The caller may modify the values; they
        are overwritten when the next rows are requested.
    """
    rows, columns, tiles = plan.rows, plan.columns, iter(restored)
    if len(plan.corners) == 1:
        yield slice(0, rows.length), next(tiles)[:, : rows.length, : columns.length]
        return
    band = np.zeros((3, min(rows.side, rows.length), columns.length), dtype=np.float32)
    ends = [*rows.starts[1:], rows.length]
    for top, end, row_weights in zip(rows.starts, ends, rows.weights, strict=True):
        for left, column_weights in zip(columns.starts, columns.weights, strict=True):
            height, width = rows.inside(top), columns.inside(left)
            inside = next(tiles)[:, :height, :width]
            into = band[:, :height, left : left + width]
            alone, shared = _parts(row_weights[:height], column_weights[:width])
            into[:, *alone] = inside[:, *alone]
            for part in shared:
                weights = np.outer(row_weights[part[0]], column_weights[part[1]])
                for values, sums in zip(inside[:, *part], into[:, *part], strict=True):
                    cv2.accumulateProduct(values, weights, sums)
        finished = end - top
        yield slice(top, end), band[:, :finished]
        if end < rows.length:
            band[:, :-finished] = band[:, finished:]
            band[:, -finished:] = 0


Part = tuple[slice, slice]
"""Rows and columns of a tile."""


def _parts(
    row_weights: Float32[np.ndarray, "rows"], column_weights: Float32[np.ndarray, "columns"]
) -> tuple[Part, list[Part]]:
    """The part of a tile with weight 1, and the parts around it that are shared with neighbours."""
    (above, rows, below), (before, columns, behind) = map(_thirds, (row_weights, column_weights))
    whole = slice(before.start, behind.stop)
    around = [(above, whole), (rows, before), (rows, behind), (below, whole)]
    return (rows, columns), [(r, c) for r, c in around if r.start < r.stop and c.start < c.stop]


def _thirds(weights: Float32[np.ndarray, "extent"]) -> tuple[slice, slice, slice]:
    """The ranges where weights rise from 0, are 1, and fall to 0; zero weights are in none."""
    seen, full = np.flatnonzero(weights), np.flatnonzero(weights == 1)
    begin, end = int(seen[0]), int(seen[-1]) + 1
    first, last = (int(full[0]), int(full[-1]) + 1) if len(full) else (end, end)
    return slice(begin, first), slice(first, last), slice(last, end)
