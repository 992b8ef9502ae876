"""Folder layouts of sets of pairs.

path                                       layout
  input/*       target/*                   flat; blur/ and sharp/, blurred/ and sharp/ too
  VIDEO/blur/*  VIDEO/sharp/*              GoPro; blur_gamma/ on request
  test/KIND/*   GT/*                       HIDE
  LIST.txt                                 RealBlur: lines of "sharp blurred", relative to the list
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from blurdm_cli.errors import InputError
from blurdm_cli.files.formats import PHOTO_SUFFIXES
from blurdm_cli.files.reading import no_input
from blurdm_cli.photo.photo import read_photo

FLAT_LAYOUTS = (("input", "target"), ("blur", "sharp"), ("blurred", "sharp"))
"""Names of the folder of blurred photos and of the folder of sharp photos."""

BLURRED = {blurred for blurred, _ in FLAT_LAYOUTS} | {"blur_gamma"}
"""Names of folders of blurred photos, in any layout but HIDE's."""

Pair = tuple[UInt8[Tensor, "3 _ _"], UInt8[Tensor, "3 _ _"]]
"""A blurred and a sharp photo of the same size; the size may differ between pairs."""


@dataclass(frozen=True)
class PairFiles:
    """The two files of a pair."""

    name: str
    blurred: Path
    sharp: Path

    def read(self) -> Pair:
        """Read both as 8-bit RGB.

        Raises:
            InputError: one cannot be read, or they differ in size.
        """
        blurred, sharp = read_rgb(self.blurred), read_rgb(self.sharp)
        if blurred.shape != sharp.shape:
            raise InputError(f"The photos of the pair {self.name} differ in size")
        return blurred, sharp


def find_pairs(path: Path, *, gamma: bool = False) -> list[PairFiles]:
    """Find the pairs of any of the layouts above, in the order of their names.

    Args:
        path: the folder, or RealBlur's list.
        gamma: for GoPro, take `blur_gamma` instead of `blur`.

    Raises:
        InputError: there are none, or one has no partner.
    """
    found = list(_pairs(path, "blur_gamma" if gamma else "blur"))
    if not found:
        known = ", ".join("/".join(names) for names in FLAT_LAYOUTS)
        inner = _inner(path)
        raise InputError(
            f"{path} holds no pairs",
            hint=f"Did you mean {inner}?"
            if inner
            else f"Expected the folders {known}, or GoPro, HIDE or a RealBlur list",
        )
    return found


def _inner(path: Path) -> Path | None:
    """A folder in a folder that holds pairs, such as test/ of GoPro; None if there is none.

    Of several, test/ comes before train/.
    """
    folders = sorted(path.iterdir()) if path.is_dir() else []
    for folder in folders:
        with suppress(InputError):
            if folder.is_dir() and any(_pairs(folder, "blur")):
                return folder
    return None


def holds_pairs(path: Path) -> bool:
    """Whether a path holds pairs in any of the layouts.

    Raises:
        InputError: there is no such path, or a half of the pairs is missing.
    """
    return path.is_file() or any(_pairs(path, "blur"))


def flat_layout(folder: Path) -> tuple[str, str] | None:
    """The one of `FLAT_LAYOUTS` that a folder has, or None."""
    for names in FLAT_LAYOUTS:
        if all((folder / name).is_dir() for name in names):
            return names
    return None


def photos_of(folder: Path) -> dict[str, Path]:
    """The photos in a folder, by file name, in the order of their names.

    Raises:
        InputError: there is none, or no such folder.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in PHOTO_SUFFIXES)
    except OSError as error:
        raise no_input(folder, error) from error
    if not paths:
        raise InputError(f"There is no photo in {folder}")
    return {path.name: path for path in paths}


def read_rgb(path: Path) -> UInt8[Tensor, "3 h w"]:
    """Read a photo as 8-bit RGB."""
    pixels = read_photo(path).rgb()
    if pixels.dtype == np.uint16:
        pixels = (pixels // 257).astype(np.uint8)
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def _pairs(path: Path, blurred: str) -> Iterator[PairFiles]:
    """Find the pairs in any layout; `blurred` is the name of GoPro's blurred folders."""
    if path.is_file():
        return _listed(path)
    if not path.is_dir():
        raise InputError(f"There is no {path}")
    if names := flat_layout(path):
        return _matched(path / names[0], path / names[1])
    if (path / "GT").is_dir() and (path / "test").is_dir():
        return _hide(path)
    _refuse_half(path)
    return _videos(path, blurred)


def _refuse_half(folder: Path) -> None:
    """Refuse a folder with half of a flat layout; `sharp` may stand alone."""
    for names in FLAT_LAYOUTS:
        for half, other in (names, names[::-1]):
            if half != "sharp" and (folder / half).is_dir():
                raise InputError(
                    f"{folder} has {half}/ but no {other}/",
                    hint=f"Pairs need both; to use sharp photos alone, name {folder / half}",
                )


def _matched(blurred: Path, sharp: Path, prefix: str = "") -> Iterator[PairFiles]:
    """Match the photos of two folders by name; each must have its partner."""
    ours, theirs = photos_of(blurred), photos_of(sharp)
    if alone := sorted(ours.keys() ^ theirs.keys()):
        raise InputError(f"{alone[0]} in {blurred.parent} has no partner")
    return (PairFiles(prefix + name, ours[name], theirs[name]) for name in ours)


def _videos(root: Path, blurred: str) -> Iterator[PairFiles]:
    for video in sorted(path for path in root.iterdir() if path.is_dir()):
        if (video / blurred).is_dir() and (video / "sharp").is_dir():
            yield from _matched(video / blurred, video / "sharp", f"{video.name}/")


def _hide(root: Path) -> Iterator[PairFiles]:
    sharp = photos_of(root / "GT")
    for folder in sorted(path for path in (root / "test").iterdir() if path.is_dir()):
        for name, path in photos_of(folder).items():
            if name not in sharp:
                raise InputError(f"{name} in {folder} has no partner")
            yield PairFiles(f"{folder.name}/{name}", path, sharp[name])


def _listed(path: Path) -> Iterator[PairFiles]:
    """Read RealBlur's list: two paths per line, and a third word in some versions."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a list of pairs: {error}") from error
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words:
            continue
        if len(words) < 2:
            raise InputError(f"Line {number} of {path} does not name two photos")
        sharp, blurred = (path.parent / word for word in words[:2])
        for photo in (sharp, blurred):
            if not photo.is_file():
                raise InputError(
                    f"Line {number} of {path} names {photo}, which does not exist",
                    hint="Paths in the list must be relative to the folder of the list",
                )
        yield PairFiles(f"{blurred.parent.parent.name}/{blurred.name}", blurred, sharp)
