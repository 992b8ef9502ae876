"""Synthetic training pairs: sharp photos, blurred as a camera would have blurred them.

    sharp photo ── linear light ── highlights
      ── exposure along a random path, sometimes with a moving object
      ── brightness, white balance ── noise ── sRGB ── sometimes JPEG ── blurred

The last line can be repeated with the same exposure; the result differs each time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from blurdm_cli.errors import TrainingError
from blurdm_cli.physics.camera import (
    add_noise,
    jpeg,
    lift_highlights,
    linear_to_srgb,
    quantise,
    srgb_to_linear,
)
from blurdm_cli.physics.exposure import MovingObjects, Outline, expose, masks, random_outline
from blurdm_cli.physics.trajectory import Trajectory, random_trajectory
from blurdm_cli.training.layouts import Pair
from blurdm_cli.training.pairs import REACH, Batch

MARGIN = 32
"""Pixels around a crop, on each side, from which blur can move in."""


@dataclass(frozen=True)
class Synthesis:
    """Parameters of the blurred photos. Shares are of all crops, in [0, 1]."""

    max_length: float = 40.0
    """Longest blur in pixels; all lengths up to it are equally likely."""
    sharp_share: float = 0.15
    """Crops that move by less than a pixel."""
    object_share: float = 0.3
    """Crops with an object that moves on its own."""
    noise_share: float = 0.8
    shot_noise: tuple[float, float] = (-4.5, -2.8)
    """Decimal logarithm of the variance per unit of light, from and to."""
    read_noise: tuple[float, float] = (-3.7, -2.3)
    """Decimal logarithm of the standard deviation in the dark."""
    jpeg_share: float = 0.3
    highlight_share: float = 0.15
    """Crops whose lamps and reflections get back the light that the photo clipped."""
    shrink_share: float = 0.5
    """Crops taken from a photo made smaller, by up to half."""
    frames_share: float = 0.2
    """Crops that are averages of encoded values and not of light, at few instants: public data
    sets are made like this from the frames of a high-speed camera."""


@dataclass(frozen=True, eq=False)
class Exposure:
    """A scene seen by a moving camera."""

    light: Float[Tensor, "steps_and_one 3 h w"]
    """I_0 … I_T, linear."""
    motion: Float[Tensor, "side side"]
    """See `Batch.motion`; scene and object are weighed by their shares of the picture."""


@dataclass(frozen=True, eq=False)
class Moving:
    """A scene, or an object in front of it, and its motion."""

    image: Float[Tensor, "3 h w"]
    """sRGB-encoded."""
    path: Trajectory
    lamps: tuple[float, float] = (0.5, 1.0)
    """Threshold and largest gain of its highlights; see `lift_highlights`."""


@dataclass(frozen=True, eq=False)
class Shot:
    """Scene, moving object and frames of one exposure."""

    scene: Moving
    thing: Moving | None
    """The object that moves in front of the scene, if any."""
    outline: Outline
    """Outline of the object."""
    frames: int | None
    """Number of encoded frames to average; None to sum light."""


def random_shot(
    rng: np.random.Generator,
    recipe: Synthesis,
    image: Callable[[], Float[Tensor, "3 h w"]],
    reach: float = 1.0,
) -> Shot:
    """Draw scene, moving object and frames of one exposure.

    Args:
        rng: source of randomness.
        recipe: parameters of the blurred photos.
        image: called for the scene, and again for an object that moves in front of it.
        reach: largest blur length, as a share of the longest.
    """
    frames = int(rng.integers(7, 14)) if rng.random() < recipe.frames_share else None

    def moving() -> Moving:
        seen = image()
        path = random_trajectory(rng, _length(recipe, rng, reach), _radius(seen))
        if frames is None and rng.random() < recipe.highlight_share:
            return Moving(seen, path, (rng.uniform(0.6, 0.9), rng.uniform(2, 12)))
        return Moving(seen, path)

    scene, thing = moving(), moving() if rng.random() < recipe.object_share else None
    if thing and rng.random() < 0.4:  # a tripod
        scene = replace(scene, path=scene.path.scaled(0.0))
    return Shot(scene, thing, random_outline(rng), frames)


def synthesise(
    photo: UInt8[Tensor, "3 photo_h photo_w"],
    other: UInt8[Tensor, "3 other_h other_w"],
    recipe: Synthesis,
    rng: np.random.Generator,
) -> Pair:
    """Blur a whole photo; a piece of another one may move in front of it.

    Returns:
        The blurred and the sharp photo, without the `MARGIN` on each side from which blur
        moves in, and with one row or column less where the number is odd.

    Raises:
        TrainingError: the photo is no larger than its margins.
    """
    height, width = (extent - extent % 2 for extent in photo.shape[1:])
    if min(height, width) <= 2 * MARGIN:
        raise TrainingError(f"A photo of {width} x {height} pixels is too small to blur")
    size = (height, width)
    images = iter(
        [
            photo[:, :height, :width] / 255,
            interpolate(other[None] / 255, size=size, mode="bilinear", antialias=True)[0],
        ]
    )
    [exposure] = blur([random_shot(rng, recipe, lambda: next(images))])
    batch = develop(exposure.light[:, None], recipe, rng)
    blurred, sharp = ((image[0] * 255).round().byte() for image in (batch.blurred, batch.sharp))
    return blurred, sharp


def _length(recipe: Synthesis, rng: np.random.Generator, reach: float) -> float:
    """Draw how far the image moves, in pixels."""
    if rng.random() < recipe.sharp_share:
        return 0.0 if rng.random() < 0.5 else rng.random()
    return 1 + max(recipe.max_length * reach - 1, 0) * rng.random()


def _radius(image: Float[Tensor, "3 h w"]) -> float:
    """Half of the longer side of what a picture shows of an image, in pixels."""
    return max(image.shape[1:]) / 2 - MARGIN


def blur(shots: Sequence[Shot], steps: int = 1) -> list[Exposure]:
    """Blur scenes and cut off their margins; first those without an object, then the others."""
    made: dict[int, Exposure] = {}
    for with_thing in (False, True):
        alike = [n for n, shot in enumerate(shots) if (shot.thing is not None) is with_thing]
        if alike:
            made |= zip(alike, _blur_alike([shots[n] for n in alike], steps), strict=True)
    return [made[n] for n in range(len(shots))]


def _blur_alike(shots: Sequence[Shot], steps: int) -> list[Exposure]:
    """Blur scenes that either all have an object in front or all have none."""
    device = shots[0].scene.image.device
    encoded = torch.tensor([shot.frames is not None for shot in shots], device=device)
    encoded = encoded[:, None, None, None]
    light = _light([shot.scene for shot in shots], encoded)
    motion = _density([shot.scene for shot in shots]).to(light)
    moving = [shot.thing for shot in shots if shot.thing]
    things = None
    if moving:
        mask = masks([shot.outline for shot in shots], light)
        things = MovingObjects(_light(moving, encoded), mask, [thing.path for thing in moving])
        share = mask[:, :, MARGIN:-MARGIN, MARGIN:-MARGIN].mean(dim=(2, 3))[..., None]
        motion = motion + share * (_density(moving).to(light) - motion)
    exposures = expose(
        light,
        [shot.scene.path for shot in shots],
        (light.shape[2] - 2 * MARGIN, light.shape[3] - 2 * MARGIN),
        things=things,
        steps=steps,
        frames=[shot.frames for shot in shots],
    )
    exposures = torch.where(encoded, srgb_to_linear(exposures), exposures)
    return [Exposure(exposures[:, n], motion[n]) for n in range(len(shots))]


def _light(moving: Sequence[Moving], encoded: Bool[Tensor, "n 1 1 1"]) -> Float[Tensor, "n 3 h w"]:
    """Convert images to light, with lifted highlights; those in `encoded` are not converted."""
    images = torch.stack([each.image for each in moving])
    lamps = torch.tensor([each.lamps for each in moving]).to(images)[..., None, None, None]
    light = lift_highlights(srgb_to_linear(images), lamps[:, 0], lamps[:, 1])
    return torch.where(encoded, images, light)


def _density(moving: Sequence[Moving]) -> Float[Tensor, "n side side"]:
    """Density of the displacements of each path; see `Batch.motion`."""
    return torch.from_numpy(np.stack([each.path.density(REACH) for each in moving]))


def develop(
    exposures: Float[Tensor, "steps_and_one n 3 h w"],
    recipe: Synthesis,
    rng: np.random.Generator,
    *,
    keep_partial: bool = False,
    among: tuple[int, Sequence[int]] | None = None,
) -> Batch:
    """Choose brightness and white balance, clip, add noise, encode, compress.

    Args:
        exposures: light of each image; the last one is blurred.
        recipe: parameters of the blurred photos.
        rng: source of randomness.
        keep_partial: encode all exposures, not only the first and the last.
        among: a number of images, and which of them these are: each becomes what it would be if
            all were developed. None if these are all.
    """
    count, numbers = among or (exposures.shape[1], range(exposures.shape[1]))
    these = list(numbers)
    gain = np.exp(rng.normal(-0.1, 0.25, (count, 1)) + rng.normal(0, 0.06, (count, 3)))
    linear = exposures * _to(gain[these][:, :, None, None], exposures)
    noisy = rng.random(count) < recipe.noise_share
    shot = _to((noisy * 10 ** rng.uniform(*recipe.shot_noise, count))[these], linear)
    read = _to((noisy * 10 ** rng.uniform(*recipe.read_noise, count))[these], linear)
    generator = torch.Generator(linear.device).manual_seed(int(rng.integers(2**62)))
    noise = torch.randn(count, *linear.shape[2:], generator=generator, device=linear.device)
    light = add_noise(linear[-1].clamp(0, 1), shot, read, noise[these])
    blurred = quantise(linear_to_srgb(light))
    compressed = rng.random(count) < recipe.jpeg_share
    if compressed.any():
        quality = np.zeros(count)
        quality[compressed] = rng.uniform(60, 98, compressed.sum())
        subsample = bool(rng.random() < 0.6)
        packed = np.flatnonzero(compressed[these])
        if len(packed):
            kept = _to(quality[these][packed], linear)
            blurred[packed] = jpeg(blurred[packed], kept, subsample=subsample)
    if keep_partial:
        encoded = linear_to_srgb(linear)
        return Batch(blurred, encoded[0], encoded)
    return Batch(blurred, linear_to_srgb(linear[0]))


def _to(values: np.ndarray, like: Tensor) -> Tensor:
    return torch.from_numpy(values).to(like)
