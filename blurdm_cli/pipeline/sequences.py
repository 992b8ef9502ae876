"""Image sequences as input and output of a clip: their files, numbers and existing results."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

from blurdm_cli.files.atomic import Seal
from blurdm_cli.files.numbered import by_number, find_existing, is_sequence
from blurdm_cli.files.progress import Progress
from blurdm_cli.files.stamp import Stamp
from blurdm_cli.photo.photo import Photo, write_photo
from blurdm_cli.photo.privacy import apply_privacy
from blurdm_cli.pipeline.options import RunOptions, VideoOptions
from blurdm_cli.video.image_sequence import FrameStore, open_pictures_journal
from blurdm_cli.video.segments import open_state, state_folder
from blurdm_cli.video.tags import Matrix, orientation_of


def pictures_of(source: Path, options: VideoOptions) -> dict[int, Path]:
    """The selected files of an image sequence, by number; empty for a video."""
    if source.is_file() or not (source.is_dir() or is_sequence(source)):
        return {}
    most = None if options.frames is None else options.frames * options.every
    return dict(islice(by_number(source).items(), most))


def numbers_of(files: dict[int, Path], options: VideoOptions) -> Sequence[int]:
    """The numbers of restored pictures: those of the source, or from 1 on for a video."""
    numbers = tuple(files)[:: options.every] if files else range(1, sys.maxsize)
    return numbers[: options.frames]


def manifest_of(
    source: Path,
    files: dict[int, Path],
    target: Path,
    options: VideoOptions,
    run: RunOptions,
    settings: str,
) -> dict[str, Any]:
    """Plain values for everything that determines the result, except a video's encoding."""
    identity: Any
    if files:
        statuses = [(path.name, path.stat()) for path in files.values()]
        stats = [(name, status.st_size, status.st_mtime_ns) for name, status in statuses]
        identity = hashlib.sha256(repr(stats).encode()).hexdigest()
    else:
        identity = asdict(Stamp.of(source))
    wanted = options.decides(run) | ({"quality": run.quality} if is_sequence(target) else {})
    return {"source": identity, "settings": settings, "options": wanted}


def find_other(
    source: Path, pattern: Path, options: VideoOptions, run: RunOptions, settings: str
) -> Path | None:
    """Find an existing picture that the result of a clip would replace; None if there is none.

    Unchanged pictures from an interrupted run of the same job do not count.

    Raises:
        InputError: the source cannot be read.
    """
    files = pictures_of(source, options)
    taken = find_existing(pattern, numbers_of(files, options))
    if taken and state_folder(pattern).exists():
        manifest = manifest_of(source, files, pattern, options, run, settings)
        if Progress(state_folder(pattern), manifest).is_begun:
            journal = open_pictures_journal(pattern)
            taken = [path for path in taken if not journal.is_own(pattern, path)]
    return next(iter(taken), None)


@contextmanager
def open_pictures(
    pattern: Path,
    numbers: Sequence[int],
    manifest: dict[str, Any],
    run: RunOptions,
    turned: Matrix | None,
) -> Iterator[FrameStore]:
    """Open and lock the store that writes restored frames as an image sequence.

    Args:
        pattern: pattern of the pictures' paths.
        numbers: as `numbers_of` returns them.
        manifest: as `manifest_of` returns it.
        run: sets how pictures are written.
        turned: rotation of a video when it is shown.

    Raises:
        OutputError: another run holds the lock, or the folder cannot be written to.
    """

    def write(photo: Photo, path: Path, seal: Seal) -> list[str]:
        wanted = replace(photo, metadata=apply_privacy(photo.metadata, run.metadata))
        return write_photo(wanted, path, quality=run.quality, seal=seal)

    with open_state(pattern):
        yield FrameStore(
            pattern,
            numbers,
            state_folder(pattern),
            manifest,
            resume=run.resume,
            overwrite=run.on_exists == "overwrite",
            orientation=orientation_of(turned),
            write=write,
        )
