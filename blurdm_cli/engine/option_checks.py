"""Checks of the options of a `Deblurrer`."""

from blurdm_cli.choices import MotionMode
from blurdm_cli.errors import UsageError
from blurdm_cli.spec import ModelSpec


def check_motion(motion: MotionMode, spec: ModelSpec) -> None:
    """Raise a UsageError if the motion is asked for, and the model cannot use it."""
    if motion == "on" and not spec.candidates:
        raise UsageError(
            f"The model {spec.name} does not use the motion",
            hint="Leave out --motion, or try another --model",
        )


def check_expert(motion: MotionMode, spec: ModelSpec) -> None:
    """Raise a UsageError if the model cannot be used beside an expert."""
    if not spec.candidates:
        raise UsageError(
            f"The model {spec.name} cannot have an expert: it does not use the motion",
            hint="Use no expert, or another model",
        )
    if motion == "off":
        raise UsageError(
            "An expert needs the motion, and the motion is off",
            hint="Turn the motion on, or use the expert alone as the model",
        )


def check_seed(seed: int) -> None:
    """Raise a UsageError if the seed is below 0."""
    if seed < 0:
        raise UsageError(f"The seed {seed} is below 0", hint="Try --seed 0")


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


def check_strength(strength: float) -> None:
    """Raise a UsageError if the strength is not between 0 and 1."""
    if not 0 <= strength <= 1:
        raise UsageError(f"The strength {strength} is not between 0 and 1", hint="Try --strength 1")
