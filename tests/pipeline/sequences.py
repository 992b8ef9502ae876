"""Numbered pictures."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from blurdm_cli.files.numbered import frame_path
from blurdm_cli.photo.photo import Photo, write_photo
from blurdm_cli.pipeline import sequences as module
from tests.clips import deblurred, make_clip, scene


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


def interrupt(monkeypatch: pytest.MonkeyPatch, at: int) -> Callable[[], None]:
    """Have Ctrl-C come when a picture of this number is written; returns what ends that."""

    def write(photo: Photo, path: Path, **options: Any) -> list[str]:
        if path.stem == str(at):
            raise KeyboardInterrupt
        return write_photo(photo, path, **options)

    monkeypatch.setattr(module, "write_photo", write)
    return lambda: monkeypatch.setattr(module, "write_photo", write_photo)


def interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> tuple[Path, Path]:
    """Deblur a clip in segments of two frames, until Ctrl-C comes; returns it and its pattern."""
    monkeypatch.setattr("blurdm_cli.pipeline.clip_job.SECONDS", 0.08)
    source, pattern = make_clip(tmp_path / "a.mp4"), tmp_path / "f" / "%d.png"
    end = interrupt(monkeypatch, at)
    with pytest.raises(KeyboardInterrupt):
        deblurred(source, pattern, gain=0.25)
    end()
    return source, pattern
