"""Training crops with candidates, made with the estimator's own errors.

    sharp photo, page or frames ── blurred, in light or in encoded values ── noise, JPEG, H.264
      ── the motion is looked for ── deconvolved ── the sharp crop is moved to where they stand

It takes some seconds to look for a motion. What was found then serves for several other scenes that
are blurred along the same path: the estimator's errors are of the path more than of the scene.
Where the path is taken as known, nothing is looked for.
"""

from dataclasses import replace

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from blurdm_cli.motion.candidates import make_candidates
from blurdm_cli.motion.confidence import with_confidence
from blurdm_cli.motion.deconvolution import noise_of
from blurdm_cli.motion.estimation import LEAST_SPREAD, find_motion
from blurdm_cli.motion.found import NONE, Found, Motion
from blurdm_cli.motion.kernel import centred, normalised, padded, pruned, spread, trimmed
from blurdm_cli.motion.light import LUMA
from blurdm_cli.physics.trajectory import Trajectory
from blurdm_cli.training.alignment import gain_of, moved_to_candidate
from blurdm_cli.training.candidate_store import KERNEL_SIDE, Prepared
from blurdm_cli.training.h264 import through_h264
from blurdm_cli.training.pairs import REACH
from blurdm_cli.training.scenes import Exposed, Scenes
from blurdm_cli.training.synthesis import develop

PRUNED = 0.03
"""Share of a known kernel's peak below which it is cut off."""

GROUP = 4
"""Consecutive crops; the first one's path and found motion serve for all, if it has both."""


class CandidateMaker:
    """Makes crops: which ones follows from their numbers."""

    def __init__(self, scenes: Scenes, seed: int = 0) -> None:
        """Set up.

        Args:
            scenes: what the crops show.
            seed: seed of all crops.
        """
        self.scenes, self.recipe, self.seed = scenes, scenes.recipe, seed

    def make_group(self, number: int) -> list[Prepared]:
        """Make `GROUP` crops."""
        first = number * GROUP
        crop, exposed, motion = self._make(first)
        if exposed is None or motion.best.kernel.size == 1:
            return [crop, *(self._make(first + n)[0] for n in range(1, GROUP))]
        again = (self._make(first + n, exposed, motion)[0] for n in range(1, GROUP))
        return [crop, *again]

    def _make(
        self, number: int, exposed: Exposed | None = None, motion: Motion | None = None
    ) -> tuple[Prepared, Exposed | None, Motion]:
        """Make a crop: a new one, or one that was exposed as another was, with its found motion."""
        rng = np.random.default_rng([self.seed, number])
        known = exposed is None and rng.random() < self.recipe.known_share
        light, exposed = self.scenes.draw(rng, self.scenes.exposure(rng) if known else exposed)
        developed = develop(light[:, None], self.recipe.develop, rng)
        blurred, sharp = (_photo(image[0]) for image in (developed.blurred, developed.sharp))
        if rng.random() < self.recipe.h264_share:
            blurred = through_h264(blurred, int(rng.integers(18, 33)))
        photo = blurred.astype(np.float32) / 255
        if known and exposed:
            motion = self._nearly(rng, exposed)
        if motion is None:
            motion = find_motion(photo)
        else:
            motion = replace(motion, noise=noise_of(photo @ LUMA))
        path = exposed.path if exposed and not exposed.diameter else None
        return self._prepare(rng, photo, motion, sharp, path), exposed, motion

    def _prepare(
        self,
        rng: np.random.Generator,
        photo: Float32[np.ndarray, "h w 3"],
        motion: Motion,
        sharp: UInt8[np.ndarray, "h w 3"],
        path: Trajectory | None,
    ) -> Prepared:
        """Make the candidates."""
        blurred = np.rint(photo * 255).astype(np.uint8)
        wrong = rng.random() < self.recipe.wrong_share
        if wrong:
            motion = self._mistaken(rng, motion)
        motion = with_confidence(photo, motion)
        planes = make_candidates(photo, motion)
        if not wrong:
            sharp = moved_to_candidate(sharp, blurred, planes)
        density = np.zeros((2 * REACH + 1,) * 2) if path is None else path.density(REACH)
        kernels = [padded(found.kernel, KERNEL_SIDE) for found in (motion.linear, motion.encoded)]
        images = np.concatenate([planes[:6], planes[8:]])
        return Prepared(
            np.ascontiguousarray(blurred.transpose(2, 0, 1)),
            np.rint(images * 255).astype(np.uint8),
            np.ascontiguousarray(sharp.transpose(2, 0, 1)),
            np.array(kernels, np.float16),
            np.ascontiguousarray(planes[6:8, 0, 0]),
            density.astype(np.float16),
            np.array(gain_of(sharp, blurred, planes), np.float32),
        )

    def _nearly(self, rng: np.random.Generator, exposed: Exposed) -> Motion:
        """The true kernel, roughened; more in the values that the blur was not made in."""
        if exposed.softness:
            return Motion()
        kernel = exposed.kernel(KERNEL_SIDE // 2)

        def found(*, right: bool) -> Found:
            softness = rng.uniform(0.2, 0.6 if right else 1.0)
            rough = cv2.GaussianBlur(kernel.astype(np.float32), (0, 0), softness)
            rough = rough * np.exp(rng.uniform(0, 0.4) * rng.standard_normal(rough.shape))
            near = trimmed(pruned(centred(normalised(rough.astype(np.float32))), PRUNED))
            return Found(near, 1.0, "known") if spread(near) >= LEAST_SPREAD else NONE

        return Motion(found(right=not exposed.encoded), found(right=exposed.encoded))

    def _mistaken(self, rng: np.random.Generator, motion: Motion) -> Motion:
        """A motion that was not, in linear light, in encoded values, or in both."""
        kernel = trimmed(self.scenes.path(rng, near=False).density(KERNEL_SIDE // 2))
        found = Found(kernel, float(rng.uniform(0.7, 1)), "mistaken")
        which = rng.integers(3)
        return Motion(
            motion.linear if which == 1 else found, motion.encoded if which == 0 else found
        )


def _photo(image: Float[Tensor, "3 h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """8-bit pixels of an sRGB-encoded image."""
    values = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    return np.ascontiguousarray(values.permute(1, 2, 0).numpy())
