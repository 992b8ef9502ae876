"""Candidates: the photo deconvolved with what was found, in linear light and in encoded values.

Planes, for the network, all in [0, 1]:

    0-2   deconvolved in linear light, encoded again
    3-5   deconvolved in encoded values
    6, 7  confidence of either motion, the same everywhere
    8, 9  reblur residual of either: how much of the photo the motion does not explain

Light is never negative. Where a candidate's luma would have to be, its kernel is wrong there, and
the residual tells. Single channels are below zero at strong colours, too.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32

from blurdm_cli.motion.deconvolution import Deconvolved, Deconvolver, weight_for
from blurdm_cli.motion.found import Found, Motion
from blurdm_cli.motion.kernel import Kernel
from blurdm_cli.motion.light import LUMA, to_encoded, to_linear
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
        threads: how many channels are deconvolved side by side; the answer is the same.
        origin: row and column of the part in the photo, where it is one.
    """
    planes = np.empty((CANDIDATE_PLANES, *photo.shape[:2]), np.float32)
    planes[:3] = planes[3:6] = photo.transpose(2, 0, 1)
    planes[8:] = 0
    kinds = ((motion.linear, True), (motion.encoded, False))
    with ThreadPoolExecutor(threads) as pool:
        work = []
        for place, (found, linear) in enumerate(kinds):
            planes[6 + place] = found.confidence
            weight = found.smoothing * weight_for(motion.noise, linear=linear)
            patches = patches_of(found, photo.shape[:2], origin)
            work.append([_begin(pool, each, photo, weight, linear=linear) for each in patches])
        for place, (_, linear) in enumerate(kinds):
            if work[place]:
                candidate = planes[3 * place : 3 * place + 3]
                again = _join(work[place], candidate)
                planes[8 + place] = _residual(photo, candidate, again, linear=linear)
                np.maximum(candidate, 0, out=candidate)
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


Begun = tuple[Patch, list[Future[Deconvolved]]]


def _begin(
    pool: ThreadPoolExecutor,
    patch: Patch,
    photo: Float32[np.ndarray, "h w 3"],
    weight: float,
    *,
    linear: bool,
) -> Begun:
    """Have the channels of a patch deconvolved, with what surrounds it."""
    top = max(patch.rows.start - patch.margin, 0)
    left = max(patch.columns.start - patch.margin, 0)
    seen = photo[top : patch.rows.stop + patch.margin, left : patch.columns.stop + patch.margin]
    inner = np.s_[
        patch.rows.start - top : patch.rows.stop - top,
        patch.columns.start - left : patch.columns.stop - left,
    ]
    solver = Deconvolver(patch.kernel, seen.shape[0], seen.shape[1], weight)
    channels = (np.ascontiguousarray(seen[..., channel]) for channel in range(3))
    return patch, [
        pool.submit(_deconvolve, channel, solver, inner, linear=linear) for channel in channels
    ]


def _deconvolve(
    channel: Float32[np.ndarray, "h w"],
    solver: Deconvolver,
    inner: tuple[slice, slice],
    *,
    linear: bool,
) -> Deconvolved:
    """Deconvolve an encoded channel: the inner part, and what it looks like blurred.

    The part is encoded, and at most 1; what is below zero stays as it is.
    """
    result = solver(to_linear(channel) if linear else channel)
    image = result.image[inner]
    image = to_encoded(image) + np.minimum(image, 0) if linear else np.minimum(image, 1)
    return Deconvolved(image, result.reblurred[inner])


def _join(begun: Sequence[Begun], into: Float32[np.ndarray, "3 h w"]) -> Float32[np.ndarray, "h w"]:
    """Blend patches into a picture, and their luma that was blurred again into another one."""
    into[:] = 0
    again = np.zeros(into.shape[1:], np.float32)
    for patch, futures in begun:
        part = np.s_[patch.rows, patch.columns]
        for channel, share, future in zip(into, LUMA, futures, strict=True):
            result = future.result()
            channel[part] += patch.weights * result.image
            again[part] += (share * patch.weights) * result.reblurred
    return again


def _residual(
    photo: Float32[np.ndarray, "h w 3"],
    candidate: Float32[np.ndarray, "3 h w"],
    again: Float32[np.ndarray, "h w"],
    *,
    linear: bool,
) -> Float32[np.ndarray, "h w"]:
    """How far the luma that was blurred again is from the photo's, in the mean of a window.

    What is negative of the candidate's luma counts too.
    """
    if linear:
        again = to_encoded(again)
    unexplained = np.abs(again - photo @ LUMA)
    unexplained -= np.minimum(np.tensordot(LUMA, candidate, 1), 0)
    left = cv2.blur(unexplained, (RESIDUAL_WINDOW, RESIDUAL_WINDOW))
    return np.minimum(RESIDUAL_GAIN * left, 1)
