"""Limits of the engine's options."""

from blurdm_cli.errors import UsageError

SMALLEST_TILE = 64
"""Smallest side of a tile, in pixels, that a user may choose."""


def whole_tile(tile: int, multiple_of: int) -> int:
    """Round a tile's side down to a multiple that the model takes.

    Raises:
        UsageError: the tile is too small.
    """
    smallest = max(SMALLEST_TILE, multiple_of)
    if tile < smallest:
        raise UsageError(
            f"A tile of {tile} pixels is too small", hint=f"The smallest is --tile {smallest}"
        )
    return tile - tile % multiple_of


def check_size(size: tuple[int, int], tile: int | None, batch: int, *, tta: bool) -> None:
    """Check the options for a graph with a fixed tile size and a batch of 1.

    Args:
        size: the graph's height and width in pixels.
        tile: the side that the user chose, if any.
        batch: tiles per batch.
        tta: whether tiles are rotated.

    Raises:
        UsageError: the graph does not support one of them.
    """
    height, width = size
    asked = {
        f"--tile {tile}": tile is not None and size != (tile, tile),
        f"--batch {batch}": batch > 1,
        "--tta, which rotates tiles,": tta and height != width,
    }
    for option, impossible in asked.items():
        if impossible:
            raise UsageError(
                f"The graph only takes tiles of {height}x{width} pixels, one at a time:"
                f" {option} is not possible",
                hint="Leave it out, or export the graph without --size",
            )


def check_options(tile: int, halo: int, batch: int, seed: int, strength: float) -> None:
    """Check that each option is in its range.

    Raises:
        UsageError: one is out of range.
    """
    if not 0 <= 3 * halo <= tile:
        raise UsageError(
            f"A halo of {halo} pixels does not fit in a tile of {tile} pixels",
            hint=f"The halo may be at most a third of the tile; try --halo {tile // 8}",
        )
    if batch < 1:
        raise UsageError(f"The batch size {batch} is below 1", hint="The smallest is --batch 1")
    if seed < 0:
        raise UsageError(f"The seed {seed} is below 0", hint="Try --seed 0")
    check_strength(strength)


def check_strength(strength: float) -> None:
    """Raise a UsageError if the strength is not between 0 and 1."""
    if not 0 <= strength <= 1:
        raise UsageError(f"The strength {strength} is not between 0 and 1", hint="Try --strength 1")
