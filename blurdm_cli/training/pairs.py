"""Existing training pairs: blurred and sharp photos, and consecutive high-speed frames."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from blurdm_cli.errors import InputError, TrainingError
from blurdm_cli.physics.camera import linear_to_srgb, quantise, srgb_to_linear
from blurdm_cli.physics.exposure import average
from blurdm_cli.training.layouts import Pair, PairFiles, find_pairs, photos_of, read_rgb


@dataclass(frozen=True)
class Batch:
    """Blurred and sharp images: sRGB-encoded, in [0, 1]."""

    blurred: Float[Tensor, "n 3 h w"]
    sharp: Float[Tensor, "n 3 h w"]
    partial: Float[Tensor, "steps_and_one n 3 h w"] | None = None
    """I_0 … I_T without noise, if the blur is synthetic and they were requested."""
    motion: Float[Tensor, "n side side"] | None = None
    """Time that each crop spent at each displacement (`Trajectory.density`), up to `REACH`
    pixels; zeros if unknown. None if it is unknown for all crops."""
    candidates: Float[Tensor, "n planes h w"] | None = None
    """See `motion.candidates`; None if there are none."""

    @property
    def seen(self) -> Float[Tensor, "n planes h w"]:
        """Input of the networks: the blurred images, followed by their candidates, if any."""
        if self.candidates is None:
            return self.blurred
        return torch.cat([self.blurred, self.candidates], dim=1)

    def pick(self, which: slice | Int64[np.ndarray, "m"]) -> "Batch":
        """Select some of the crops, with all their data."""
        return Batch(
            self.blurred[which],
            self.sharp[which],
            None if self.partial is None else self.partial[:, which],
            None if self.motion is None else self.motion[which],
            None if self.candidates is None else self.candidates[which],
        )

    def to(self, device: torch.device) -> "Batch":
        """The same crops on a device."""
        moved = {
            field.name: value.to(device)
            for field in fields(self)
            if (value := getattr(self, field.name)) is not None
        }
        return replace(self, **moved)

    def split(self, size: int) -> "list[Batch]":
        """Split into batches of at most `size` crops."""
        return [self.pick(slice(first, first + size)) for first in range(0, len(self.sharp), size)]

    def tensors(self) -> list[Tensor]:
        """All tensors that are not None."""
        found = (self.blurred, self.sharp, self.partial, self.motion, self.candidates)
        return [tensor for tensor in found if tensor is not None]


REACH = 20
"""Largest displacement in `Batch.motion` to each side, in pixels."""


@dataclass(frozen=True)
class Order:
    """The crops that a training step requests.

    A source keeps no random state: what it draws depends only on the order, so a resumed
    run gets the same crops.
    """

    count: int
    side: int
    """Side of a crop, in pixels."""
    seed: int = 0
    first: int = 0
    """Number of crops that the run requested before."""
    partial_steps: int = 0
    """T, if the partial exposures I_0 … I_T are requested too."""
    reach: float = 1.0
    """Largest length of synthetic blur, as a share of the longest blur length."""
    only: tuple[int, ...] | None = None
    """Which of the `count` crops to make, by number; None for all. They are what they would be
    among all."""

    @property
    def numbers(self) -> Sequence[int]:
        """Numbers of the crops to make, from 0."""
        return range(self.count) if self.only is None else self.only

    def rng(self) -> np.random.Generator:
        """A random generator for this order only."""
        return np.random.default_rng([self.seed, self.first])


@runtime_checkable
class Source(Protocol):
    """A source of training crops."""

    def draw(self, order: Order) -> Batch:
        """Draw the requested crops."""
        ...


class PairCrops:
    """Crops of pairs of photos."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.pairs = list(pairs)

    def draw(self, order: Order) -> Batch:
        rng = order.rng()

        def choose() -> Callable[[], Float[Tensor, "2 3 h w"]]:
            pair = self.pairs[rng.integers(len(self.pairs))]
            square, turn = random_square(pair[0], rng, order.side), random_turn(rng)
            return lambda: turn(torch.stack([image[square] for image in pair])) / 255

        chosen = [choose() for _ in range(order.count)]
        crops = torch.stack([chosen[number]() for number in order.numbers])
        blurred, sharp = crops.unbind(dim=1)
        return Batch(blurred, sharp)


class FrameCrops:
    """Crops of averages of consecutive sharp frames; the middle frame is the sharp one.

    Half of the averages are taken in linear light, as a sensor does, and half of the
    encoded values, as much of GoPro's data was made. An average of one frame is that frame: it
    teaches the network to leave sharp photos unchanged.
    """

    def __init__(
        self, frames: UInt8[Tensor, "n 3 h w"], lengths: Sequence[int] = (1, 7, 9, 11, 13)
    ) -> None:
        if len(frames) < max(lengths):
            raise TrainingError(
                f"{len(frames)} frames are too few to average {max(lengths)} of them"
            )
        self.frames, self.lengths = frames, lengths

    def draw(self, order: Order) -> Batch:
        rng = order.rng()
        chosen = [self._choose(rng, order.side) for _ in range(order.count)]
        blurred, sharp = zip(*(chosen[number]() for number in order.numbers), strict=True)
        return Batch(quantise(torch.stack(blurred)), torch.stack(sharp))

    def _choose(
        self, rng: np.random.Generator, side: int
    ) -> Callable[[], tuple[Float[Tensor, "3 h w"], Float[Tensor, "3 h w"]]]:
        """Choose some frames and a square of them; what it returns averages them."""
        length = int(rng.choice(self.lengths))
        first = rng.integers(len(self.frames) - length + 1)
        frames = self.frames[first : first + length]
        square, turn = random_square(frames, rng, side), random_turn(rng)
        in_light = rng.random() < 0.5

        def make() -> tuple[Float[Tensor, "3 h w"], Float[Tensor, "3 h w"]]:
            crop = turn(frames[square]) / 255
            if in_light:
                return linear_to_srgb(average(srgb_to_linear(crop))), crop[length // 2]
            return average(crop), crop[length // 2]

        return make


class Mixture:
    """Crops of several sources, drawn at random by their shares and shuffled."""

    def __init__(self, sources: Sequence[tuple[float, Source]]) -> None:
        self.sources = [source for _, source in sources]
        shares = np.array([share for share, _ in sources])
        self.shares = shares / shares.sum()

    def draw(self, order: Order) -> Batch:
        if order.partial_steps:  # such a batch has only crops with partial exposures
            return self.sources[0].draw(order)
        rng = order.rng()
        counts = rng.multinomial(order.count, self.shares)
        chosen = rng.permutation(order.count)[list(order.numbers)]
        batches, first = [], 0
        for source, count in zip(self.sources, counts, strict=True):
            inside = chosen[(chosen >= first) & (chosen < first + count)]
            if len(inside):
                only = tuple(np.sort(inside - first).tolist())
                batches.append(source.draw(replace(order, count=int(count), only=only)))
            first += count
        drawn = Batch(
            torch.cat([batch.blurred for batch in batches]),
            torch.cat([batch.sharp for batch in batches]),
            motion=_known_motion(batches),
        )
        return drawn.pick(chosen.argsort().argsort())


def _known_motion(batches: Sequence[Batch]) -> Float[Tensor, "n side side"] | None:
    """The motion of all crops, with zeros for those whose motion is unknown."""
    known = [batch.motion for batch in batches if batch.motion is not None]
    if not known:
        return None
    unknown = known[0].new_zeros(known[0].shape[1:])
    return torch.cat(
        [unknown.expand(len(b.sharp), -1, -1) if b.motion is None else b.motion for b in batches]
    )


def read_pairs(path: Path) -> dict[str, Pair]:
    """Read pairs in any layout of `find_pairs`, by name.

    Raises:
        InputError: raised by `find_pairs`, or a photo cannot be read.
    """
    files = find_pairs(path)
    with ThreadPoolExecutor() as pool:
        read = pool.map(PairFiles.read, files)
        return {file.name: pair for file, pair in zip(files, read, strict=True)}


def centre_crops(
    folder: Path,
    side: int,
    candidates_of: Callable[[UInt8[Tensor, "3 h w"]], Float[Tensor, "planes h w"]] | None = None,
) -> Batch:
    """Read the centre crop of each pair in a folder, for validation.

    Args:
        folder: holds pairs.
        side: side of the crops, in pixels.
        candidates_of: computes the candidates of a whole blurred photo, if they are needed.

    Raises:
        InputError: raised by `read_pairs`, or a photo is smaller than the crop.
    """
    crops, candidates = [], []
    for name, pair in read_pairs(folder).items():
        height, width = pair[0].shape[1:]
        if min(height, width) < side:
            raise InputError(
                f"{name} in {folder} is smaller than {side} x {side} pixels",
                hint="Remove it, or leave out --val to evaluate on crops of --data",
            )
        top, left = (height - side) // 2, (width - side) // 2
        square = np.s_[..., top : top + side, left : left + side]
        crops.append(torch.stack(pair)[square] / 255)
        if candidates_of:
            candidates.append(candidates_of(pair[0])[square])
    blurred, sharp = torch.stack(crops).unbind(dim=1)
    return Batch(blurred, sharp, candidates=torch.stack(candidates) if candidates else None)


def read_frames(folder: Path, device: torch.device) -> UInt8[Tensor, "n 3 h w"]:
    """Read consecutive frames of one size, in the order of their names."""
    frames = list(read_photos(folder).values())
    if len({frame.shape for frame in frames}) > 1:
        raise InputError(f"The frames in {folder} differ in size")
    return torch.stack(frames).to(device)


def read_photos(folder: Path) -> dict[str, UInt8[Tensor, "3 h w"]]:
    """Read all photos of a folder as 8-bit RGB, by file name, in the order of their names.

    Raises:
        InputError: the folder holds no photo, or one that cannot be read.
    """
    paths = photos_of(folder)
    with ThreadPoolExecutor() as pool:
        return dict(zip(paths, pool.map(read_rgb, paths.values()), strict=True))


def random_square(
    images: UInt8[Tensor, "*n 3 h w"], rng: np.random.Generator, side: int
) -> tuple[Any, ...]:
    """Draw a square of images, as an index."""
    height, width = images.shape[-2:]
    if min(height, width) < side:
        raise TrainingError(f"A {width} x {height} photo is smaller than a crop of {side} pixels")
    top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
    return np.s_[..., top : top + side, left : left + side]


def random_turn(rng: np.random.Generator) -> Callable[[Tensor], Tensor]:
    """Draw a rotation of images by a multiple of 90 degrees, mirrored half of the time."""
    quarters, mirrored = int(rng.integers(4)), rng.random() < 0.5

    def turn(images: Tensor) -> Tensor:
        images = torch.rot90(images, quarters, dims=(-2, -1))
        return images.flip(-1) if mirrored else images

    return turn
