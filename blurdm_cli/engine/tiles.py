"""Tiles through a runtime: as many at a time as memory allows, and none that cannot be right."""

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
from blurdm_cli.engine.jobs import Job, Tile
from blurdm_cli.engine.runtime import Runtime
from blurdm_cli.engine.self_ensemble import restore_turned
from blurdm_cli.engine.tiling import Plan, blend, plan_tiles
from blurdm_cli.errors import ComputeError, OutOfMemory
from blurdm_cli.prefetch import Prefetcher

SMALLEST_RETREAT = 128
"""Side in pixels below which tiles are not halved when memory runs short."""


@dataclass(eq=False)
class TileRestorer:
    """Restores the tiles of photos.

    Where memory runs short, batches and then tiles become smaller, and stay so.
    """

    runtime: Runtime
    noise: Float32[np.ndarray, "c"]
    """What the diffusion of every tile starts from."""
    multiple_of: int
    """The sides of tiles are multiples of this."""
    side: int
    """Of the square that is a tile's largest area, in pixels; smaller once memory ran short."""
    halo: int
    """Pixels at a tile's inner edges that are not trusted."""
    batch: int
    """How many tiles the runtime gets at a time; fewer once memory ran short."""
    size: tuple[int, int] | None = None
    """Height and width of every tile, where the runtime takes no others; then `batch` is 1."""
    guard: Guard = "on"
    tta: bool = False
    """Average over a tile's eight turns and mirrorings."""
    in_fp32: Callable[[], Runtime] | None = None
    """Opens the same model in fp32; None where the runtime computes in fp32 itself."""
    _spare: Runtime | None = field(default=None, init=False)
    _lock: Lock = field(default_factory=Lock, init=False)

    def plan(self, height: int, width: int) -> Plan:
        """Cut a photo of this size into tiles."""
        tile = self.size or self.side
        return plan_tiles(height, width, tile=tile, halo=self.halo, multiple_of=self.multiple_of)

    def restore_each(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Tile | None]]:
        """Restore the tiles of photos, each in its plan's order.

        Yields:
            Each tile with whose it is; None in its place for photos that come back as they are.
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

        Photos with a prior of their own share no batch.

        Yields:
            Whose each tile is, and the tiles; None for a photo that comes back as it is.
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
        """Restore tiles, with less at a time where memory runs short."""
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
        """Restore a tile in fp32, because the first answer was garbage."""
        precision = self.runtime.precision
        if self.in_fp32:
            with self._lock:
                self._spare = self._spare or self.in_fp32()
            note = f"the result looked wrong in {precision}; a part is redone in fp32"
            job.doubt(note, strict=self.guard == "strict")
            restored: Tile = self._run(self._spare, tile[None], job)[0]
            if not gd.is_garbage(tile[:3], restored):
                return restored
        raise ComputeError(
            f"The model's answer for a tile is not a picture (computed in {precision})",
            hint="The model is damaged, or not fit for this photo: try another --model"
            if precision == "fp32"
            else "Try --precision fp32",
        )

    def _restore_in_parts(self, tile: Float32[np.ndarray, "planes h w"], job: Job) -> Tile:
        """Restore a tile that was cut before memory ran short, in tiles that fit now."""
        plan = self.plan(*tile.shape[1:])
        photo = tile.transpose(1, 2, 0)
        part = replace(job, photo=photo, white=1.0, plan=plan, candidates=None)
        tiles = (self._restore(part.cut(corner), [part])[0] for corner in plan.corners)
        restored = np.empty_like(tile[:3])
        for rows, values in blend(plan, tiles):
            restored[:, rows] = values
        return restored

    def _retreat(self, count: int, _channels: int, height: int, width: int) -> bool:
        """Ask for less memory than this batch took: half the tiles, or tiles of half the side.

        Returns:
            Whether there is less to ask for.
        """
        if self.size:
            return False
        if count > self.batch or height * width > self.side**2:
            return True  # another thread has asked already
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
    """Tiles with whose they are, once they are restored."""
    tiles: Iterable[Tile | None] = work.result() if work else [None] * len(owners)
    return zip(owners, tiles, strict=True)
