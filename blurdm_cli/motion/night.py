"""The motion of a night photo: small lights draw the camera's path.

A small light in dark surroundings becomes a picture of the kernel. The estimator does not find such
a kernel: the streaks are clipped, and edges are few. So where it finds nothing, or what is not
quite believed, streaks that are alike at distinct places are taken for the path:

    photo ── alike streaks ── their mean, each without the width of its light ── the kernel
      ├── not of one brightness as letters are, no bars as lamps are, and it makes lights smaller
      └── or, refined on the whole window, it explains the photo far better than no blur does
"""

from collections.abc import Sequence
from dataclasses import replace
from math import ceil, inf, sqrt

import cv2
import numpy as np
from jaxtyping import Float32

from blurdm_cli.motion.deconvolution import SATURATED
from blurdm_cli.motion.found import LIGHTS, RIPPLES, SHAKEN, Found, Motion
from blurdm_cli.motion.hypotheses import REFINEMENTS
from blurdm_cli.motion.kernel import (
    DELTA,
    Kernel,
    NewKernel,
    centred,
    normalised,
    odd,
    pruned,
    spread,
    trimmed,
)
from blurdm_cli.motion.latent import Grey
from blurdm_cli.motion.light import LUMA, to_linear
from blurdm_cli.motion.score import score, tried
from blurdm_cli.motion.steps import Refine
from blurdm_cli.motion.streaks import MARGIN, Streak, alike_streaks, find_streaks, placed
from blurdm_cli.motion.windows import VALUES, Photo, Views, in_unit_range

LOOKED_AT = 2_000_000
"""Pixels that streaks are looked for in; larger photos are made smaller."""

LONGEST = 164
"""Pixels of the longest path, at the photo's own scale; the estimator finds no longer ones."""

LEAST_VARIED = 0.2
"""Standard deviation of the logarithm of streaks' brightness, at least. Letters have up to 0.1."""

EVENNESS, PER_CURVATURE, MOST_EVEN = 0.7, 5.0, 0.87
"""Largest evenness of light in the deconvolved photo, as a share of the blurred one's: of bars, how
much more for curved streaks, and of all. Sharp photos have mostly more than 1; those that come near
the limit have bars that are alike."""

CONFIDENCES = 0.85, 0.1
"""Confidence of the linear and the encoded candidate: light adds up in linear light. Networks of
`confidence` never saw streaks, and reject candidates that ring around clipped lights."""

EXPLAINS = 0.2
"""How much a refined kernel has to lower the cost in encoded values, where streaks alone do not
show that they are lights. Lamps, windows and strokes of sharp photos reach 0.15."""

REFINED_CONFIDENCES = 0.45, 0.5
"""Confidence of the linear and the encoded candidate of a refined kernel."""

SOFTNESS = 0.38
"""Standard deviation of a light as a share of the width of its streak."""

ROUNDS = 30
"""Iterations of the deconvolution of a streak with its light."""


def motion_of_lights(photo: Photo, views: Views, noise: float) -> Motion:
    """Find the motion that streaks of light show, with a confidence of its own.

    Args:
        photo: sRGB-encoded.
        views: its windows.
        noise: of the photo, in encoded values.
    """
    none = Motion(noise=noise)
    step = ceil(sqrt(photo.shape[0] * photo.shape[1] / LOOKED_AT))
    streaks = alike_streaks(find_streaks(_light(photo, step), LONGEST // step))
    if not streaks:
        return none
    kernel, grey = mean_kernel(photo, streaks, step), views.grey("linear", 1)
    if spread(kernel) < SHAKEN:
        return none
    limit = min(EVENNESS + PER_CURVATURE * curvature(streaks), MOST_EVEN)
    if are_lights(streaks) and evenness(kernel, grey) < limit:
        found = [Found(kernel, score(grey, kernel), LIGHTS)] * 2
        return _believed(found, CONFIDENCES, noise)
    return _refined(kernel, views, noise)


def _refined(kernel: Kernel, views: Views, noise: float) -> Motion:
    """The motion of a kernel that is refined, if it explains the photo; none otherwise."""
    start = Found(kernel, inf, LIGHTS)
    found = [Refine(v, views, start, False, REFINEMENTS[v])() for v in VALUES]
    without = 1 + RIPPLES * views.ripples("encoded", 1).left_by(DELTA)
    if without - found[1].cost < EXPLAINS or found[1].spread < SHAKEN:
        return Motion(noise=noise)
    return _believed(found, REFINED_CONFIDENCES, noise)


def _believed(found: Sequence[Found], shares: Sequence[float], noise: float) -> Motion:
    """A motion with these confidences, in linear light and in encoded values."""
    linear, encoded = (
        replace(each, confidence=share) for each, share in zip(found, shares, strict=True)
    )
    return Motion(linear, encoded, noise)


def _light(photo: Photo, step: int) -> Float32[np.ndarray, "rows columns"]:
    """Luma in linear light, of a photo made smaller by a whole number."""
    height, width = (side // step for side in photo.shape[:2])
    if step > 1:
        whole = np.ascontiguousarray(photo[: height * step, : width * step])
        photo = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(to_linear(in_unit_range(photo)) @ LUMA)


def are_lights(streaks: Sequence[Streak]) -> bool:
    """Whether alike streaks can be lights: not of one brightness, and more alike than like bars."""
    varied = np.log([streak.brightness for streak in streaks]).std()
    return bool(varied >= LEAST_VARIED and curvature(streaks) >= 0)


def curvature(streaks: Sequence[Streak]) -> float:
    """How much more streaks are like the first one than like bars."""
    close = [streaks[0].look @ other.look for other in streaks[1:]]
    return float(np.mean(close) - np.mean([streak.bar for streak in streaks]))


def mean_kernel(photo: Photo, streaks: Sequence[Streak], step: int = 1) -> NewKernel:
    """The kernel that alike streaks of a photo show, at the photo's own scale.

    Args:
        photo: sRGB-encoded.
        streaks: the first is what the others are moved to.
        step: how many times smaller the copy was in which they were found.
    """
    paths = [_path(photo, streak, step) for streak in streaks]
    side = odd(max(max(path.shape) for path in paths) + 2 * MARGIN)
    paths = [placed(path, side) for path in paths]
    first, *others = (cv2.GaussianBlur(path, (0, 0), 1) for path in paths)
    total = paths[0]
    for path, soft in zip(paths[1:], others, strict=True):
        fit = cv2.matchTemplate(np.pad(first, MARGIN), soft, cv2.TM_CCORR)
        down, right = np.unravel_index(int(fit.argmax()), fit.shape)
        total = total + np.roll(path, (down - MARGIN, right - MARGIN), (0, 1))
    return trimmed(centred(pruned(normalised(total), 0.06, 0.05)))


def _path(photo: Photo, streak: Streak, step: int) -> Float32[np.ndarray, "rows columns"]:
    """A streak of a photo, deconvolved with its own light, of sum 1.

    Source: Richardson (1972) and Lucy (1974). A clipped pixel only says that the light was at least
    as strong.
    """
    height, width = (side * step for side in streak.mask.shape)
    top, left = streak.top * step, streak.left * step
    seen = in_unit_range(np.ascontiguousarray(photo[top : top + height, left : left + width]))
    mask = cv2.resize(streak.mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_AREA)
    light = np.maximum(to_linear(seen) @ LUMA - np.float32(streak.dark), 0) * mask
    light, clipped = (np.pad(image, 8) for image in (light, seen.max(2) >= SATURATED))
    softness = SOFTNESS * (streak.width * step - 0.8)
    path = light
    if softness > 0.3:
        path = np.full_like(light, light.max())
        for _ in range(ROUNDS):
            missing = light / (cv2.GaussianBlur(path, (0, 0), softness) + np.float32(1e-6))
            missing[clipped] = np.maximum(missing[clipped], 1)
            path *= cv2.GaussianBlur(missing, (0, 0), softness)
    return path / path.sum()


def evenness(kernel: Kernel, grey: Grey) -> float:
    """How evenly light is spread over a deconvolved image, as a share of how it was before.

    With the right kernel lights become small, and the share with it. A kernel of more than half the
    image's side cannot be told, and has the share infinity.

    Args:
        kernel: trimmed.
        grey: in linear light.
    """
    height, width = grey.shape
    if 2 * kernel.shape[0] > min(height, width):
        return inf
    edge = kernel.shape[0] // 2
    inner = np.s_[edge : height - edge, edge : width - edge]
    return _evenness(tried(grey, kernel).image[inner]) / _evenness(grey[inner])


def _evenness(light: Float32[np.ndarray, "rows columns"]) -> float:
    return float(np.abs(light).mean() / max(float(np.sqrt((light**2).mean())), 1e-9))
