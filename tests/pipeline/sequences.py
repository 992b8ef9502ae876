"""Numbered pictures."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from blurdm_cli.files.numbered import frame_path
from tests.clips import scene


def make(pattern: Path, numbers: Iterable[int], mode: str = "RGB") -> dict[str, str]:
    """Write numbered pictures; returns their hashes."""
    pattern.parent.mkdir(exist_ok=True)
    for number in numbers:
        pixels = (scene(number, 20, 30) * 255).astype(np.uint8)
        Image.fromarray(pixels).convert(mode).save(frame_path(pattern, number))
    return hashes(pattern.parent)


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.is_file()
    }


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
