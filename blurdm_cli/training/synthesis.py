"""Training pairs that are made: sharp photos, blurred as a camera would have blurred them.

    sharp photo ── crop where there is detail ── linear light ── highlights
      ── exposure along a random path, with a moving object now and then
      ── brightness, white balance ── noise ── sRGB ── JPEG now and then ── blurred

The second line costs most, so that each exposure is photographed several times.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, interpolate, pad

from blurdm_cli.errors import TrainingError
from blurdm_cli.physics.camera import (
    add_noise,
    jpeg,
    lift_highlights,
    linear_to_srgb,
    quantise,
    srgb_to_linear,
)
from blurdm_cli.physics.exposure import MovingObject, expose, random_mask
from blurdm_cli.physics.trajectory import random_trajectory
from blurdm_cli.training.layouts import Pair
from blurdm_cli.training.pairs import REACH, Batch, Order, random_turn

CELL = 32
"""Side, in pixels, of the squares whose sharpness is measured."""

MARGIN = 32
"""Pixels around a crop that the blur can move in from each side."""


ROUND = 64
"""Exposures that are kept to be photographed again."""

REUSE = 2
"""Times that each exposure is photographed, turned and developed anew each time."""


@dataclass(frozen=True)
class Synthesis:
    """What the blurred photos are like. Shares are of all crops, in [0, 1]."""

    max_length: float = 40.0
    """Longest blur in pixels; all lengths up to it are equally likely."""
    sharp_share: float = 0.15
    """Crops that move by less than a pixel."""
    object_share: float = 0.3
    """Crops with an object that moves on its own."""
    noise_share: float = 0.8
    jpeg_share: float = 0.3
    highlight_share: float = 0.15
    """Crops whose lamps and reflections get back the light that the photo clipped."""
    shrink_share: float = 0.5
    """Crops taken from a photo made smaller, by up to half."""


class PhotoCrops:
    """Crops of sharp photos, blurred anew each time."""

    def __init__(
        self,
        photos: Sequence[UInt8[Tensor, "3 h w"]],
        recipe: Synthesis,
        device: torch.device | str = "cpu",
    ) -> None:
        """Keep the photos on the device.

        Raises:
            TrainingError: no photo has anything sharp in it.
        """
        self.photos = [photo.to(device) for photo in photos]
        self.recipe = recipe
        cells = [_detail(photo) for photo in self.photos]
        threshold = np.quantile(np.concatenate([cell.ravel() for cell in cells]), 0.75)
        if threshold == 0:
            raise TrainingError("The photos have no detail to learn from")
        # a cell with half of the threshold's detail is drawn a quarter as often
        weights = [np.minimum(cell / threshold, 1) ** 2 + 0.01 for cell in cells]
        self._shapes = [weight.shape for weight in weights]
        self._cumulated = np.cumsum(np.concatenate([weight.ravel() for weight in weights]))
        self._first = np.cumsum([0] + [weight.size for weight in weights])
        self._round: tuple[object, ...] = ()
        self._exposures: dict[int, Exposure] = {}

    def draw(self, order: Order) -> Batch:
        numbers = range(order.first, order.first + order.count)
        exposures = [self._exposure(order, number) for number in numbers]
        return self._photograph(exposures, order)

    def _exposure(self, order: Order, number: int) -> "Exposure":
        """What training's n-th crop is photographed from.

        A round of `ROUND` exposures is gone through `REUSE` times before the next.
        """
        which, place = divmod(number, ROUND * REUSE)
        kind = (order.side, max(order.partial_steps, 1), order.reach)
        if (order.seed, which, kind) != self._round:
            self._round = (order.seed, which, kind)
            self._exposures.clear()
        if place % ROUND not in self._exposures:
            rng = np.random.default_rng([order.seed, which, place % ROUND])
            self._exposures[place % ROUND] = self._expose(rng, *kind)
        return self._exposures[place % ROUND]

    def _scene(self, rng: np.random.Generator, side: int) -> Float[Tensor, "3 {side} {side}"]:
        """Cut a square with detail out of a photo, sRGB-encoded."""
        cell = int(np.searchsorted(self._cumulated, rng.random() * self._cumulated[-1]))
        index = int(np.searchsorted(self._first, cell, side="right")) - 1
        row, column = divmod(cell - int(self._first[index]), self._shapes[index][1])
        photo = self.photos[index]
        height, width = photo.shape[1:]
        extent = side
        if rng.random() < self.recipe.shrink_share:
            extent = min(int(side * rng.uniform(1, 2)), height, width)
        extent = min(extent, height, width)
        centre = np.array([row, column]) * CELL + rng.integers(CELL, size=2)
        top = int(np.clip(centre[0] - extent // 2, 0, height - extent))
        left = int(np.clip(centre[1] - extent // 2, 0, width - extent))
        scene = photo[:, top : top + extent, left : left + extent] / 255
        if extent != side:
            scene = interpolate(
                scene[None], size=(side, side), mode="bilinear", antialias=True
            ).squeeze(0)
        return scene

    def _expose(self, rng: np.random.Generator, side: int, steps: int, reach: float) -> "Exposure":
        """Blur one scene; a piece of another one is the object that moves before it."""
        extent = side + 2 * MARGIN
        scene = self._scene(rng, extent)
        blur = partial(_blur, steps=steps, reach=reach)
        return blur(scene, lambda: self._scene(rng, extent), self.recipe, rng)

    def _photograph(self, exposures: Sequence["Exposure"], order: Order) -> Batch:
        """Turn the exposures, and develop them."""
        rng = order.rng()
        turns = [random_turn(rng) for _ in exposures]
        turned = [turn(exposure.light) for turn, exposure in zip(turns, exposures, strict=True)]
        motion = [turn(exposure.motion) for turn, exposure in zip(turns, exposures, strict=True)]
        light = torch.stack(turned, dim=1)
        batch = _develop(light, self.recipe, rng, keep_partial=order.partial_steps > 0)
        return replace(batch, motion=torch.stack(motion).to(light))


@dataclass(frozen=True, eq=False)
class Exposure:
    """A scene seen by a moving camera."""

    light: Float[Tensor, "steps_and_one 3 h w"]
    """I_0 … I_T, linear."""
    motion: Float[Tensor, "side side"]
    """See `Batch.motion`; of scene and object, each in its share of the picture."""


def synthesise(
    photo: UInt8[Tensor, "3 photo_h photo_w"],
    other: UInt8[Tensor, "3 other_h other_w"],
    recipe: Synthesis,
    rng: np.random.Generator,
) -> Pair:
    """Blur a whole photo; a piece of another one may move before it.

    Returns:
        The blurred and the sharp photo, without the `MARGIN` on each side that blur
        moves in from, and one row or column less where that is odd.

    Raises:
        TrainingError: the photo is no larger than its margins.
    """
    height, width = (extent - extent % 2 for extent in photo.shape[1:])
    if min(height, width) <= 2 * MARGIN:
        raise TrainingError(f"A photo of {width} x {height} pixels is too small to blur")
    scene = photo[:, :height, :width] / 255

    def thing() -> Tensor:
        return interpolate(
            other[None] / 255, size=(height, width), mode="bilinear", antialias=True
        )[0]

    exposure = _blur(scene, thing, recipe, rng)
    batch = _develop(exposure.light[:, None], recipe, rng)
    blurred, sharp = ((image[0] * 255).round().byte() for image in (batch.blurred, batch.sharp))
    return blurred, sharp


def _light(
    scene: Float[Tensor, "3 h w"], recipe: Synthesis, rng: np.random.Generator
) -> Float[Tensor, "3 h w"]:
    """Turn a scene into light, now and then with bright lamps."""
    linear = srgb_to_linear(scene)
    if rng.random() < recipe.highlight_share:
        linear = lift_highlights(linear, rng.uniform(0.6, 0.9), rng.uniform(2, 12))
    return linear


def _length(recipe: Synthesis, rng: np.random.Generator, reach: float) -> float:
    """Draw how far the image moves, in pixels."""
    if rng.random() < recipe.sharp_share:
        return 0.0 if rng.random() < 0.5 else rng.random()
    return 1 + max(recipe.max_length * reach - 1, 0) * rng.random()


def _blur(
    scene: Float[Tensor, "3 h w"],
    thing: Callable[[], Float[Tensor, "3 h w"]],
    recipe: Synthesis,
    rng: np.random.Generator,
    steps: int = 1,
    reach: float = 1.0,
) -> Exposure:
    """Blur a scene, all but its margin."""
    linear = _light(scene, recipe, rng)
    size = (linear.shape[1] - 2 * MARGIN, linear.shape[2] - 2 * MARGIN)
    radius = max(size) / 2
    path = random_trajectory(rng, _length(recipe, rng, reach), radius)
    moving = None
    if rng.random() < recipe.object_share:
        mask = random_mask(rng, *linear.shape[1:]).to(linear)
        own = random_trajectory(rng, _length(recipe, rng, reach), radius)
        moving = MovingObject(_light(thing(), recipe, rng), mask, own)
        if rng.random() < 0.4:  # a tripod
            path = path.scaled(0.0)
    motion = torch.from_numpy(path.density(REACH))
    if moving:
        share = float(moving.mask[0, MARGIN:-MARGIN, MARGIN:-MARGIN].mean())
        motion = motion * (1 - share) + share * torch.from_numpy(moving.path.density(REACH))
    return Exposure(expose(linear, path, size, thing=moving, steps=steps), motion)


def _develop(
    exposures: Float[Tensor, "steps_and_one n 3 h w"],
    recipe: Synthesis,
    rng: np.random.Generator,
    *,
    keep_partial: bool = False,
) -> Batch:
    """Choose brightness and white balance, clip, add noise, encode, compress."""
    count = exposures.shape[1]
    gain = np.exp(rng.normal(-0.1, 0.25, (count, 1)) + rng.normal(0, 0.06, (count, 3)))
    linear = exposures * _to(gain[:, :, None, None], exposures)
    noisy = rng.random(count) < recipe.noise_share
    shot = _to(noisy * 10 ** rng.uniform(-4.5, -2.8, count), linear)
    read = _to(noisy * 10 ** rng.uniform(-3.7, -2.3, count), linear)
    generator = torch.Generator(linear.device).manual_seed(int(rng.integers(2**62)))
    light = add_noise(linear[-1].clamp(0, 1), shot, read, generator)
    blurred = quantise(linear_to_srgb(light))
    compressed = np.flatnonzero(rng.random(count) < recipe.jpeg_share)
    if len(compressed):
        quality = _to(rng.uniform(60, 98, len(compressed)), linear)
        subsample = bool(rng.random() < 0.6)
        blurred[compressed] = jpeg(blurred[compressed], quality, subsample=subsample)
    if keep_partial:
        encoded = linear_to_srgb(linear)
        return Batch(blurred, encoded[0], encoded)
    return Batch(blurred, linear_to_srgb(linear[0]))


def _detail(photo: UInt8[Tensor, "3 h w"]) -> np.ndarray:
    """Mean absolute Laplacian of each whole cell of a photo, in steps of 8 bits."""
    gray = photo.float().mean(dim=0)[None, None]
    kernel = gray.new_tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
    edges = conv2d(pad(gray, (1, 1, 1, 1), mode="replicate"), kernel).abs()
    return avg_pool2d(edges, CELL)[0, 0].cpu().numpy()


def _to(values: np.ndarray, like: Tensor) -> Tensor:
    return torch.from_numpy(values).to(like)
