"""Candidates: the photo deconvolved with what was found, in linear light and in encoded values.

Planes, for the network, all in [0, 1]:

    0-2   deconvolved in linear light, encoded again
    3-5   deconvolved in encoded values
    6, 7  confidence of either motion, the same everywhere
    8, 9  reblur residual of either: how much of the photo the motion does not explain

Light is never negative. Where a candidate's grey would have to be, its kernel is wrong there, and
the residual tells.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from jaxtyping import Float32

from blurdm_cli.motion.colour import deconvolve_colour, even
from blurdm_cli.motion.deconvolution import SATURATED, Channel, Deconvolver, weight_for
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
        threads: how many patches are deconvolved side by side; the answer is the same.
        origin: row and column of the part in the photo, where it is one; even where parts are
            joined.
    """
    planes = np.empty((CANDIDATE_PLANES, *photo.shape[:2]), np.float32)
    planes[:3] = planes[3:6] = photo.transpose(2, 0, 1)
    planes[8:] = 0
    kinds = ((motion.linear, True), (motion.encoded, False))
    with ThreadPoolExecutor(threads) as pool:
        work = []
        for found, linear in kinds:
            weight = found.smoothing * weight_for(motion.noise, linear=linear)
            patches = patches_of(found, photo.shape[:2], origin)
            restore = partial(_restore, photo=photo, weight=weight, linear=linear)
            work.append((patches, pool.map(restore, patches)))
    for place, (patches, restored) in enumerate(work):
        planes[6 + place] = kinds[place][0].confidence
        if patches:
            _blend(patches, restored, planes[3 * place : 3 * place + 3], planes[8 + place])
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


def _restore(
    patch: Patch, photo: Float32[np.ndarray, "h w 3"], weight: float, *, linear: bool
) -> _Restored:
    """Deconvolve a patch with what surrounds it: its grey, then its colour."""
    top = even(max(patch.rows.start - patch.margin, 0))
    left = even(max(patch.columns.start - patch.margin, 0))
    seen = np.ascontiguousarray(
        photo[top : patch.rows.stop + patch.margin, left : patch.columns.stop + patch.margin]
    )
    own = np.s_[
        patch.rows.start - top : patch.rows.stop - top,
        patch.columns.start - left : patch.columns.stop - left,
    ]
    light = to_linear(seen) if linear else seen
    blurred = light @ LUMA
    solve = Deconvolver(patch.kernel, blurred.shape[0], blurred.shape[1], weight)
    found = solve(blurred, clipped=seen.max(2) >= SATURATED)
    grey = as_encoded(found.image, linear=linear)
    image = deconvolve_colour(light, grey, patch.kernel, weight, linear=linear)[:, *own]
    image += grey[own]
    again, blurred = (as_encoded(each, linear=linear) for each in (found.reblurred, blurred))
    unexplained = np.abs(again - blurred) - np.minimum(found.image, 0)
    return _Restored(image, unexplained[own])


def _blend(
    patches: Sequence[Patch],
    restored: Iterable[_Restored],
    image: Float32[np.ndarray, "3 h w"],
    residual: Float32[np.ndarray, "h w"],
) -> None:
    """Blend patches into a picture, and what they do not explain into its residual."""
    image[:] = 0
    for patch, part in zip(patches, restored, strict=True):
        place = np.s_[patch.rows, patch.columns]
        image[:, *place] += patch.weights * part.image
        residual[place] += patch.weights * part.unexplained
    np.clip(image, 0, 1, out=image)
    residual[:] = cv2.blur(residual, (RESIDUAL_WINDOW, RESIDUAL_WINDOW))
    residual *= RESIDUAL_GAIN
    np.minimum(residual, 1, out=residual)
