"""The engine: a photo's pixels in, restored pixels out, through any runtime."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from threading import Lock
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32

from blurdm_cli.engine import guard as gd
from blurdm_cli.engine.ahead import Ahead
from blurdm_cli.engine.jobs import Job, Progress, Tile, counted
from blurdm_cli.engine.limits import check_options, whole_tile
from blurdm_cli.engine.photo_prior import PhotoPrior, check_scope, of_photo
from blurdm_cli.engine.pixels import Pixels, quantise, white_of
from blurdm_cli.engine.runtime import BesideRuntime, Runtime, open_runtime
from blurdm_cli.engine.tiling import Plan, blend, plan_tiles
from blurdm_cli.engine.turns import restore_turned
from blurdm_cli.errors import ComputeError, OutOfMemory
from blurdm_cli.spec import ModelSpec
from blurdm_cli.zoo import DEFAULT

SMALLEST_RETREAT = 128
"""Side in pixels below which tiles are not halved when memory runs short."""

Guard = Literal["on", "off", "strict"]
"""What to do where an answer cannot be right: mend it and say so, take it, or fail."""


@dataclass(frozen=True, eq=False)
class Restored:
    """A restored photo, and what there is to say of it."""

    pixels: Pixels
    guarded: bool = False
    """Whether the answer looked wrong, and was not taken as it came."""
    notes: tuple[str, ...] = ()
    """What looked wrong and was done again or mended, a line each."""


class Deblurrer:
    """Deblurs photos of any size with one model on one device.

    Photos are restored tile by tile. Where memory runs short, batches and then tiles
    become smaller, and stay so for the photos that follow. Not thread-safe.
    """

    def __init__(
        self,
        runtime: Runtime,
        spec: ModelSpec,
        *,
        tile: int | None = None,
        halo: int | None = None,
        batch: int = 1,
        seed: int = 0,
        strength: float = 1.0,
        guard: Guard = "on",
        tta: bool = False,
        in_fp32: Callable[[], Runtime] | None = None,
    ) -> None:
        """Set up.

        Args:
            runtime: runs the model.
            spec: what the model says of itself.
            tile: largest side of a tile, in pixels; cut to a multiple of what the model
                takes. None: the side that suits the model.
            halo: pixels at a tile's inner edges that are not trusted, at most a third of
                the tile. None: what suits the model, but at most a quarter of the tile.
            batch: how many tiles the runtime gets at a time.
            seed: of the noise that the diffusion starts from, the same for every tile.
            strength: 0 gives the photo back, 1 the restored one, between is a mix.
            guard: what to do where an answer cannot be right.
            tta: average over the tile's eight turns and mirrorings: eight times the work.
            in_fp32: opens the same model in fp32, for tiles that another precision spoilt;
                None where the runtime computes in fp32 itself.

        Raises:
            UsageError: an option is out of its range.
            RuntimeMissing: the model takes one prior a photo, and the runtime has none.
        """
        self.runtime = runtime
        check_scope(runtime, spec)
        self.guard = guard
        self._in_fp32 = in_fp32
        self._spare: Runtime | None = None
        self._lock = Lock()
        self._tta = tta
        self.spec = spec
        self.tile = whole_tile(spec.tile if tile is None else tile, spec.multiple_of)
        """Largest side of a tile, in pixels; smaller once memory ran short."""
        self.halo = min(spec.halo, self.tile // 4) if halo is None else halo
        """Pixels at a tile's inner edges that are not trusted."""
        self.batch = batch
        """How many tiles the runtime gets at a time; fewer once memory ran short."""
        self.strength = strength
        check_options(self.tile, self.halo, batch, seed, strength)
        noise = np.random.default_rng(seed).standard_normal(spec.prior_channels)
        self._noise = noise.astype(np.float32)

    @classmethod
    def open(
        cls,
        model: str = DEFAULT,
        *,
        runtime: str = "auto",
        device: str = "auto",
        precision: str = "auto",
        **options: Any,
    ) -> "Deblurrer":
        """Open a model by its name or the path of its folder.

        Args:
            model: name or path.
            runtime: "auto", or one of `engine.runtime.RUNTIMES`.
            device: "auto", "cpu", "cuda", "cuda:1".
            precision: "auto", or one of `engine.runtime.PRECISIONS`.
            **options: what the constructor takes by name.

        Raises:
            ModelError: the model cannot be found or read.
            RuntimeMissing: the runtime, device or precision is not on this machine.
            UsageError: an option is out of its range.
        """
        opened, spec = open_runtime(model, runtime, device, precision)

        def in_fp32() -> Runtime:
            return open_runtime(model, opened.name, opened.device, "fp32")[0]

        spare = None if opened.precision == "fp32" else in_fp32
        return cls(opened, spec, in_fp32=spare, **options)

    def __call__(self, pixels: Pixels, progress: Progress = lambda done, of: None) -> Pixels:
        """Deblur one photo: `restore` without its notes."""
        return self.restore(pixels, progress).pixels

    def restore(self, pixels: Pixels, progress: Progress = lambda done, of: None) -> Restored:
        """Deblur one photo.

        Args:
            pixels: the photo; it is not changed.
            progress: is told after each tile; never at strength 0.

        Returns:
            The restored photo, of the same size and type, and notes.

        Raises:
            ValueError: the pixels are not what `Pixels` says.
            OutOfMemory: not even a tile of 128 pixels fits on the device.
            ComputeError: the runtime failed, or its answer is not a number, or it cannot be
                right and the guard is strict.
        """
        job = self._job(pixels)
        job = replace(job, alone=len(job.corners) == 1)
        [restored] = self._restore_jobs([job], progress)
        assert restored
        return restored

    def restore_each(self, photos: Iterable[np.ndarray | None]) -> Iterator[Restored | None]:
        """Deblur photos one after another, such as the frames of a video.

        While one is put together, the tiles of the next are computed; tiles of one size share
        batches, whichever photo they are of.

        Args:
            photos: `Pixels` of any size and type; they are not changed. They are taken in another
                thread, some tiles ahead. None is left alone, and comes back as None.

        Yields:
            The restored photos in their order, with what was noted of their own tiles.

        Raises:
            ValueError, OutOfMemory, ComputeError: as `restore`.
        """
        return self._restore_jobs(map(self._job, photos))

    def _restore_jobs(
        self, jobs: Iterable[Job], progress: Progress = lambda done, of: None
    ) -> Iterator[Restored | None]:
        with Ahead(self._restore_tiles(jobs), max(2, self.batch)) as tiles:
            for job, own in groupby(tiles, key=itemgetter(0)):
                yield self._assemble(job, counted(job, own, progress))

    def _job(self, photo: Pixels | None) -> Job:
        """What there is to do for a photo."""
        if photo is None:
            return Job(None)
        white = white_of(photo)
        if self.strength == 0:
            return Job(photo, white)
        prior = None
        if of_photo(self.spec):
            prior = PhotoPrior(photo, white, self._noise, self.spec.multiple_of)
        return Job(photo, white, self._plan(*photo.shape[:2]), prior)

    def _assemble(self, job: Job, tiles: Iterator[Tile]) -> Restored | None:
        """Join a photo's restored tiles, and look at what came out."""
        pixels, white = job.photo, job.white
        if pixels is None:
            return None
        if job.plan is None:
            return Restored(pixels.copy())
        restored = np.empty_like(pixels, order="K" if pixels.dtype == np.float32 else "C")
        for rows, values in blend(job.plan, tiles):
            if self.strength < 1:
                values *= self.strength
                values += pixels[rows].transpose(2, 0, 1) * np.float32((1 - self.strength) / white)
            quantise(values, restored[rows], white)
        guarded = bool(job.notes)
        if self.guard != "off":
            drifted = gd.drift(pixels, restored, white)
            if np.abs(drifted).max() > gd.LARGEST_DRIFT:
                self._doubt(job, "the light changed over whole regions; it is put back")
                restored, guarded = gd.without_drift(restored, drifted, white), True
        return Restored(restored, guarded, tuple(job.notes))

    def _doubt(self, job: Job, note: str) -> None:
        """Note what looked wrong, or fail."""
        if self.guard == "strict":
            raise ComputeError(
                f"The result looks wrong: {note.split(';')[0]}",
                hint="--guard on mends what can be mended",
            )
        job.notes[note] = None

    def _plan(self, height: int, width: int) -> Plan:
        multiple_of = self.spec.multiple_of
        return plan_tiles(height, width, tile=self.tile, halo=self.halo, multiple_of=multiple_of)

    def _restore_tiles(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Tile | None]]:
        """Restore the tiles of photos, each in its plan's order.

        Yields:
            Each tile with whose it is; None in its place for photos that come back as they are.
        """
        abreast = self.runtime.abreast if isinstance(self.runtime, BesideRuntime) else 1
        pending: deque[tuple[list[Job], Future[Any] | None]] = deque()
        with Ahead(self._cut(jobs), 1) as batches, ThreadPoolExecutor(abreast) as threads:
            for owners, blurred in batches:
                work = None if blurred is None else threads.submit(self._restore, blurred, owners)
                pending.append((owners, work))
                if len(pending) > abreast:
                    yield from _finished(*pending.popleft())
            while pending:
                yield from _finished(*pending.popleft())

    def _cut(
        self, jobs: Iterable[Job]
    ) -> Iterator[tuple[list[Job], Float32[np.ndarray, "n 3 h w"] | None]]:
        """Cut photos into batches of tiles of one size.

        Photos with a prior of their own share no batch.

        Yields:
            Whose each tile is, and the tiles; None for a photo that comes back as it is.
        """
        owners: list[Job] = []
        tiles: list[Float32[np.ndarray, "1 3 h w"]] = []
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
        self, blurred: Float32[np.ndarray, "n 3 h w"], owners: Sequence[Job]
    ) -> Float32[np.ndarray, "n 3 h w"]:
        """Restore tiles, with less at a time where memory runs short."""
        too_much = max(blurred.shape[2:]) > self.tile or len(blurred) > self.batch
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
            if gd.is_garbage(tile, restored[place]):
                restored[place] = self._again(tile, job)
        return restored

    def _run(
        self,
        runtime: Runtime,
        blurred: Float32[np.ndarray, "n 3 h w"],
        job: Job,
    ) -> Float32[np.ndarray, "n 3 h w"]:
        if job.prior:
            runtime = job.prior.guide(runtime)
        restore = runtime.restore
        if isinstance(runtime, BesideRuntime) and not job.alone:
            restore = runtime.restore_beside
        noise = np.tile(self._noise, (len(blurred), 1))
        return restore_turned(restore, blurred, noise) if self._tta else restore(blurred, noise)

    def _again(self, tile: Tile, job: Job) -> Tile:
        """Restore a tile in fp32, because the first answer was garbage."""
        precision = self.runtime.precision
        if self._in_fp32:
            with self._lock:
                self._spare = self._spare or self._in_fp32()
            self._doubt(job, f"the result looked wrong in {precision}; a part is redone in fp32")
            restored: Tile = self._run(self._spare, tile[None], job)[0]
            if not gd.is_garbage(tile, restored):
                return restored
        raise ComputeError(
            f"The model's answer for a tile is not a picture (computed in {precision})",
            hint="Check the model: blurdm models verify"
            if precision == "fp32"
            else "Try --precision fp32",
        )

    def _restore_in_parts(self, tile: Tile, job: Job) -> Tile:
        """Restore a tile that was cut before memory ran short, in tiles that fit now."""
        plan = self._plan(*tile.shape[1:])
        part = replace(job, photo=tile.transpose(1, 2, 0), white=1.0, plan=plan)
        tiles = (self._restore(part.cut(corner), [part])[0] for corner in plan.corners)
        restored = np.empty_like(tile)
        for rows, values in blend(plan, tiles):
            restored[:, rows] = values
        return restored

    def _retreat(self, count: int, _channels: int, height: int, width: int) -> bool:
        """Ask for less memory than this batch took: half the tiles, or tiles of half the side.

        Returns:
            Whether there is less to ask for.
        """
        if count > self.batch or max(height, width) > self.tile:
            return True  # another thread has asked already
        if count > 1:
            self.batch = count // 2
            return True
        multiple_of = self.spec.multiple_of
        longest = min(max(height, width), self.tile)
        side = -(-max(longest // 2, SMALLEST_RETREAT) // multiple_of) * multiple_of
        if side >= longest:
            return False
        self.batch, self.tile, self.halo = 1, side, min(self.halo, side // 4)
        return True


def _finished(owners: list[Job], work: Future[Any] | None) -> Iterator[tuple[Job, Tile | None]]:
    """Tiles with whose they are, once they are restored."""
    tiles: Iterable[Tile | None] = work.result() if work else [None] * len(owners)
    return zip(owners, tiles, strict=True)
