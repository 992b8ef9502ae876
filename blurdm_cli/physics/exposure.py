"""Formation of blur: the sum of light while the shutter is open.

    scene ──camera path──┐
    object ──own path────┴─ what the sensor sees at each instant ── sum ── I_0 … I_T

All images are in linear light. The exposure is centred on the sharp image: I_0 is the
instant in its middle, and I_t gathers the light of its middle t/T. I_T is the whole blurred
image, and the light between I_{t-1} and I_t is the blur residual of step t.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

from blurdm_cli.physics.trajectory import Trajectory, instants

SAMPLE_SPACING = 1.25
"""Largest motion of the image between two instants that are summed, in pixels."""

CHUNK = {"cpu": 8, "cuda": 512}
"""Instants that are computed together: few enough for a CPU's cache, many for a GPU."""


@dataclass(frozen=True)
class MovingObjects:
    """An object with soft edges in front of each scene, which moves on its own."""

    light: Float[Tensor, "n 3 h w"]
    """The objects in linear light, as large as the scenes."""
    mask: Float[Tensor, "n 1 h w"]
    """Opacity of the objects at each pixel, in [0, 1]."""
    paths: Sequence[Trajectory]


def expose(
    scenes_linear: Float[Tensor, "n 3 h w"],
    paths: Sequence[Trajectory],
    size: tuple[int, int],
    *,
    things: MovingObjects | None = None,
    steps: int = 1,
    frames: Sequence[int | None] | None = None,
) -> Float[Tensor, "steps_and_one n 3 rows columns"]:
    """Take pictures of scenes with a moving camera, and keep each partial exposure.

    Args:
        scenes_linear: the sharp scenes, with a margin around what the pictures show; its
            edge is repeated beyond it.
        paths: paths of the camera, one per scene.
        size: height and width of the pictures, in pixels, taken from the scenes' middle.
        things: an object in front of each scene, if any.
        steps: T, the number of parts of an exposure.
        frames: number of instants to sum for each scene, like frames of a high-speed camera
            whose middle frame is the sharp one; None for as many as leave no visible gaps. If
            the exposures have several parts, a number that can be divided among them.

    Returns:
        I_0 … I_T in linear light; the first is sharp, the last is blurred.

    Raises:
        ValueError: the scenes' margins are not whole pixels (a still camera would
            resample them), or negative.
    """
    margins = [extent - side for extent, side in zip(scenes_linear.shape[2:], size, strict=True)]
    if min(margins) < 0 or any(margin % 2 for margin in margins):
        raise ValueError(f"pictures of {size} pixels from scenes of {scenes_linear.shape}")
    moving = [scenes_linear]
    whose = [paths]
    if things:
        # light is multiplied by opacity before it moves, so that soft edges stay correct
        moving.append(torch.cat([things.light * things.mask, things.mask], dim=1))
        whose.append(things.paths)
    radius = max(size) / 2
    lengths = [max(path.length(radius) for path in both) for both in zip(*whose, strict=True)]
    counts = [
        _count(length, steps, wanted)
        for length, wanted in zip(lengths, frames or [None] * len(lengths), strict=True)
    ]
    # the longest exposures come first, so that those still open are always a slice
    order = sorted(range(len(counts)), key=lambda which: -counts[which])
    layers = [
        _Layer(images[order], [own[which] for which in order])
        for images, own in zip(moving, whose, strict=True)
    ]
    blurred = _add_up(layers, [counts[which] for which in order], size, steps)
    back = sorted(range(len(order)), key=order.__getitem__)
    sharp = _composite([_middle(images, size) for images in moving])
    return torch.cat([sharp[None], blurred[:, back]])


def average(frames_linear: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "3 h w"]:
    """Blur as a slower shutter would: the plain mean of consecutive sharp frames.

    Source: Nah et al., "Deep Multi-scale CNN for Dynamic Scene Deblurring", CVPR 2017.
    """
    return frames_linear.mean(dim=0)


@dataclass(frozen=True, eq=False)
class Outline:
    """The outline of an object near the middle of a picture: a blob with soft edges."""

    lumps: Float[np.ndarray, "5 5"]
    place: Float[np.ndarray, "4"]
    """Offset of its centre down and to the right, its radius (the picture spans -1 to 1), and
    the sharpness of its edges."""


def random_outline(rng: np.random.Generator) -> Outline:
    """Draw an outline."""
    lumps = rng.standard_normal((5, 5))
    return Outline(lumps, rng.uniform([-0.4, -0.4, 0.25, 8], [0.4, 0.4, 0.7, 40]))


def masks(outlines: Sequence[Outline], like: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 1 h w"]:
    """Opacity of objects with these outlines at each pixel of as many images."""
    height, width = like.shape[2:]
    lumps = torch.from_numpy(np.stack([outline.lumps for outline in outlines])[:, None]).to(like)
    field = interpolate(lumps, size=(height, width), mode="bicubic")
    places = torch.from_numpy(np.stack([outline.place for outline in outlines])).to(like)
    down, right, radius, sharpness = places.T[..., None, None, None]
    rows = torch.linspace(-1, 1, height, device=like.device)[:, None] - down
    columns = torch.linspace(-1, 1, width, device=like.device) - right
    return torch.sigmoid(sharpness * (radius - torch.hypot(rows, columns) + 0.15 * field))


@dataclass(frozen=True, eq=False)
class _Layer:
    """Images that move before the sensor: the scenes, or the objects in front of them."""

    images: Float[Tensor, "n c h w"]
    paths: Sequence[Trajectory]


def _count(length: float, steps: int, frames: int | None) -> int:
    """Number of instants to sum: the number of frames, if it is given and there is one part.

    Otherwise a multiple of twice the steps, so that each part has as many before the middle as
    after it: no more than there are frames, but at least one on each side of each part.
    """
    if frames is not None and steps == 1:
        return frames
    each = 2 * steps
    wanted = math.ceil(length / SAMPLE_SPACING / each) if frames is None else frames // each
    return each * max(wanted, 1)


def _add_up(
    layers: Sequence[_Layer], counts: Sequence[int], size: tuple[int, int], steps: int
) -> Float[Tensor, "steps n 3 rows columns"]:
    """Gather the light of the middle t/T of each exposure, for each t.

    Args:
        layers: scenes, and the objects in front of them.
        counts: instants of each exposure, the largest number first.
        size: size of the pictures.
        steps: T.
    """
    first = layers[0].images
    moves = [_moves(layer, counts).to(first.device) for layer in layers]
    shares = _shares(counts, steps).to(first.device)
    blurred = first.new_zeros(len(counts), 3, steps, *size)
    begin = 0
    while begin < counts[0]:
        active = sum(count > begin for count in counts)
        end = begin + max(CHUNK.get(first.device.type, 8) // active, 1)
        seen = _composite(
            [
                _look(layer.images[:active], move[:active, :, begin:end], size)
                for layer, move in zip(layers, moves, strict=True)
            ]
        )
        light = shares[:active, None, :, begin:end] @ seen.flatten(3)
        blurred[:active] += light.unflatten(3, size)
        begin = end
    return blurred.permute(2, 0, 1, 3, 4)


def _moves(layer: _Layer, counts: Sequence[int]) -> Float[Tensor, "n 2 instants 3"]:
    """Point that a picture's centre sees at each instant, and the steps to its neighbours.

    In units of `grid_sample`; zeros after the end of an exposure.
    """
    height, width = layer.images.shape[2:]
    moves = np.zeros((len(counts), 2, counts[0], 3), np.float32)
    for move, path, count in zip(moves, layer.paths, counts, strict=True):
        move[:, :count] = path.affine(instants(count)).swapaxes(0, 1)
    return torch.from_numpy(moves * np.array([2 / width, 2 / height], np.float32)[:, None, None])


def _shares(counts: Sequence[int], steps: int) -> Float[Tensor, "n steps instants"]:
    """1/m for the m instants in the middle t/T of each exposure, for each t; 0 for the others."""
    shares = np.zeros((len(counts), steps, counts[0]), np.float32)
    parts = np.arange(1, steps + 1)[:, None] / steps
    for share, count in zip(shares, counts, strict=True):
        share[:, :count] = (np.abs(instants(count)) < parts / 2) / (parts * count)
    return torch.from_numpy(shares)


def _composite(
    seen: Sequence[Float[Tensor, "n _ *instants rows columns"]],
) -> Float[Tensor, "n 3 *instants rows columns"]:
    """Composite scenes, and objects in front of them if there are any, as the sensor does."""
    scenes, *things = seen
    for thing in things:
        scenes = thing[:, :3] + (1 - thing[:, 3:]) * scenes
    return scenes


def _middle(
    images: Float[Tensor, "n c h w"], size: tuple[int, int]
) -> Float[Tensor, "n c {size[0]} {size[1]}"]:
    """Crop pictures of this size at the instant in the exposure's middle."""
    top, left = ((extent - side) // 2 for extent, side in zip(images.shape[2:], size, strict=True))
    return images[:, :, top : top + size[0], left : left + size[1]]


def _look(
    images: Float[Tensor, "n c h w"],
    moves: Float[Tensor, "n 2 instants 3"],
    size: tuple[int, int],
) -> Float[Tensor, "n c instants {size[0]} {size[1]}"]:
    """Take pictures of this size of the images at each instant, with nothing in front."""
    down, right = (torch.arange(side, device=images.device) - (side - 1) / 2 for side in size)
    across, along, shift = moves[..., None, None].unbind(dim=3)
    grid = across * right + (along * down[:, None] + shift)  # n, 2, instants, rows, columns
    seen = grid_sample(
        images,
        grid.flatten(2, 3).permute(0, 2, 3, 1),
        padding_mode="border",
        align_corners=False,
    )
    return seen.unflatten(2, (-1, size[0]))
