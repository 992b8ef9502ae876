"""Read numbered images as a clip's frames, and write a clip's frames as numbered images.

The frame of an image carries the photo that was read in its `opaque`, so that an image written
from it keeps its profile, metadata and transparency.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from av.video.frame import VideoFrame

from blurdm_cli.errors import InputError, OutputError
from blurdm_cli.files.atomic import Seal, identity_of, stump, unless_changed
from blurdm_cli.files.formats import format_of
from blurdm_cli.files.journal import Journal
from blurdm_cli.files.numbered import frame_path
from blurdm_cli.files.progress import Progress
from blurdm_cli.photo.metadata import Metadata
from blurdm_cli.photo.photo import Photo, read_photo
from blurdm_cli.photo.pixels import upright
from blurdm_cli.video.clip import Clip
from blurdm_cli.video.segments import Whose
from blurdm_cli.video.tags import Colour
from blurdm_cli.video.yuv import FULL, RGB, to_rgb

PICTURES = "pictures.ndjson"
"""File name of the journal of written images."""

SRGB = Colour(FULL, RGB, 1, 13)
"""Colour tags of images: full range, no matrix, BT.709 primaries, sRGB."""


def open_sequence(path: Path, frames: dict[int, Path], rate: Fraction) -> Clip:
    """Describe numbered images as a clip; the first one determines size, depth and alpha.

    Args:
        path: the pattern or folder, to name the clip.
        frames: its files, from `by_number`.
        rate: frames per second.

    Raises:
        InputError: the first image cannot be read.
    """
    first = read_photo(next(iter(frames.values())))
    pixels = first.pixels
    alpha, depth = "" if first.alpha is None else "a", "" if pixels.dtype == np.uint8 else "16le"
    return Clip(
        path=path,
        height=pixels.shape[0],
        width=pixels.shape[1],
        codec="h264",
        profile="",
        pix_fmt=f"gbr{alpha}p{depth}",
        rate=rate,
        time_base=1 / rate,
        aspect=None,
        colour=SRGB,
        matrix=None,
        frames=len(frames),
        is_pictures=True,
        unkept=(*_missing(list(frames)), *_not_in_video(first.metadata)),
    )


def _missing(numbers: list[int]) -> Iterator[str]:
    count = numbers[-1] - numbers[0] + 1 - len(numbers)
    if count:
        some = "1 number is" if count == 1 else f"{count} numbers are"
        yield f"{some} missing from {numbers[0]} to {numbers[-1]}: the gaps are closed"


def _not_in_video(metadata: Metadata) -> Iterator[str]:
    names = {
        "colour profile": metadata.icc,
        "EXIF": metadata.exif,
        "XMP": metadata.xmp,
        "captions (IPTC)": metadata.segments,
        "PNG chunks": metadata.chunks,
        "resolution (dpi)": metadata.dpi,
    }
    lost = [name for name, value in names.items() if value]
    if lost:
        yield f"not written to a video: the images' {', '.join(lost)}"


def read_sequence(
    clip: Clip, frames: dict[int, Path], notes: dict[str, None]
) -> Iterator[VideoFrame]:
    """Read numbered images as frames, one by one, each with its photo as `opaque`.

    Args:
        clip: the sequence.
        frames: its files, from `by_number`.
        notes: receives a line for each loss.

    Raises:
        InputError: an image cannot be read, or differs in size or depth from the first.
    """
    deep, has_alpha = clip.pix_fmt.endswith("16le"), clip.pix_fmt.startswith("gbrap")
    for number, path in enumerate(frames.values()):
        photo = read_photo(path)
        pixels, alpha = photo.rgb(), photo.alpha
        frame = VideoFrame(clip.width, clip.height, clip.pix_fmt)
        if pixels.shape[:2] != (clip.height, clip.width) or (pixels.dtype != np.uint8) != deep:
            raise InputError(
                f"{path} differs in size or bit depth from the first image",
                hint="All images of a sequence must have the same size and depth",
            )
        opaque = np.iinfo(pixels.dtype).max
        values = [pixels[..., channel] for channel in (1, 2, 0)]
        if has_alpha:
            values.append(np.full_like(values[0], opaque) if alpha is None else alpha)
        for plane, value in zip(frame.planes, values, strict=True):
            rows = np.frombuffer(memoryview(plane), pixels.dtype)
            np.copyto(rows.reshape(plane.height, -1)[:, : plane.width], value)
        notes |= dict.fromkeys(photo.notes)
        if alpha is not None and not has_alpha and alpha.min() < opaque:
            notes["the first image is opaque: the transparency of later ones is lost"] = None
        frame.opaque = photo
        frame.color_range, frame.colorspace = FULL, RGB
        frame.pts, frame.time_base, frame.duration = number, clip.time_base, 1
        yield frame


class FrameStore:
    """Writes frames as numbered images, and records progress so that a run can resume."""

    def __init__(
        self,
        pattern: Path,
        numbers: Sequence[int],
        folder: Path,
        manifest: dict[str, Any],
        *,
        resume: bool = True,
        overwrite: bool = False,
        orientation: int = 1,
        write: Callable[[Photo, Path, Seal], list[str]],
    ) -> None:
        """Load the progress of an earlier run.

        Args:
            pattern: the path pattern of the images.
            numbers: their numbers, in order.
            folder: the folder for the progress file.
            manifest: plain values that identify everything that determines the result.
            resume: whether to continue an earlier run.
            overwrite: whether to replace images that no earlier run wrote.
            orientation: EXIF orientation that makes a video's frames upright.
            write: writes an image, and returns everything that its file cannot store.
        """
        format_of(pattern.suffix)
        self._pattern, self._numbers, self._folder = pattern, numbers, folder
        self._orientation, self._write, self._overwrite = orientation, write, overwrite
        self.done, self.state, self.notes = 0, dict[str, Any](), dict[str, None]()
        self._progress = Progress(folder, manifest)
        if not self._progress.is_begun:
            (folder / PICTURES).unlink(missing_ok=True)
        self._journal = open_pictures_journal(pattern)
        if resume and self._progress.is_begun:
            finished = (frame_path(pattern, each) for each in numbers[: self._progress.done])
            if all(self._journal.is_own(pattern, path) for path in finished):
                self.done, self.state = self._progress.done, self._progress.state

    def whose(self, number: int) -> Whose:
        """Image sequences are not shared, and `done` are all that there are."""
        return "ours"

    @contextmanager
    def writer(
        self, number: int, state: dict[str, Any], notes: Mapping[str, None]
    ) -> Iterator["FrameStore"]:
        if not self.done:
            self._progress.keep(0, self.state)  # first: from now on, the images belong to this run
        yield self
        self.notes |= notes
        self.state = state
        self._progress.keep(self.done, state)

    def write(self, frame: VideoFrame) -> None:
        deep = frame.format.components[0].bits > 8
        white = 65535 if deep else 255
        pixels = np.rint(to_rgb(frame) * white).astype(np.uint16 if deep else np.uint8)
        if isinstance(frame.opaque, Photo):
            photo = frame.opaque.with_rgb(pixels)
        else:
            photo = Photo(upright(pixels, self._orientation))
        path = frame_path(self._pattern, self._numbers[self.done])
        there, own = identity_of(path), self._journal.is_own(self._pattern, path)
        if os.path.lexists(path) and not own and not self._overwrite:
            raise OutputError(f"{path} exists already", hint="Try --overwrite, or another folder")
        seal = self._journal.begin(self._pattern, path)
        notes = self._write(photo, path, unless_changed(path, there, seal))
        self.notes |= dict.fromkeys((*photo.notes, *notes))
        self.done += 1

    def clear(self) -> None:
        """Remove everything that was kept for resuming."""
        shutil.rmtree(self._folder, ignore_errors=True)


def open_pictures_journal(pattern: Path) -> Journal:
    """Read the journal of the images that an interrupted run wrote."""
    return Journal(pattern.parent, "", f"{stump(pattern.name)}/{PICTURES}")
