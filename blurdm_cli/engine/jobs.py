"""Jobs of the engine: one photo each, with its tiles."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32

from blurdm_cli.engine.candidates import Candidates
from blurdm_cli.engine.photo_prior import PhotoPrior
from blurdm_cli.engine.pixels import Pixels
from blurdm_cli.engine.tiling import Corner, Plan
from blurdm_cli.errors import ComputeError

Tile = Float32[np.ndarray, "3 h w"]

Progress = Callable[[int, int], None]
"""Called with the number of finished tiles and the total."""


@dataclass(frozen=True, eq=False)
class Job:
    """One photo to restore."""

    photo: Pixels | Float32[np.ndarray, "h w planes"] | None
    """None if there is nothing to restore. A tile that is split again has all its planes."""
    white: float = 1.0
    plan: Plan | None = None
    """None: the photo is returned unchanged."""
    prior: PhotoPrior | None = None
    """Prior that all its tiles share, if the model uses one per photo."""
    candidates: Candidates | None = None
    """Its candidates, if the model uses them."""
    notes: dict[str, None] = field(default_factory=dict)
    alone: bool = False
    """Whether it is a single tile, with nothing else computed at the same time."""

    @property
    def corners(self) -> list[Corner]:
        """Corners of the tiles to restore."""
        return self.plan.corners if self.plan else []

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of a tile; 0 if there is none."""
        return (self.plan.rows.side, self.plan.columns.side) if self.plan else (0, 0)

    def cut(self, corner: Corner) -> Float32[np.ndarray, "1 planes h w"]:
        """Cut out one tile, with its candidates if the model uses them."""
        if self.photo is None or self.plan is None:
            raise ValueError("there is nothing to cut")
        if self.candidates:
            return self.candidates.cut(self.plan, corner, self.white)
        return self.plan.cut(self.photo, [corner], self.white)

    def flag(self, note: str, *, strict: bool) -> None:
        """Record that the result looked wrong.

        Raises:
            ComputeError: `strict` is set.
        """
        if strict:
            raise ComputeError(
                f"The result looks wrong: {note.split(';')[0]}",
                hint="--guard on repairs what it can",
            )
        self.notes[note] = None


def counted(
    job: Job, tiles: Iterable[tuple[Job, Tile | None]], progress: Progress
) -> Iterator[Tile]:
    """Yield a job's tiles, and report progress for each."""
    for done, (_, tile) in enumerate(tiles, start=1):
        if tile is not None:
            progress(done, len(job.corners))
            yield tile
