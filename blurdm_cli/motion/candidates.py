"""Candidates: the photo deconvolved with what was found, in linear light and in encoded values.

Planes, for the network, all in [0, 1]:

    0-2   deconvolved in linear light, encoded again
    3-5   deconvolved in encoded values
    6, 7  confidence of either motion, the same everywhere
    8, 9  reblur residual of either: how much of the photo the motion does not explain
"""

from concurrent.futures import Future, ThreadPoolExecutor

import cv2
import numpy as np
from jaxtyping import Float32

from blurdm_cli.motion.deconvolution import Deconvolver, weight_for
from blurdm_cli.motion.estimation import Found, Motion
from blurdm_cli.motion.light import LUMA, to_encoded, to_linear
from blurdm_cli.spec import CANDIDATE_PLANES

RESIDUAL_GAIN = 10.0
RESIDUAL_WINDOW = 7
"""Side in pixels of the window that residuals are averaged over."""

Planes = Float32[np.ndarray, "10 h w"]


def make_candidates(
    photo: Float32[np.ndarray, "h w 3"], motion: Motion, threads: int = 1
) -> Planes:
    """Deconvolve a photo, or a part of one, with what was found in it.

    Args:
        photo: sRGB-encoded, in [0, 1].
        motion: of this photo.
        threads: how many channels are deconvolved side by side; the answer is the same.
    """
    planes = np.empty((CANDIDATE_PLANES, *photo.shape[:2]), np.float32)
    planes[:3] = planes[3:6] = photo.transpose(2, 0, 1)
    planes[8:] = 0
    kinds = ((motion.linear, True), (motion.encoded, False))
    with ThreadPoolExecutor(threads) as pool:
        begun: list[list[Future[Float32[np.ndarray, "h w"]]]] = []
        for place, (found, linear) in enumerate(kinds):
            planes[6 + place] = found.confidence
            solver = _solver(found, motion.noise, photo.shape[:2], linear=linear)
            begun.append([])
            for channel in planes[3 * place : 3 * place + 3]:
                if solver:
                    begun[-1].append(pool.submit(_deconvolve, channel, solver, linear=linear))
        for place, (_, linear) in enumerate(kinds):
            if begun[place]:
                again = sum(
                    share * future.result()
                    for share, future in zip(LUMA, begun[place], strict=True)
                )
                planes[8 + place] = _residual(photo, again, linear=linear)
    return planes


def _solver(
    found: Found, noise: float, size: tuple[int, int], *, linear: bool
) -> Deconvolver | None:
    """What deconvolves channels of this size; None where no motion was found."""
    if found.kernel.size == 1:
        return None
    return Deconvolver(found.kernel, size[0], size[1], weight_for(noise, linear=linear))


def _deconvolve(
    channel: Float32[np.ndarray, "h w"], solver: Deconvolver, *, linear: bool
) -> Float32[np.ndarray, "h w"]:
    """Deconvolve an encoded channel in its place, and give what it looks like blurred again."""
    result = solver(to_linear(channel) if linear else channel)
    channel[:] = to_encoded(result.image) if linear else np.clip(result.image, 0, 1)
    return result.reblurred


def _residual(
    photo: Float32[np.ndarray, "h w 3"], again: Float32[np.ndarray, "h w"], *, linear: bool
) -> Float32[np.ndarray, "h w"]:
    """How far the luma that was blurred again is from the photo's, in the mean of a window."""
    if linear:
        again = to_encoded(again)
    difference = np.abs(again - photo @ LUMA)
    left = cv2.blur(difference, (RESIDUAL_WINDOW, RESIDUAL_WINDOW))
    return np.minimum(RESIDUAL_GAIN * left, 1)
