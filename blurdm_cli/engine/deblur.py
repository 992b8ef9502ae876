"""The engine: a photo's pixels in, restored pixels out, through any runtime."""

import os
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeVar

import numpy as np

from blurdm_cli.choices import Guard, MotionMode
from blurdm_cli.engine import guard as gd
from blurdm_cli.engine.blending import blend
from blurdm_cli.engine.candidates import Candidates
from blurdm_cli.engine.expert import choose
from blurdm_cli.engine.opening import open_runtime
from blurdm_cli.engine.option_checks import (
    check_expert,
    check_motion,
    check_seed,
    check_size,
    check_strength,
)
from blurdm_cli.engine.photo_prior import PhotoPrior, check_scope, of_photo
from blurdm_cli.engine.pixels import Pixels, quantise, white_of
from blurdm_cli.engine.progress import Progress, counted, in_parts, silent
from blurdm_cli.engine.restored import Restored
from blurdm_cli.engine.runtime import Runtime
from blurdm_cli.engine.tiles import Job, Tile, TileRestorer, whole_tile
from blurdm_cli.machine import available_cores
from blurdm_cli.motion.estimation import find_motion
from blurdm_cli.motion.found import Motion
from blurdm_cli.prefetch import Prefetcher
from blurdm_cli.spec import ModelSpec
from blurdm_cli.zoo import DEFAULT

Own = TypeVar("Own", bound="Deblurrer")


class Deblurrer:
    """Deblurs photos of any size with one model on one device.

    Photos are restored tile by tile. If memory runs out, batches and then tiles become
    smaller, also for later photos. Threads may share a Deblurrer; processes need one each.
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
        motion: MotionMode = "auto",
        expert: "Deblurrer | None" = None,
        in_fp32: Callable[[], Runtime] | None = None,
    ) -> None:
        """Set up.

        Args:
            runtime: runs the model.
            spec: the model's specification.
            tile: largest tile, as the side of a square in pixels; rounded down to the model's
                `multiple_of`. None: the model's default, or the graph's fixed size.
            halo: width in pixels of the margin at a tile's inner edges that is discarded, at
                most a third of the tile. None: the model's default, at most a quarter of the tile.
            batch: tiles per batch.
            seed: seed for the noise that the diffusion starts from, the same for every tile.
            strength: mix of the photo (0) and the restored photo (1).
            guard: what to do if a result looks wrong.
            tta: average over the eight rotations and flips of each tile: eight times the work.
            motion: where to estimate the motion; "auto" only does so if the model can use it.
            expert: another open model, whose picture of a photo is taken where it restores more;
                see `expert.choose`. Not for sequences.
            in_fp32: opens the same model in fp32, for tiles that failed in another precision;
                None if the runtime already computes in fp32.

        Raises:
            UsageError: an option is out of range, or the model cannot use the motion or an expert.
            RuntimeMissing: the model needs one prior per photo, which the runtime lacks.
        """
        check_scope(runtime, spec)
        check_motion(motion, spec)
        if expert:
            check_expert(motion, spec)
        check_seed(seed)
        check_strength(strength)
        size = runtime.fixed_size
        if size:
            check_size(size, tile, batch, tta=tta)
            shorter, side = sorted(size)
        else:
            shorter = side = whole_tile(spec.tile if tile is None else tile, spec.multiple_of)
        halo = min(spec.halo, shorter // 4) if halo is None else halo
        noise = np.random.default_rng(seed).standard_normal(spec.prior_channels)
        self._process = os.getpid()
        self.runtime = runtime
        self.spec = spec
        self.strength = strength
        self.guard = guard
        self.motion = motion
        self.expert = expert
        self.tiles = TileRestorer(
            runtime,
            noise.astype(np.float32),
            spec.multiple_of,
            side,
            halo,
            batch,
            size=size,
            guard=guard,
            tta=tta,
            smallest=spec.smallest,
            padding=spec.padding,
            in_fp32=in_fp32,
        )
        """Cuts photos into tiles and restores the tiles."""

    @classmethod
    def open(
        cls: type[Own],
        model: str = DEFAULT,
        *,
        runtime: str = "auto",
        device: str = "auto",
        precision: str = "auto",
        expert: str | None = None,
        **options: Any,
    ) -> Own:
        """Open a model by its name or the path of its folder.

        Args:
            model: name or path.
            runtime: "auto", or one of `engine.opening.RUNTIMES`.
            device: "auto", "cpu", "cuda", "cuda:1".
            precision: "auto", or one of `engine.opening.PRECISIONS`.
            expert: name or path of another model, opened in its own fastest runtime on the device.
            **options: keyword arguments of the constructor.

        Raises:
            ModelError: a model cannot be found or read.
            RuntimeMissing: this machine lacks the runtime, device or precision.
            UsageError: an option is out of range.
        """
        opened, spec = open_runtime(model, runtime, device, precision)

        def in_fp32() -> Runtime:
            return open_runtime(model, opened.name, opened.device, "fp32")[0]

        spare = None if opened.precision == "fp32" else in_fp32
        if expert:
            guard = options.get("guard", "on")
            options["expert"] = Deblurrer.open(expert, device=device, guard=guard)
        return cls(opened, spec, in_fp32=spare, **options)

    def adjusted(self: Own, strength: float, motion: MotionMode) -> Own:
        """The same open model with another strength and motion mode.

        Raises:
            UsageError: the strength is not between 0 and 1, or the model cannot use the motion, or
                the expert needs it.
        """
        check_motion(motion, self.spec)
        if self.expert:
            check_expert(motion, self.spec)
        check_strength(strength)
        other = copy(self)
        other.strength, other.motion = strength, motion
        return other

    def __call__(self, pixels: Pixels, progress: Progress = silent) -> Pixels:
        """Deblur one photo, as `restore` does, and return only its pixels."""
        return self.restore(pixels, progress).pixels

    def find_motion(self, pixels: Pixels) -> Motion | None:
        """Estimate a photo's motion; None if the model does not use it, or it is off.

        Raises:
            ValueError: the pixels do not match `Pixels`.
        """
        white_of(pixels)
        if not self.spec.candidates or self.motion == "off":
            return None
        return find_motion(pixels, available_cores())

    def restore(
        self,
        pixels: Pixels,
        progress: Progress = silent,
        motion: Motion | None = None,
    ) -> Restored:
        """Deblur one photo.

        Args:
            pixels: the photo; not modified.
            progress: called after each tile; never at strength 0.
            motion: the photo's motion, if known; otherwise it is estimated.

        Returns:
            The restored photo, of the same size and type, and notes.

        Raises:
            ValueError: the pixels do not match `Pixels`.
            RuntimeError: the process was forked after the model was opened.
            OutOfMemory: not even a tile of 128 pixels fits on the device.
            ComputeError: the runtime failed, its output is not a number, or its output looks
                wrong and the guard is strict.
        """
        if motion is None and self.strength:
            motion = self.find_motion(pixels)
        if not self.expert or not self.strength:
            return self._restore_alone(pixels, motion, progress)
        expert = self.expert.adjusted(self.strength, self.expert.motion)
        counts = [len(each.tiles.plan(*pixels.shape[:2]).corners) for each in (self, expert)]
        own, others = in_parts(progress, counts)
        restored = self._restore_alone(pixels, motion, own)
        other = expert.restore(pixels, others, None if expert.motion == "off" else motion)
        return choose(pixels, restored, other, self.strength)

    def _restore_alone(self, pixels: Pixels, motion: Motion | None, progress: Progress) -> Restored:
        """Deblur one photo without the expert."""
        job = self._job(pixels, motion)
        job = replace(job, alone=len(job.corners) == 1)
        [restored] = self._restore_jobs([job], progress)
        assert restored
        return replace(restored, motion=motion)

    def restore_each(self, photos: Iterable[np.ndarray | None]) -> Iterator[Restored | None]:
        """Deblur a sequence of photos, such as the frames of a video.

        Each one's motion is estimated if `motion` is "on".
        The tiles of the next photo are computed while one photo is assembled. Tiles of the same
        size share batches, even if they come from different photos.

        Args:
            photos: `Pixels` of any size and type; not modified. They are read in another thread,
                some tiles ahead. For None, None is yielded.

        Yields:
            The restored photos in order, each with the notes on its own tiles.

        Raises:
            ValueError, RuntimeError, OutOfMemory, ComputeError: as `restore`.
        """
        return self._restore_jobs(map(self._frame_job, photos))

    def _restore_jobs(
        self, jobs: Iterable[Job], progress: Progress = silent
    ) -> Iterator[Restored | None]:
        if os.getpid() != self._process:  # a fork has none of the runtime's threads: it would hang
            raise RuntimeError("A Deblurrer does not survive a fork: open one in each process")
        with Prefetcher(self.tiles.restore_each(jobs), max(2, self.tiles.batch)) as tiles:
            for job, own in groupby(tiles, key=itemgetter(0)):
                yield self._assemble(job, counted(job, own, progress))

    def _frame_job(self, photo: Pixels | None) -> Job:
        """The job that restores a photo of a sequence."""
        if photo is None or not self.strength or self.motion != "on":
            return self._job(photo)
        return self._job(photo, self.find_motion(photo))

    def _job(self, photo: Pixels | None, motion: Motion | None = None) -> Job:
        """The job that restores a photo."""
        if photo is None:
            return Job(None)
        white = white_of(photo)
        if self.strength == 0:
            return Job(photo, white)
        prior = None
        if of_photo(self.spec):
            prior = PhotoPrior(photo, white, self.tiles.noise, self.spec.multiple_of)
        candidates = Candidates(photo, motion or Motion()) if self.spec.candidates else None
        return Job(photo, white, self.tiles.plan(*photo.shape[:2]), prior, candidates)

    def _assemble(self, job: Job, tiles: Iterator[Tile]) -> Restored | None:
        """Blend a photo's restored tiles, and check the result."""
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
        if self.guard != "off":
            reach = job.candidates.motion.reach if job.candidates else 1
            restored, mended = gd.mended(pixels, restored, white, reach)
            for note in mended:
                job.flag(note, strict=self.guard == "strict")
        return Restored(restored, bool(job.notes), tuple(job.notes))
