"""Numbered pictures as a clip's frames, and a clip's frames as numbered pictures.

A sequence is named by a pattern with a printf number, `frames/%05d.png`, or, to read, by a
folder of photos, which are taken in the order of the numbers in their names.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from av.video.frame import VideoFrame

from blurdm_cli.errors import InputError
from blurdm_cli.media.files import PHOTO_SUFFIXES, atomic_output, format_of, no_input
from blurdm_cli.media.image import Photo, read_photo, write_photo
from blurdm_cli.media.tags import Colour
from blurdm_cli.media.video import Clip
from blurdm_cli.media.yuv import FULL, RGB, to_rgb

NUMBER = re.compile(r"%0?(\d*)d")

SRGB = Colour(FULL, RGB, 1, 13)
"""Tags of pictures: full range, no matrix, BT.709 primaries, sRGB."""


def is_sequence(path: Path) -> bool:
    """Whether a path is a pattern of numbered pictures: `50%done.mp4` is the name of a video."""
    return path.suffix.lower() in PHOTO_SUFFIXES and bool(NUMBER.search(path.name))


def find_frames(path: Path) -> list[Path]:
    """The files of a sequence, in their order.

    Raises:
        InputError: there is none, or the folder cannot be read.
    """
    folder = path.parent if is_sequence(path) else path
    try:
        names = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise no_input(folder, error) from error
    if is_sequence(path):
        before, _, after = NUMBER.split(path.name, maxsplit=1)
        fits = re.compile(rf"{re.escape(before)}\d+{re.escape(after)}")
        found = [name for name in names if fits.fullmatch(name.name)]
    else:
        found = [name for name in names if name.suffix.lower() in PHOTO_SUFFIXES]
    if not found:
        raise InputError(f"No file fits {path}", hint="Check the pattern: frames/%05d.png")
    return sorted(found, key=_in_order)


def _in_order(path: Path) -> list[tuple[int, str]]:
    """Names with their numbers as numbers: 2 before 10."""
    return [(int(part or 0), "") if part.isdecimal() else (-1, part) for part in _parts(path.name)]


def _parts(name: str) -> list[str]:
    return re.split(r"(\d+)", name)


def open_sequence(path: Path, frames: list[Path], rate: Fraction) -> Clip:
    """What numbered pictures are as a clip; the first one decides on size and depth.

    Args:
        path: the pattern or folder, to name the clip.
        frames: its files.
        rate: frames a second.

    Raises:
        InputError: the first picture cannot be read.
    """
    pixels = read_photo(frames[0]).pixels
    return Clip(
        path=path,
        height=pixels.shape[0],
        width=pixels.shape[1],
        codec="h264",
        profile="",
        pix_fmt="gbrp" if pixels.dtype == np.uint8 else "gbrp16le",
        rate=rate,
        time_base=1 / rate,
        aspect=None,
        colour=SRGB,
        matrix=None,
        frames=len(frames),
        is_pictures=True,
    )


def read_sequence(clip: Clip, frames: list[Path]) -> Iterator[VideoFrame]:
    """Numbered pictures as frames, one by one.

    Raises:
        InputError: one cannot be read, or is of another size or depth than the first.
    """
    for number, path in enumerate(frames):
        pixels = read_photo(path).rgb()
        frame = VideoFrame(clip.width, clip.height, clip.pix_fmt)
        deep = clip.pix_fmt != "gbrp"
        if pixels.shape[:2] != (clip.height, clip.width) or (pixels.dtype != np.uint8) != deep:
            raise InputError(
                f"{path} has another size or depth than {frames[0]}",
                hint="All frames of a sequence are alike",
            )
        for plane, channel in zip(frame.planes, (1, 2, 0), strict=True):
            rows = np.frombuffer(memoryview(plane), pixels.dtype)
            rows = rows.reshape(plane.height, -1)[:, : plane.width]
            np.copyto(rows, pixels[..., channel])
        frame.color_range, frame.colorspace = FULL, RGB
        frame.pts, frame.time_base, frame.duration = number, clip.time_base, 1
        yield frame


class FrameStore:
    """Writes frames as numbered pictures; what is finished is kept in mind as segments are."""

    def __init__(self, pattern: Path, folder: Path, manifest: dict[str, Any], resume: bool) -> None:
        """Look at what an earlier run finished.

        Args:
            pattern: of the pictures.
            folder: for what is kept in mind.
            manifest: plain values that name all that decides the result.
            resume: whether to go on from there.
        """
        format_of(pattern.suffix)
        self._pattern, self._path, self._manifest = pattern, folder / "progress.json", manifest
        self.done, self.state = 0, dict[str, Any]()
        if resume:
            with suppress(OSError, ValueError, KeyError):
                told = json.loads(self._path.read_text())
                if told["manifest"] == manifest:
                    self.done, self.state = told["done"], told["state"]

    @contextmanager
    def writer(self, state: dict[str, Any]) -> Iterator["FrameStore"]:
        yield self
        self.state = state
        told = {"manifest": self._manifest, "done": self.done, "state": state}
        with atomic_output(self._path) as part:
            part.write_text(json.dumps(told))

    def write(self, frame: VideoFrame) -> None:
        deep = frame.format.components[0].bits > 8
        white = 65535 if deep else 255
        pixels = np.rint(to_rgb(frame) * white).astype(np.uint16 if deep else np.uint8)
        write_photo(Photo(pixels), frame_path(self._pattern, self.done + 1))
        self.done += 1

    def clear(self) -> None:
        """Forget what was kept for resuming."""
        self._path.unlink(missing_ok=True)
        for folder in (self._path.parent, self._path.parent.parent):
            with suppress(OSError):
                folder.rmdir()


def frame_path(pattern: Path, number: int) -> Path:
    """The file of one picture; numbers begin with 1."""
    name = NUMBER.sub(lambda match: f"{number:0{match[1] or 1}d}", pattern.name)
    return pattern.with_name(name)
