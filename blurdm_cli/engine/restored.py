"""A restored photo, with what was noticed on the way."""

from dataclasses import dataclass

from blurdm_cli.engine.pixels import Pixels
from blurdm_cli.motion.found import Motion


@dataclass(frozen=True, eq=False)
class Restored:
    """A restored photo, with notes."""

    pixels: Pixels
    guarded: bool = False
    """Whether the result looked wrong and was repaired or recomputed."""
    notes: tuple[str, ...] = ()
    """Notes on parts that looked wrong and were recomputed or repaired, one line each."""
    motion: Motion | None = None
    """The photo's motion; None if it was not estimated."""
