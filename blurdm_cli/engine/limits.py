"""What may be asked of the engine."""

from blurdm_cli.errors import UsageError

SMALLEST_TILE = 64
"""Side in pixels that a user may ask for."""


def whole_tile(tile: int, multiple_of: int) -> int:
    """What is asked of a tile, cut to a multiple of what the model takes.

    Raises:
        UsageError: it is too small.
    """
    smallest = max(SMALLEST_TILE, multiple_of)
    if tile < smallest:
        raise UsageError(
            f"A tile of {tile} pixels is too small", hint=f"The smallest is --tile {smallest}"
        )
    return tile - tile % multiple_of


def check_size(size: tuple[int, int], tile: int | None, batch: int, *, tta: bool) -> None:
    """See that nothing is asked of a graph that only takes tiles of one size, one at a time.

    Args:
        size: height and width in pixels.
        tile: the side that was asked for, if any was.
        batch: tiles at a time.
        tta: whether tiles are to be turned.

    Raises:
        UsageError: something is.
    """
    height, width = size
    asked = {
        f"--tile {tile}": tile is not None and size != (tile, tile),
        f"--batch {batch}": batch > 1,
        "--tta, which turns tiles,": tta and height != width,
    }
    for option, impossible in asked.items():
        if impossible:
            raise UsageError(
                f"The graph takes tiles of {height}x{width} pixels alone, one at a time:"
                f" {option} cannot be had",
                hint="Leave it out, or export the graph without --size",
            )


def check_options(tile: int, halo: int, batch: int, seed: int, strength: float) -> None:
    """See that each option is in its range.

    Raises:
        UsageError: one is not.
    """
    if not 0 <= 3 * halo <= tile:
        raise UsageError(
            f"A halo of {halo} pixels does not fit in a tile of {tile} pixels",
            hint=f"The halo may be a third of the tile at most; try --halo {tile // 8}",
        )
    if batch < 1:
        raise UsageError(f"A batch of {batch} tiles is none", hint="The smallest is --batch 1")
    if seed < 0:
        raise UsageError(f"The seed {seed} is below 0", hint="Try --seed 0")
    if not 0 <= strength <= 1:
        raise UsageError(f"The strength {strength} is not between 0 and 1", hint="Try --strength 1")
