"""Progress of a photo: how many of its tiles are finished."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate

from blurdm_cli.engine.tiles import Job, Tile

Progress = Callable[[int, int], None]
"""Called with the number of finished tiles and the total."""


def silent(done: int, of: int) -> None:
    """Report nothing."""


def counted(
    job: Job, tiles: Iterable[tuple[Job, Tile | None]], progress: Progress
) -> Iterator[Tile]:
    """Yield a job's tiles, and report progress for each."""
    for done, (_, tile) in enumerate(tiles, start=1):
        if tile is not None:
            progress(done, len(job.corners))
            yield tile


def in_parts(progress: Progress, counts: Sequence[int]) -> Iterator[Progress]:
    """Divide the progress of a photo among parts, each with its own number of tiles."""

    def show(before: int, done: int, _: int) -> None:
        progress(before + done, sum(counts))

    return (partial(show, before) for before in accumulate(counts[:-1], initial=0))
