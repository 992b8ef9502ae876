"""Progress of a photo: how many of its tiles are finished."""

from collections.abc import Callable, Iterable, Iterator

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
