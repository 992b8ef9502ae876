"""Restore tiles with a runtime: adapt to the memory available, and redo bad results."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from math import isqrt
from threading import Lock
from typing import Any

import numpy as np
from jaxtyping import Float32

from blurdm_cli.choices import Guard
from blurdm_cli.engine import guard as gd
from blurdm_cli.engine.blending import blend
from blurdm_cli.engine.candidates import Candidates
from blurdm_cli.engine.photo_prior import PhotoPrior
from blurdm_cli.engine.pixels import Pixels
from blurdm_cli.engine.runtime import Runtime
from blurdm_cli.engine.self_ensemble import restore_turned
from blurdm_cli.engine.tiling import Corner, Plan, plan_tiles
from blurdm_cli.errors import ComputeError, OutOfMemory, UsageError
from blurdm_cli.prefetch import Prefetcher
from blurdm_cli.spec import Padding

Tile = Float32[np.ndarray, "3 h w"]

SMALLEST_TILE = 64
"""Smallest side of a tile, in pixels, that a user may choose."""

SMALLEST_RETREAT = 128
"""Smallest side in pixels that tiles are reduced to when memory runs out."""


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


@dataclass(eq=False)
class TileRestorer:
    """Restores the tiles of photos.

    If memory runs out, batches and then tiles become smaller, and stay so.

    Raises:
        UsageError: the halo or the batch is out of range.
    """

    runtime: Runtime
    noise: Float32[np.ndarray, "c"]
    """The noise that the diffusion of every tile starts from."""
    multiple_of: int
    """The sides of tiles are multiples of this."""
    side: int
    """Largest tile, as the side of a square in pixels; smaller once memory ran out."""
    halo: int
    """Width in pixels of the margin at a tile's inner edges that is discarded."""
    batch: int
    """Tiles per batch; fewer once memory ran out."""
    size: tuple[int, int] | None = None
    """Height and width of every tile, if the runtime has a fixed size; then `batch` is 1."""
    guard: Guard = "on"
    tta: bool = False
    """Average over the eight rotations and flips of each tile."""
    smallest: int = 1
    """Smallest height and width of a tile."""
    padding: Padding = "mirror"
    """What is in tiles beyond the photo."""
    in_fp32: Callable[[], Runtime] | None = None
    """Opens the same model in fp32; None if the runtime already computes in fp32."""
    _spare: Runtime | None = field(default=None, init=False)
    _lock: Lock = field(default_factory=Lock, init=False)

    def __post_init__(self) -> None:
        shorter = min(self.size) if self.size else self.side
        if not 0 <= 3 * self.halo <= shorter:
            raise UsageError(
                f"A halo of {self.halo} pixels does not fit in a tile of {shorter} pixels",
                hint=f"The halo may be at most a third of the tile; try --halo {shorter // 8}",
            )
        if self.batch < 1:
            raise UsageError(
                f"The batch size {self.batch} is below 1", hint="The smallest is --batch 1"
            )

    def plan(self, height: int, width: int) -> Plan:
        """Cut a photo of this size into tiles."""
        return plan_tiles(
            height,
            width,
            tile=self.size or self.side,
            halo=self.halo,
            multiple_of=self.multiple_of,
            smallest=self.smallest,
            padding=self.padding,
        )

    def restore_each(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Tile | None]]:
        """Restore the tiles of photos, in the order of their plans.

        Yields:
            Each job and tile; None as the tile of photos that are returned unchanged.
        """
        concurrent = self.runtime.max_concurrent
        pending: deque[tuple[list[Job], Future[Any] | None]] = deque()
        with Prefetcher(self._cut(jobs), 1) as batches, ThreadPoolExecutor(concurrent) as threads:
            for owners, blurred in batches:
                work = None if blurred is None else threads.submit(self._restore, blurred, owners)
                pending.append((owners, work))
                if len(pending) > concurrent:
                    yield from _finished(*pending.popleft())
            while pending:
                yield from _finished(*pending.popleft())

    def _cut(
        self, jobs: Iterable[Job]
    ) -> Iterator[tuple[list[Job], Float32[np.ndarray, "n _ h w"] | None]]:
        """Cut photos into batches of tiles of one size.

        Photos with their own prior do not share a batch.

        Yields:
            The job of each tile, and the tiles; None for a photo that is returned unchanged.
        """
        owners: list[Job] = []
        tiles: list[Float32[np.ndarray, "1 _ h w"]] = []
        for job in jobs:
            if tiles and (job.prior or job.sides != owners[-1].sides):
                yield owners, np.concatenate(tiles)
                owners, tiles = [], []
            if not job.corners:
                yield [job], None
            for corner in job.corners:
                owners.append(job)
                tiles.append(job.cut(corner))
                if len(tiles) >= self.batch:
                    yield owners, tiles[0] if len(tiles) == 1 else np.concatenate(tiles)
                    owners, tiles = [], []
        if tiles:
            yield owners, np.concatenate(tiles)

    def _restore(
        self, blurred: Float32[np.ndarray, "n _ h w"], owners: Sequence[Job]
    ) -> Float32[np.ndarray, "n _ h w"]:
        """Restore tiles, in smaller portions if memory runs out."""
        area = blurred.shape[2] * blurred.shape[3]
        too_much = area > self.side**2 or len(blurred) > self.batch
        if not too_much:
            try:
                restored = self._run(self.runtime, blurred, owners[0])
            except OutOfMemory:
                with self._lock:
                    if not self._retreat(*blurred.shape):
                        raise
                too_much = True
        if too_much and len(blurred) > 1:
            halves = (slice(len(blurred) // 2), slice(len(blurred) // 2, None))
            return np.concatenate([self._restore(blurred[half], owners[half]) for half in halves])
        if too_much:
            return self._restore_in_parts(blurred[0], owners[0])[None]
        if self.guard == "off" and np.isfinite(restored).all():
            return restored
        for place, (tile, job) in enumerate(zip(blurred, owners, strict=True)):
            if gd.is_garbage(tile[:3], restored[place]):
                restored[place] = self._again(tile, job)
        return restored

    def _run(
        self,
        runtime: Runtime,
        blurred: Float32[np.ndarray, "n _ h w"],
        job: Job,
    ) -> Float32[np.ndarray, "n _ h w"]:
        if job.prior:
            runtime = job.prior.guide(runtime)
        restore = runtime.restore if job.alone else runtime.restore_concurrently
        noise = np.tile(self.noise, (len(blurred), 1))
        return restore_turned(restore, blurred, noise) if self.tta else restore(blurred, noise)

    def _again(self, tile: Float32[np.ndarray, "planes h w"], job: Job) -> Tile:
        """Restore a tile in fp32, because the first result was garbage."""
        precision = self.runtime.precision
        if self.in_fp32:
            with self._lock:
                self._spare = self._spare or self.in_fp32()
            note = f"the result looked wrong in {precision}; a part is recomputed in fp32"
            job.flag(note, strict=self.guard == "strict")
            restored: Tile = self._run(self._spare, tile[None], job)[0]
            if not gd.is_garbage(tile[:3], restored):
                return restored
        raise ComputeError(
            f"The model's output for a tile is not an image (computed in {precision})",
            hint="The model is damaged or does not suit this photo: try another --model"
            if precision == "fp32"
            else "Try --precision fp32",
        )

    def _restore_in_parts(self, tile: Float32[np.ndarray, "planes h w"], job: Job) -> Tile:
        """Restore a tile that no longer fits in memory, split into smaller tiles."""
        plan = self.plan(*tile.shape[1:])
        photo = tile.transpose(1, 2, 0)
        part = replace(job, photo=photo, white=1.0, plan=plan, candidates=None)
        tiles = (self._restore(part.cut(corner), [part])[0] for corner in plan.corners)
        restored = np.empty_like(tile[:3])
        for rows, values in blend(plan, tiles):
            restored[:, rows] = values
        return restored

    def _retreat(self, count: int, _channels: int, height: int, width: int) -> bool:
        """Reduce the memory per batch: halve the number of tiles, or their side.

        Returns:
            Whether it could be reduced.
        """
        if self.size:
            return False
        if count > self.batch or height * width > self.side**2:
            return True  # another thread already reduced it
        if count > 1:
            self.batch = count // 2
            return True
        multiple_of = self.multiple_of
        whole = min(isqrt(height * width), self.side)
        side = -(-max(whole // 2, SMALLEST_RETREAT) // multiple_of) * multiple_of
        if side >= whole:
            return False
        self.batch, self.halo, self.side = 1, min(self.halo, side // 4), side
        return True


def _finished(owners: list[Job], work: Future[Any] | None) -> Iterator[tuple[Job, Tile | None]]:
    """Wait for a batch, and pair its tiles with their jobs."""
    tiles: Iterable[Tile | None] = work.result() if work else [None] * len(owners)
    return zip(owners, tiles, strict=True)


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
