"""File names of image sequences.

A sequence is given by a pattern with a printf number, `frames/%05d.png`, or, for reading, by a
folder of photos, which are sorted by the numbers in their names.
"""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from blurdm_cli.errors import InputError
from blurdm_cli.files.formats import PHOTO_SUFFIXES
from blurdm_cli.files.reading import no_input

NUMBER = re.compile(r"%0?(\d*)d")


def is_sequence(path: Path) -> bool:
    """Whether a path is a pattern of numbered images: `50%done.mp4` is the name of a video."""
    return path.suffix.lower() in PHOTO_SUFFIXES and bool(NUMBER.search(path.name))


def find_frames(path: Path) -> list[Path]:
    """Find the files of a sequence, in order.

    Raises:
        InputError: no file was found, or the folder cannot be read.
    """
    folder = path.parent if is_sequence(path) else path
    try:
        names = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise no_input(folder, error) from error
    if is_sequence(path):
        fits = _fitting(path)
        found = [name for name in names if fits.fullmatch(name.name)]
    else:
        found = [name for name in names if name.suffix.lower() in PHOTO_SUFFIXES]
    if not found:
        raise InputError(f"No file matches {path}", hint="Check the pattern: frames/%05d.png")
    return sorted(found, key=_in_order)


def by_number(path: Path) -> dict[int, Path]:
    """Find the files of a sequence, in order, by the numbers in their names.

    In a folder, the last number in each name counts; if these do not increase from name to name,
    the files are numbered from 1.

    Raises:
        InputError: as `find_frames`; or two names that match a pattern have the same number.
    """
    files = find_frames(path)
    number = _fitting(path) if is_sequence(path) else re.compile(r".*?(\d+)\D*")
    found = [match and int(match[1]) for match in (number.fullmatch(file.name) for file in files)]
    numbers = [each for each in found if each is not None]
    if len(numbers) == len(files) and all(one < other for one, other in pairwise(numbers)):
        return dict(zip(numbers, files, strict=True))
    if is_sequence(path):
        same = next(place for place, (one, other) in enumerate(pairwise(numbers)) if one == other)
        raise InputError(
            f"{files[same]} and {files[same + 1].name} have the same number",
            hint="Keep one of them in the folder",
        )
    return dict(enumerate(files, start=1))


def find_existing(pattern: Path, numbers: Sequence[int]) -> list[Path]:
    """The existing images with one of the numbers, in order."""
    fits = re.compile(_fitting(pattern).pattern, re.IGNORECASE)  # as on some disks
    with suppress(FileNotFoundError, NotADirectoryError):
        matches = filter(None, map(fits.fullmatch, os.listdir(pattern.parent)))
        wanted = numbers if isinstance(numbers, range) else frozenset(numbers)
        there = sorted(int(match[1]) for match in matches if int(match[1]) in wanted)
        return [p for number in there if os.path.lexists(p := frame_path(pattern, number))]
    return []


def _fitting(pattern: Path) -> re.Pattern[str]:
    """A regular expression for names that match a pattern; the first group is the number."""
    before, _, after = NUMBER.split(pattern.name, maxsplit=1)
    return re.compile(rf"{re.escape(before)}(\d+){re.escape(after)}")


def _in_order(path: Path) -> list[tuple[int, str]]:
    """Sort key that compares numbers in names by value: 2 before 10."""
    return [(int(part or 0), "") if part.isdecimal() else (-1, part) for part in _parts(path.name)]


def _parts(name: str) -> list[str]:
    return re.split(r"(\d+)", name)


def frame_path(pattern: Path, number: int) -> Path:
    """The path of one image."""
    name = NUMBER.sub(lambda match: f"{number:0{match[1] or 1}d}", pattern.name)
    return pattern.with_name(name)
