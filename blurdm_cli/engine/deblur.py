"""The engine: a photo's pixels in, restored pixels out, through any runtime."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32

from blurdm_cli.engine import guard as gd
from blurdm_cli.engine.limits import check_options, whole_tile
from blurdm_cli.engine.photo_prior import PhotoPrior, check_scope, of_photo
from blurdm_cli.engine.pixels import Pixels, quantise, white_of
from blurdm_cli.engine.runtime import Runtime, open_runtime
from blurdm_cli.engine.tiling import Plan, blend, plan_tiles
from blurdm_cli.engine.turns import restore_turned
from blurdm_cli.errors import ComputeError, OutOfMemory
from blurdm_cli.spec import ModelSpec
from blurdm_cli.zoo import DEFAULT

Progress = Callable[[int, int], None]
"""Is told how many tiles are done, and of how many."""

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
        self._prior: PhotoPrior | None = None
        self.guard = guard
        self._in_fp32 = in_fp32
        self._spare: Runtime | None = None
        self._tta = tta
        self._notes: dict[str, None] = {}
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

    def __call__(self, pixels: Pixels, progress: Progress | None = None) -> Pixels:
        """Deblur one photo: `restore` without its notes."""
        return self.restore(pixels, progress).pixels

    def restore(self, pixels: Pixels, progress: Progress | None = None) -> Restored:
        """Deblur one photo.

        Args:
            pixels: the photo; it is not changed.
            progress: is told after each batch of tiles; never at strength 0.

        Returns:
            The restored photo, of the same size and type, and notes.

        Raises:
            ValueError: the pixels are not what `Pixels` says.
            OutOfMemory: not even a tile of 128 pixels fits on the device.
            ComputeError: the runtime failed, or its answer is not a number, or it cannot be
                right and the guard is strict.
        """
        return next(self.restore_together([pixels], progress))

    def restore_together(
        self, photos: Sequence[Pixels], progress: Progress | None = None
    ) -> Iterator[Restored]:
        """Deblur photos of one size and type, whose tiles share batches: frames of a video.

        Photos with a prior of their own are restored one by one.

        Args:
            photos: all of the same shape; they are not changed.
            progress: as for `restore`, for all of them.

        Yields:
            The restored photos in their order. What is noted of a batch stands with the photo
            that first needed it.

        Raises:
            ValueError, OutOfMemory, ComputeError: as `restore`.
        """
        white = white_of(photos[0])
        if len({(photo.shape, photo.dtype) for photo in photos}) > 1:
            raise ValueError("photos that share batches are of one size and type")
        if self.strength == 0:
            yield from (Restored(photo.copy()) for photo in photos)
            return
        plan = self._plan(*photos[0].shape[:2])
        for group in [[photo] for photo in photos] if of_photo(self.spec) else [photos]:
            if of_photo(self.spec):
                self._prior = PhotoPrior(group[0], white, self._noise, self.spec.multiple_of)
            tiles = self._restore_all(group, plan, white, progress)
            for photo in group:
                self._notes = {}
                yield self._assemble(photo, plan, islice(tiles, len(plan.corners)), white)

    def filling(self, height: int, width: int) -> int:
        """How many photos of this size together fill batches to the last tile."""
        tiles = len(self._plan(height, width).corners)
        return self.batch // math.gcd(tiles, self.batch)

    def _assemble(
        self,
        pixels: Pixels,
        plan: Plan,
        tiles: Iterator[Float32[np.ndarray, "3 h w"]],
        white: float,
    ) -> Restored:
        """Join a photo's restored tiles, and look at what came out."""
        restored = np.empty(pixels.shape, dtype=pixels.dtype)
        for rows, values in blend(plan, tiles):
            if self.strength < 1:
                values *= self.strength
                values += pixels[rows].transpose(2, 0, 1) * np.float32((1 - self.strength) / white)
            quantise(values, restored[rows], white)
        guarded = bool(self._notes)
        if self.guard != "off":
            drifted = gd.drift(pixels, restored, white)
            if np.abs(drifted).max() > gd.LARGEST_DRIFT:
                self._doubt("the light changed over whole regions; it is put back")
                restored, guarded = gd.without_drift(restored, drifted, white), True
        return Restored(restored, guarded, tuple(self._notes))

    def _doubt(self, note: str) -> None:
        """Note what looked wrong, or fail."""
        if self.guard == "strict":
            raise ComputeError(
                f"The result looks wrong: {note.split(';')[0]}",
                hint="--guard on mends what can be mended",
            )
        self._notes[note] = None

    def _plan(self, height: int, width: int) -> Plan:
        multiple_of = self.spec.multiple_of
        return plan_tiles(height, width, tile=self.tile, halo=self.halo, multiple_of=multiple_of)

    def _restore_all(
        self,
        photos: Sequence[Pixels],
        plan: Plan,
        white: float = 1.0,
        progress: Progress | None = None,
    ) -> Iterator[Float32[np.ndarray, "3 h w"]]:
        """Restore the tiles of photos, each in its plan's order, with less at a time if need be."""
        wanted = [(photo, corner) for photo in photos for corner in plan.corners]
        done = 0
        while done < len(wanted):
            batch = wanted[done : done + self.batch]
            cuts = [plan.cut(photo, [corner], white) for photo, corner in batch]
            blurred = cuts[0] if len(cuts) == 1 else np.concatenate(cuts)
            try:
                restored = self._restore(blurred)
            except OutOfMemory:
                if not self._retreat(*blurred.shape):
                    raise
                continue
            done += len(restored)
            if progress:
                progress(done, len(wanted))
            yield from restored

    def _restore(self, blurred: Float32[np.ndarray, "n 3 h w"]) -> Float32[np.ndarray, "n 3 h w"]:
        if max(blurred.shape[2:]) > self.tile:  # planned before memory ran short
            return np.stack([self._restore_in_parts(tile) for tile in blurred])
        restored = self._run(self.runtime, blurred)
        if self.guard == "off" and np.isfinite(restored).all():
            return restored
        for place, tile in enumerate(blurred):
            if gd.is_garbage(tile, restored[place]):
                restored[place] = self._again(tile)
        return restored

    def _run(
        self, runtime: Runtime, blurred: Float32[np.ndarray, "n 3 h w"]
    ) -> Float32[np.ndarray, "n 3 h w"]:
        if self._prior:
            runtime = self._prior.guide(runtime)
        noise = np.tile(self._noise, (len(blurred), 1))
        if self._tta:
            return restore_turned(runtime, blurred, noise)
        return runtime.restore(blurred, noise)

    def _again(self, tile: Float32[np.ndarray, "3 h w"]) -> Float32[np.ndarray, "3 h w"]:
        """Restore a tile in fp32, because the first answer was garbage."""
        precision = self.runtime.precision
        if self._in_fp32:
            self._spare = self._spare or self._in_fp32()
            self._doubt(f"the result looked wrong in {precision}; a part is redone in fp32")
            restored = self._run(self._spare, tile[None])[0]
            if not gd.is_garbage(tile, restored):
                return restored
        raise ComputeError(
            f"The model's answer for a tile is not a picture (computed in {precision})",
            hint="Check the model: blurdm models verify"
            if precision == "fp32"
            else "Try --precision fp32",
        )

    def _restore_in_parts(self, tile: Float32[np.ndarray, "3 h w"]) -> Float32[np.ndarray, "3 h w"]:
        plan = self._plan(*tile.shape[1:])
        restored = np.empty_like(tile)
        for rows, values in blend(plan, self._restore_all([tile.transpose(1, 2, 0)], plan)):
            restored[:, rows] = values
        return restored

    def _retreat(self, count: int, _channels: int, height: int, width: int) -> bool:
        """Ask for less memory than this batch took: half the tiles, or tiles of half the side.

        Returns:
            Whether there is less to ask for.
        """
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
