"""Cut a photo into overlapping tiles.

    photo   |------------------------------------------|
    tile    |###########~~~~....|
    tile            |....~~~~####~~~~....|
    tile                         |....~~~~#############|

A tile is used (# ~) except for `halo` pixels (.) at its inner edges, where the network
did not see enough of the photo. Neighbours cross-fade (~) where both are used. The edges of
the photo are not inner edges: a border tile is used up to them.

Rows and columns are planned separately. A pixel's weight is the product of the two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Float32, Float64, Int64, Shaped

from blurdm_cli.spec import Padding

WEIGHT_STEPS = 4096
"""Weights are multiples of 1/4096: products and sums of them are exact in float32."""

Corner = tuple[int, int]
"""Position of a tile in the photo: (top, left), in pixels."""


@dataclass(frozen=True, eq=False)
class Axis:
    """Rows or columns of a photo, cut into equal tiles. All sizes are in pixels."""

    length: int
    """Side of the photo."""
    side: int
    """Side of a tile."""
    starts: tuple[int, ...]
    """Starts of the tiles, ascending from 0; the last tile may extend past the photo."""
    weights: Float32[np.ndarray, "tiles side"]
    """Weight of each pixel of each tile; the weights of each pixel of the photo add up to 1."""

    def inside(self, start: int) -> int:
        """Number of pixels of a tile at `start` inside the photo; the rest is padding."""
        return min(self.side, self.length - start)


@dataclass(frozen=True, eq=False)
class Plan:
    """A photo, cut into equal tiles."""

    rows: Axis
    columns: Axis
    padding: Padding = "mirror"
    """What is in tiles beyond the photo."""

    @property
    def corners(self) -> list[Corner]:
        """Positions of the tiles, row by row: the order that `blending.blend` expects."""
        return list(product(self.rows.starts, self.columns.starts))

    def cut(
        self,
        pixels: Shaped[np.ndarray, "height width planes"],
        corners: Sequence[Corner],
        white: float,
    ) -> Float32[np.ndarray, "n planes h w"]:
        """Cut out tiles as input for a runtime: in [0, 1], padded to the full side.

        Args:
            pixels: the photo, from 0 to `white`.
            corners: which tiles, from this plan's corners.
            white: the value that becomes 1.
        """
        rows, columns = self.rows, self.columns
        if white == 1 and pixels.shape[:2] == (rows.side, columns.side):  # one whole frame
            return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], dtype=np.float32)
        planes = pixels.shape[2]
        tiles = np.empty((len(corners), planes, rows.side, columns.side), dtype=np.float32)
        for tile, (top, left) in zip(tiles, corners, strict=True):
            height, width = rows.inside(top), columns.inside(left)
            self.fill(tile, pixels[top : top + height, left : left + width].transpose(2, 0, 1))
            if white != 1:
                tile /= np.float32(white)
        return tiles

    def fill(
        self, tile: Float32[np.ndarray, "planes h w"], inside: Shaped[np.ndarray, "planes y x"]
    ) -> None:
        """Write the part inside the photo into a tile, and pad the rest."""
        height, width = inside.shape[1:]
        np.copyto(tile[:, :height, :width], inside)
        if self.padding == "zeros":
            tile[..., width:] = 0
            tile[:, height:] = 0
            return
        mirror = self.padding == "mirror"
        tile[..., width:] = tile[..., _padding(self.columns.side, width, mirror=mirror)]
        tile[:, height:] = tile[:, _padding(self.rows.side, height, mirror=mirror)]


def plan_tiles(
    height: int,
    width: int,
    *,
    tile: int | tuple[int, int],
    halo: int,
    multiple_of: int = 1,
    smallest: int = 1,
    padding: Padding = "mirror",
) -> Plan:
    """Cover a photo with overlapping tiles that have the fewest pixels in total.

    Neighbours overlap by twice the halo, plus at least a quarter of the halo (and at least one
    pixel) for the cross-fade, and are evenly spaced. Tiles start at multiples of `multiple_of`,
    and the last of a row or column ends where the photo does, padded to a multiple: a network that
    downsamples or works on patches then sees the same grid as in the whole photo. A photo smaller
    than a tile becomes one tile. Tiles need not be square: a network's memory depends on the area
    of a tile, and a video frame that fits in one tile has no overlaps.

    Args:
        height: height of the photo in pixels, at least 1.
        width: width of the photo in pixels, at least 1.
        tile: largest tile, as the side of a square in pixels; the longer side of a tile is at most
            twice that. Or the height and width of every tile, even for smaller photos. Multiples
            of `multiple_of`.
        halo: width in pixels of the margin at a tile's inner edges that is discarded; at most a
            third of the tile.
        multiple_of: the sides of tiles are multiples of this.
        smallest: smallest side of a tile in pixels; photos that are smaller are padded.
        padding: what is in tiles beyond the photo.

    Raises:
        ValueError: the photo is empty, the tile is not a multiple, or the halo is too wide.
    """
    if min(height, width) < 1:
        raise ValueError(f"a photo of {width} x {height} pixels has nothing to cut")
    least = max(3 * halo, _overlap(halo) + 1)
    sides = (tile, tile) if isinstance(tile, int) else tile
    if multiple_of < 1 or halo < 0 or any(s % multiple_of or s < least for s in sides):
        raise ValueError(f"tiles of {tile} pixels with {halo=} and {multiple_of=}")
    if isinstance(tile, int):
        best = _best_sides((height, width), tile, halo, multiple_of)
        sides = (max(best[0], smallest), max(best[1], smallest))
    rows, columns = (
        _axis(length, side, halo, multiple_of)
        for length, side in zip((height, width), sides, strict=True)
    )
    return Plan(rows, columns, padding)


def _best_sides(
    lengths: tuple[int, int], tile: int, halo: int, multiple_of: int
) -> tuple[int, int]:
    """Height and width of tiles with at most the square's area and the fewest pixels in total."""
    shortest = _round_up(max(-(-tile // 2), 3 * halo, _overlap(halo) + 1), multiple_of)
    longest = _round_down(tile**2 // shortest, multiple_of)
    found = []
    limit = longest
    while limit >= shortest:
        height = _least_side(lengths[0], limit, halo, multiple_of)
        widest = min(_round_down(tile**2 // height, multiple_of), longest)
        sides = (height, _least_side(lengths[1], widest, halo, multiple_of))
        pixels = height * sides[1]
        for length, side in zip(lengths, sides, strict=True):
            pixels *= _steps(length, side, halo, multiple_of) + 1
        found.append((pixels, sides))
        limit = height - multiple_of
    return min(found)[1]


def _least_side(length: int, limit: int, halo: int, multiple_of: int) -> int:
    """The smallest side that needs no more tiles than a side of `limit`."""
    if length <= limit:
        return _round_up(length, multiple_of)
    steps = _steps(length, limit, halo, multiple_of)
    unit = _unit(limit, halo, multiple_of)
    least = max(-(-length // (steps + 1)), _overlap(halo) + unit, 3 * halo)
    sides = range(_round_up(least, multiple_of), limit + 1, multiple_of)
    return next(side for side in sides if _steps(length, side, halo, multiple_of) == steps)


def _axis(length: int, side: int, halo: int, multiple_of: int) -> Axis:
    """Cover a length with the fewest tiles of this side, evenly spaced."""
    steps, unit = _steps(length, side, halo, multiple_of), _unit(side, halo, multiple_of)
    end = _round_up(length, unit)
    starts = np.arange(steps + 1, dtype=np.int64) * max(end - side, 0) // max(steps, 1)
    starts -= starts % unit
    return Axis(length, side, tuple(starts.tolist()), _weights(starts, side, halo))


def _steps(length: int, side: int, halo: int, multiple_of: int) -> int:
    """Number of tiles after the first."""
    if length <= side:
        return 0
    unit = _unit(side, halo, multiple_of)
    stride = _round_down(side - _overlap(halo), unit)
    return -(-(_round_up(length, unit) - side) // stride)


def _unit(side: int, halo: int, multiple_of: int) -> int:
    """The step that tile positions are aligned to; 1 if there is too little room to align."""
    return multiple_of if side - _overlap(halo) >= multiple_of else 1


def _overlap(halo: int) -> int:
    """Minimum overlap of two neighbours, in pixels."""
    return 2 * halo + max(halo // 4, 1)


def _weights(
    starts: Int64[np.ndarray, "tiles"], side: int, halo: int
) -> Float32[np.ndarray, "tiles side"]:
    """Weights of tiles: the fade-in of each tile minus the fade-in of the next.

    The sum over all tiles telescopes to the first tile's 1, even where three tiles overlap. No
    weight is negative, as later tiles fade in later.
    """
    begin, end = starts[1:, None] + halo, starts[:-1, None] + side - halo
    x = starts[:, None] + np.arange(side) + 0.5  # centres of pixels, in the photo
    weights = np.ones(x.shape)
    weights[1:] = _faded_in((x[1:] - begin) / (end - begin))
    weights[:-1] -= _faded_in((x[:-1] - begin) / (end - begin))
    return weights.astype(np.float32)


def _faded_in(progress: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    """A raised cosine: 0 up to progress 0, 1 from progress 1 on."""
    cosine: Float64[np.ndarray, "*shape"] = np.cos(np.pi * np.clip(progress, 0, 1))
    return np.round((0.5 - 0.5 * cosine) * WEIGHT_STEPS) / WEIGHT_STEPS


def _padding(side: int, inside: int, *, mirror: bool) -> Int64[np.ndarray, "padding"]:
    """Indices of the padding pixels: mirrored if there are enough pixels, else the last one."""
    padding = np.arange(side - inside, dtype=np.int64)
    if mirror and len(padding) < inside:
        return inside - 2 - padding
    return np.full_like(padding, inside - 1)


def _round_up(value: int, multiple_of: int) -> int:
    return -(-value // multiple_of) * multiple_of


def _round_down(value: int, multiple_of: int) -> int:
    return value - value % multiple_of
