"""Candidates: the photo deconvolved with what was found, in linear light and in encoded values.

Planes, for the network, all in [0, 1]:

    0-2   deconvolved in linear light, encoded again
    3-5   deconvolved in encoded values
    6, 7  confidence of either motion, the same everywhere
    8, 9  reblur residual of either: how much of the photo the motion does not explain

Light is never negative. Where a candidate's grey would have to be, its kernel is wrong there, and
the residual tells.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32

from blurdm_cli.motion.colour import HalfChannels, colour_of, deconvolve_channels, even
from blurdm_cli.motion.deconvolution import (
    SATURATED,
    Channel,
    Deconvolved,
    Deconvolver,
    weight_for,
)
from blurdm_cli.motion.found import Found, Motion
from blurdm_cli.motion.kernel import Kernel
from blurdm_cli.motion.light import LUMA, as_encoded, to_linear
from blurdm_cli.spec import CANDIDATE_PLANES

RESIDUAL_GAIN = 10.0
RESIDUAL_WINDOW = 7
"""Side in pixels of the window that residuals are averaged over."""

PATCH_DRIFT = 0.4
"""Pixels that displacements may differ by within a patch, in the root mean square."""

PATCH_SIDES = (128, 512)
"""Sides of a patch in pixels, at least and at most."""

PATCH_MARGIN = 16
"""Pixels around a patch that are deconvolved with it, beside the kernel's reach."""

Planes = Float32[np.ndarray, "10 h w"]


def make_candidates(
    photo: Float32[np.ndarray, "h w 3"],
    motion: Motion,
    threads: int = 1,
    origin: tuple[int, int] = (0, 0),
) -> Planes:
    """Deconvolve a photo, or a part of one, with what was found in it.

    Args:
        photo: sRGB-encoded, in [0, 1].
        motion: of this photo.
        threads: how many steps run side by side; the answer is the same.
        origin: row and column of the part in the photo, where it is one; even where parts are
            joined.
    """
    planes = np.empty((CANDIDATE_PLANES, *photo.shape[:2]), np.float32)
    planes[:3] = planes[3:6] = photo.transpose(2, 0, 1)
    planes[8:] = 0
    work: list[list[_Work]] = []
    for place, (found, linear) in enumerate(((motion.linear, True), (motion.encoded, False))):
        planes[6 + place] = found.confidence
        weight = found.smoothing * weight_for(motion.noise, linear=linear)
        patches = patches_of(found, photo.shape[:2], origin)
        work.append([_Work(patch, photo, weight, linear) for patch in patches])
    with ThreadPoolExecutor(threads) as pool:
        restored = _in_steps(pool, [*work[0], *work[1]])
        for place, mine in enumerate(work):
            if mine:
                parts = [(each.patch, next(restored)) for each in mine]
                _blend(parts, planes[3 * place : 3 * place + 3], planes[8 + place])
    return planes


@dataclass(frozen=True, eq=False)
class Patch:
    """A part of a photo that has one kernel; neighbours fade into each other."""

    rows: slice
    columns: slice
    kernel: Kernel
    weights: Float32[np.ndarray, "h w"]
    """How much each pixel counts; over all patches the sum is 1."""

    @property
    def margin(self) -> int:
        """Pixels around it that are deconvolved with it."""
        return self.kernel.shape[0] // 2 + PATCH_MARGIN


def patches_of(found: Found, size: tuple[int, int], origin: tuple[int, int]) -> list[Patch]:
    """Cut a part of a photo so that displacements hardly differ within a patch.

    Args:
        found: the motion; without one there are no patches.
        size: height and width of the part in pixels.
        origin: row and column of the part in the photo.
    """
    if found.kernel.size == 1:
        return []
    if found.camera is None:
        whole = slice(0, size[0]), slice(0, size[1])
        return [Patch(*whole, found.kernel, np.ones(size, np.float32))]
    side = int(np.clip(PATCH_DRIFT / max(found.camera.unevenness, 1e-6), *PATCH_SIDES))
    down, right = (_fading(length, side) for length in size)
    return [
        Patch(
            rows,
            columns,
            found.camera.kernel_at(
                origin[0] + (rows.start + rows.stop) / 2,
                origin[1] + (columns.start + columns.stop) / 2,
            ),
            np.outer(row_weights, column_weights),
        )
        for rows, row_weights in down
        for columns, column_weights in right
    ]


def _fading(length: int, side: int) -> list[tuple[slice, Float32[np.ndarray, " n"]]]:
    """Parts of rows or columns of about a side, and weights that fade where they overlap."""
    edges = np.linspace(0, length, max(1, round(length / side)) + 1).round().astype(int)
    fade = max(1, min(side, int(np.diff(edges).min())) // 4)
    place = np.arange(length) + 0.5
    rising = [
        np.clip((place - edge + fade) / (2 * fade), 0, 1) if edge else np.ones(length)
        for edge in edges[:-1]
    ]
    rising.append(np.zeros(length))
    parts = []
    for first, last, weights in zip(edges[:-1], edges[1:], np.diff(rising, axis=0), strict=True):
        begin, end = max(int(first) - fade, 0), min(int(last) + fade, length)
        parts.append((slice(begin, end), -weights[begin:end].astype(np.float32)))
    return parts


@dataclass(frozen=True, eq=False)
class _Restored:
    """A patch, deconvolved."""

    image: Float32[np.ndarray, "3 h w"]
    """Encoded."""
    unexplained: Channel
    """How far the grey that was blurred again is from the photo's, and how far below zero."""


@dataclass(frozen=True, eq=False)
class _Work:
    """A patch that is deconvolved with what surrounds it, in steps that run beside each other.

    A step waits for steps that were begun before it.
    """

    patch: Patch
    photo: Float32[np.ndarray, "h w 3"]
    weight: float
    linear: bool

    @property
    def begins(self) -> tuple[int, int]:
        """First row and column that are deconvolved with it."""
        rows, columns, margin = self.patch.rows, self.patch.columns, self.patch.margin
        return even(max(rows.start - margin, 0)), even(max(columns.start - margin, 0))

    @property
    def seen(self) -> Float32[np.ndarray, "y x 3"]:
        """The patch with what surrounds it."""
        (top, left), patch = self.begins, self.patch
        bottom, right = patch.rows.stop + patch.margin, patch.columns.stop + patch.margin
        return self.photo[top:bottom, left:right]

    def light(self) -> Float32[np.ndarray, "y x 3"]:
        """The same, in the values that the motion was found in."""
        return to_linear(self.seen) if self.linear else np.ascontiguousarray(self.seen)

    def grey(self, light: Future[Float32[np.ndarray, "y x 3"]]) -> Deconvolved:
        """The grey, deconvolved."""
        blurred = light.result() @ LUMA
        solve = Deconvolver(self.patch.kernel, blurred.shape[0], blurred.shape[1], self.weight)
        red, green, blue = self.seen.transpose(2, 0, 1)
        brightest = np.maximum(np.maximum(red, green), blue)
        return solve(blurred, clipped=brightest >= SATURATED)

    def channels(self, light: Future[Float32[np.ndarray, "y x 3"]]) -> HalfChannels:
        """The channels at half the size, deconvolved."""
        return deconvolve_channels(light.result(), self.patch.kernel, self.weight)

    def join(
        self,
        light: Future[Float32[np.ndarray, "y x 3"]],
        grey: Future[Deconvolved],
        channels: Future[HalfChannels],
    ) -> _Restored:
        """Grey and colour together."""
        top, left = self.begins
        rows, columns = self.patch.rows, self.patch.columns
        own = np.s_[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        found = grey.result()
        shown, again, blurred = (
            as_encoded(each, linear=self.linear)
            for each in (found.image, found.reblurred, light.result() @ LUMA)
        )
        image = colour_of(channels.result(), shown, linear=self.linear)[:, *own]
        image += shown[own]
        unexplained = np.abs(again - blurred) - np.minimum(found.image, 0)
        return _Restored(image, unexplained[own])


def _in_steps(pool: ThreadPoolExecutor, work: Sequence[_Work]) -> Iterator[_Restored]:
    """Do all of one step before all of the next one, which then seldom waits."""
    lights = [pool.submit(each.light) for each in work]
    lit = list(zip(work, lights, strict=True))
    greys = [pool.submit(each.grey, light) for each, light in lit]
    channels = [pool.submit(each.channels, light) for each, light in lit]
    solved = zip(lit, greys, channels, strict=True)
    joined = [pool.submit(each.join, light, grey, three) for (each, light), grey, three in solved]
    return (each.result() for each in joined)


def _blend(
    restored: Sequence[tuple[Patch, _Restored]],
    image: Float32[np.ndarray, "3 h w"],
    residual: Float32[np.ndarray, "h w"],
) -> None:
    """Blend patches into a picture, and what they do not explain into its residual."""
    image[:] = 0
    for patch, part in restored:
        place = np.s_[patch.rows, patch.columns]
        image[:, *place] += patch.weights * part.image
        residual[place] += patch.weights * part.unexplained
    np.clip(image, 0, 1, out=image)
    residual[:] = cv2.blur(residual, (RESIDUAL_WINDOW, RESIDUAL_WINDOW))
    residual *= RESIDUAL_GAIN
    np.minimum(residual, 1, out=residual)
