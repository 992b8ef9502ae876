"""A photo on its way through the engine, and its tiles."""

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
"""Is told how many tiles are done, and of how many."""


@dataclass(frozen=True, eq=False)
class Job:
    """A photo on its way."""

    photo: Pixels | Float32[np.ndarray, "h w planes"] | None
    """None: one that is left alone. A tile that is cut again has all planes."""
    white: float = 1.0
    plan: Plan | None = None
    """None: it comes back as it is."""
    prior: PhotoPrior | None = None
    """What all its tiles share, if the model wants that."""
    candidates: Candidates | None = None
    """Its motion, if the model weighs candidates."""
    notes: dict[str, None] = field(default_factory=dict)
    alone: bool = False
    """Whether it is one tile that nothing else is computed beside."""

    @property
    def corners(self) -> list[Corner]:
        """Of the tiles that there are to restore."""
        return self.plan.corners if self.plan else []

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of a tile; 0 where there is none."""
        return (self.plan.rows.side, self.plan.columns.side) if self.plan else (0, 0)

    def cut(self, corner: Corner) -> Float32[np.ndarray, "1 planes h w"]:
        """One of these tiles."""
        if self.photo is None or self.plan is None:
            raise ValueError("there is nothing to cut")
        if self.candidates:
            return self.candidates.cut(self.plan, corner, self.white)
        return self.plan.cut(self.photo, [corner], self.white)

    def doubt(self, note: str, *, strict: bool) -> None:
        """Note what looked wrong.

        Raises:
            ComputeError: it is strict.
        """
        if strict:
            raise ComputeError(
                f"The result looks wrong: {note.split(';')[0]}",
                hint="--guard on mends what can be mended",
            )
        self.notes[note] = None


def counted(
    job: Job, tiles: Iterable[tuple[Job, Tile | None]], progress: Progress
) -> Iterator[Tile]:
    """A job's tiles alone, and progress is told of each."""
    for done, (_, tile) in enumerate(tiles, start=1):
        if tile is not None:
            progress(done, len(job.corners))
            yield tile
