"""Training crops with candidates on the disk, in shards that are made once.

FOLDER/made.json          with what they were made
FOLDER/00012.safetensors  the crops 12 * SHARD and on

A shard holds, for each crop, as 8-bit values but for the last four:

    blurred     3 planes, sharp 3 planes
    planes      8 planes: two deconvolved photos and two reblur residuals
    kernels     of either motion, in `KERNEL_SIDE` rows and columns; 0: not known, as in old shards
    confidence  of either motion
    path        how long the crop saw each displacement, see `pairs.Batch.motion`; 0: not known
    gain        dB that the better candidate is nearer to the sharp crop than the blurred one is
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float16, Float32, UInt8
from safetensors import safe_open
from safetensors.numpy import save_file

SHARD = 16
"""Crops in a shard."""

SUFFIX = ".safetensors"

KERNEL_SIDE = 191
"""Rows and columns of kernels: those of more than half a crop's side are never found."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A blurred crop, what was found of it, and the sharp one."""

    blurred: UInt8[np.ndarray, "3 h w"]
    planes: UInt8[np.ndarray, "8 h w"]
    sharp: UInt8[np.ndarray, "3 h w"]
    kernels: Float16[np.ndarray, "2 k k"]
    confidence: Float32[np.ndarray, "2"]
    path: Float16[np.ndarray, "side side"]
    gain: Float32[np.ndarray, ""]


NAMES = tuple(field.name for field in fields(Prepared))


def shard_path(folder: Path, number: int) -> Path:
    """Where a shard lies, or is to lie."""
    return folder / f"{number:05d}{SUFFIX}"


def shards_of(folder: Path) -> list[Path]:
    """The shards that are whole, in order."""
    return sorted(folder.glob(f"[0-9]*{SUFFIX}"))


def write_shard(crops: Sequence[Prepared], path: Path) -> None:
    """Write a shard: the whole file or none."""
    partial = path.with_suffix(".part")
    stacked = {name: np.stack([getattr(crop, name) for crop in crops]) for name in NAMES}
    save_file(stacked, partial)
    os.replace(partial, path)


class Shard:
    """A shard that is open; what is asked for is read, and no more."""

    def __init__(self, path: Path) -> None:
        file: Any = safe_open(path, "np")
        kept = set(file.keys())
        self._slices = {name: file.get_slice(name) for name in NAMES if name in kept}
        self.count, _, self.height, self.width = self._slices["blurred"].get_shape()

    @property
    def gains(self) -> Float32[np.ndarray, "crops"]:
        """Of all crops, in dB."""
        return self._slices["gain"][:]

    def sharp(self, number: int, top: int, left: int, side: int) -> UInt8[np.ndarray, "3 h w"]:
        """Read a square of a sharp crop."""
        return self._slices["sharp"][number, :, top : top + side, left : left + side]

    def read(self, number: int, top: int = 0, left: int = 0, side: int | None = None) -> Prepared:
        """Read a square of a crop, or all of it."""
        rows = slice(top, self.height if side is None else top + side)
        columns = slice(left, self.width if side is None else left + side)
        parts = {
            name: self._slices[name][number, :, rows, columns]
            for name in ("blurred", "planes", "sharp")
        }
        whole = {name: part[number] for name, part in self._slices.items() if name not in parts}
        return Prepared(**{"kernels": np.zeros((2, 1, 1), np.float16), **parts, **whole})
