"""How blur forms: light added up while the shutter is open.

    scene ──camera path──┐
    object ──own path────┴─ what the sensor sees at each instant ── added up ── I_0 … I_T

All in linear light. The exposure is centred on the sharp image: I_0 is the instant in
its middle, and I_t gathers the light of the middle t/T of it, so that I_T is the whole
blurred image, and the light between I_{t-1} and I_t is the blur residual of step t.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

from blurdm_cli.physics.trajectory import Trajectory

SAMPLE_SPACING = 1.25
"""Pixels that the image moves, at most, between two instants that are added up."""

CHUNK = 8
"""Instants that are looked at together: few enough for a processor's cache."""


@dataclass(frozen=True)
class MovingObject:
    """A thing with soft edges that moves on its own in front of the scene."""

    light: Float[Tensor, "3 h w"]
    """What it looks like, in linear light; as large as the scene."""
    mask: Float[Tensor, "1 h w"]
    """How opaque it is at each pixel, in [0, 1]."""
    path: Trajectory


def expose(
    scene_linear: Float[Tensor, "3 h w"],
    path: Trajectory,
    size: tuple[int, int],
    *,
    thing: MovingObject | None = None,
    steps: int = 1,
) -> Float[Tensor, "steps_and_one 3 rows columns"]:
    """Take a picture of a scene with a moving camera, and keep each partial exposure.

    Args:
        scene_linear: the sharp scene, with a margin around what the picture shows; what
            lies beyond the margin is taken from its edge.
        path: the camera's.
        size: height and width of the picture, in pixels, taken from the scene's middle.
        thing: an object in front of the scene, if any.
        steps: T, how many parts the exposure is cut into.

    Returns:
        I_0 … I_T in linear light; the first is sharp, the last is blurred.

    Raises:
        ValueError: the scene's margins are not whole pixels (a still camera would
            resample it), or negative.
    """
    margins = [extent - side for extent, side in zip(scene_linear.shape[1:], size, strict=True)]
    if min(margins) < 0 or any(margin % 2 for margin in margins):
        raise ValueError(f"a picture of {size} pixels from a scene of {scene_linear.shape}")
    radius = max(size) / 2
    length = max(path.length(radius), thing.path.length(radius) if thing else 0.0)
    shell = max(1, math.ceil(length / SAMPLE_SPACING / (2 * steps)))
    count = 2 * steps * shell
    times = (np.arange(count) + 0.5) / count - 0.5
    blurred = scene_linear.new_zeros(steps, 3, *size)
    for first in range(0, count, CHUNK):
        chunk = times[first : first + CHUNK]
        seen = _composite(scene_linear, path, thing, chunk, size)
        # row t holds 1/n for the n instants in the middle t/T of the exposure, 0 for the others
        inside = np.abs(chunk) < np.arange(1, steps + 1)[:, None] / (2 * steps)
        share = inside / (np.arange(1, steps + 1)[:, None] * 2 * shell)
        weights = torch.from_numpy(share).to(seen)
        blurred += (weights @ seen.flatten(1)).view_as(blurred)
    return torch.cat([_composite(scene_linear, None, thing, None, size), blurred])


def average(frames_linear: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "3 h w"]:
    """Blur as a slower shutter would: the plain mean of consecutive sharp frames.

    Source: Nah et al., "Deep Multi-scale CNN for Dynamic Scene Deblurring", CVPR 2017.
    """
    return frames_linear.mean(dim=0)


def random_mask(
    rng: np.random.Generator, height: int, width: int
) -> Float[Tensor, "1 {height} {width}"]:
    """Draw the outline of an object near the middle: a blob with soft edges."""
    lumps = torch.from_numpy(rng.standard_normal((1, 1, 5, 5)).astype(np.float32))
    field = interpolate(lumps, size=(height, width), mode="bicubic")[0]
    down = torch.linspace(-1, 1, height)[:, None] - rng.uniform(-0.4, 0.4)
    right = torch.linspace(-1, 1, width)[None] - rng.uniform(-0.4, 0.4)
    radius = rng.uniform(0.25, 0.7)
    sharpness = rng.uniform(8, 40)
    return torch.sigmoid(sharpness * (radius - torch.hypot(down, right) + 0.15 * field))


def _composite(
    scene: Float[Tensor, "3 h w"],
    path: Trajectory | None,
    thing: MovingObject | None,
    times: np.ndarray | None,
    size: tuple[int, int],
) -> Float[Tensor, "n 3 {size[0]} {size[1]}"]:
    """What the sensor sees at each time; no time is the instant in the exposure's middle."""
    seen = _look(scene, path, times, size)
    if thing is None:
        return seen
    # light is multiplied by opacity before it moves, so that soft edges stay true
    layer = _look(torch.cat([thing.light * thing.mask, thing.mask]), thing.path, times, size)
    return layer[:, :3] + (1 - layer[:, 3:]) * seen


def _look(
    layer: Float[Tensor, "c h w"],
    path: Trajectory | None,
    times: np.ndarray | None,
    size: tuple[int, int],
) -> Float[Tensor, "n c {size[0]} {size[1]}"]:
    """What a picture of this size shows of a layer at each time, where nothing hides it."""
    height, width = layer.shape[1:]
    if path is None or times is None:
        top, left = (height - size[0]) // 2, (width - size[1]) // 2
        return layer[None, :, top : top + size[0], left : left + size[1]]
    matrices = path.affine(times) * np.array([2 / width, 2 / height])[:, None]
    across = torch.from_numpy(matrices).to(layer.device, torch.float32)[..., None, None]
    down, right = (torch.arange(side, device=layer.device) - (side - 1) / 2 for side in size)
    grid = across[:, :, 0] * right + (across[:, :, 1] * down[:, None] + across[:, :, 2])
    return grid_sample(
        layer.expand(len(times), -1, -1, -1),
        grid.movedim(1, -1),
        padding_mode="border",
        align_corners=False,
    )
