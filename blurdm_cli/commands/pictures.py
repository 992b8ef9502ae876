"""Numbered pictures as a clip's frames and as its result: which ones, and what is there already."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

from blurdm_cli.commands.video_options import VideoOptions
from blurdm_cli.media.files import stump
from blurdm_cli.media.image import Photo, write_photo
from blurdm_cli.media.journal import FOLDER, Stamp
from blurdm_cli.media.privacy import kept
from blurdm_cli.media.sequence import FrameStore, by_number, find_taken, is_begun, is_sequence
from blurdm_cli.media.tags import Matrix, orientation_of


def pictures_of(source: Path, options: VideoOptions) -> dict[int, Path]:
    """Numbered pictures as far as they are wanted, by their numbers; none for a video."""
    if source.is_file() or not (source.is_dir() or is_sequence(source)):
        return {}
    most = None if options.frames is None else options.frames * options.every
    return dict(islice(by_number(source).items(), most))


def numbers_of(files: dict[int, Path], options: VideoOptions) -> Sequence[int]:
    """The numbers that restored frames have as pictures: their own, or for a video from 1 on."""
    numbers = tuple(files)[:: options.every] if files else range(1, sys.maxsize)
    return numbers[: options.frames]


def manifest_of(
    source: Path, files: dict[int, Path], target: Path, options: VideoOptions, settings: str
) -> dict[str, Any]:
    """Plain values that name all that decides the result, but for a video's encoding."""
    identity: Any
    if files:
        told = [(path.name, path.stat()) for path in files.values()]
        stats = [(name, status.st_size, status.st_mtime_ns) for name, status in told]
        identity = hashlib.sha256(repr(stats).encode()).hexdigest()
    else:
        identity = asdict(Stamp.of(source))
    wanted = options.decides() | ({"quality": options.quality} if is_sequence(target) else {})
    return {"source": identity, "settings": settings, "options": wanted}


def find_other(source: Path, pattern: Path, options: VideoOptions, settings: str) -> Path | None:
    """A picture that pictures of a clip would replace, or None.

    Those that an interrupted run of the same job wrote do not count.

    Raises:
        InputError: the source cannot be read.
    """
    files = pictures_of(source, options)
    taken = find_taken(pattern, numbers_of(files, options))
    if taken is None or not _progress(pattern).exists():
        return taken
    manifest = manifest_of(source, files, pattern, options, settings)
    return None if is_begun(_progress(pattern), manifest) else taken


def open_pictures(
    pattern: Path,
    numbers: Sequence[int],
    manifest: dict[str, Any],
    options: VideoOptions,
    turned: Matrix | None,
) -> FrameStore:
    """Where restored frames become numbered pictures.

    Args:
        pattern: theirs.
        numbers: as `numbers_of` gives them.
        manifest: as `manifest_of` gives it.
        options: of videos.
        turned: how a video's pictures are turned when it is shown.
    """

    def write(photo: Photo, path: Path) -> list[str]:
        wanted = replace(photo, metadata=kept(photo.metadata, options.metadata))
        return write_photo(wanted, path, quality=options.quality)

    return FrameStore(
        pattern,
        numbers,
        _progress(pattern),
        manifest,
        resume=options.resume,
        orientation=orientation_of(turned),
        write=write,
    )


def _progress(pattern: Path) -> Path:
    """The folder for what is known of an interrupted run."""
    return pattern.parent / FOLDER / stump(pattern.name)
