"""A runtime that applies a function, and photos for it."""

from collections.abc import Callable
from typing import Any

import numpy as np

from blurdm_cli.engine.runtime import Runtime
from blurdm_cli.errors import OutOfMemory
from blurdm_cli.spec import BackboneSpec, ModelSpec, PriorSpec


class FakeRuntime(Runtime):
    """Applies a function to tiles, remembers them, and runs out of memory when told to.

    `fails` is asked with the number of the call, from 1, and the pixels in the batch.
    """

    name, device, precision = "fake", "cpu", "bf16"

    def __init__(
        self,
        function: Callable[[np.ndarray], np.ndarray] = lambda tiles: tiles,
        fails: Callable[[int, int], bool] = lambda call, pixels: False,
    ) -> None:
        self.function = function
        self.fails = fails
        self.calls = 0
        self.tiles: list[np.ndarray] = []
        self.batches: list[int] = []
        self.noises: list[np.ndarray] = []

    def restore(self, blurred: np.ndarray, noise: np.ndarray) -> np.ndarray:
        self.calls += 1
        if self.fails(self.calls, blurred[:, 0].size):
            raise OutOfMemory(self.device, tile=max(blurred.shape[2:]))
        self.tiles += [tile.copy() for tile in blurred]
        self.batches.append(len(blurred))
        self.noises += list(noise)
        return self.function(blurred)


def spec(**facts: Any) -> ModelSpec:
    facts = {"multiple_of": 8, "tile": 128, "halo": 16} | facts
    return ModelSpec("fake", BackboneSpec("none"), PriorSpec(channels=5), **facts)


def photo(height: int, width: int, dtype: str = "uint8") -> np.ndarray:
    values = np.random.default_rng(0).random((height, width, 3), dtype=np.float32)
    if dtype == "float32":
        return values
    return (values * (np.iinfo(dtype).max + 0.999)).astype(dtype)


def box(tiles: np.ndarray) -> np.ndarray:
    """The mean of 9 x 9 neighbours, with black around: local, with a radius of 4."""
    height, width = tiles.shape[2:]
    around = np.pad(tiles, ((0, 0), (0, 0), (4, 4), (4, 4)))
    rows = sum(around[:, :, y : y + height] for y in range(9))
    return sum(rows[..., x : x + width] for x in range(9)) / np.float32(81)


def coarse(tiles: np.ndarray) -> np.ndarray:
    """Each square of 8 x 8 becomes its mean: local, but it matters where a tile starts."""
    n, channels, height, width = tiles.shape
    means = tiles.reshape(n, channels, height // 8, 8, width // 8, 8).mean(axis=(3, 5))
    return means.repeat(8, axis=2).repeat(8, axis=3)


def whole(function: Callable[[np.ndarray], np.ndarray], pixels: np.ndarray) -> np.ndarray:
    """What comes of a photo in one piece."""
    return function(pixels.transpose(2, 0, 1)[None])[0].transpose(1, 2, 0)


class FakeRuntimeWithoutMemory(FakeRuntime):
    def restore(self, blurred: np.ndarray, noise: np.ndarray) -> np.ndarray:
        return blurred


NINE_TILES = 512 + 2 * (512 - 2 * 16 - 8)
"""Side of a photo that takes nine whole tiles of 512 pixels that overlap by twice the halo."""
