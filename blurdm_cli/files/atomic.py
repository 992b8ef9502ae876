"""Atomic file output.

A result is written under a temporary name in the same folder and renamed at the very end:
at any moment, a reader sees either the old file or the new one.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from blurdm_cli.errors import DiskFull, OutputError
from blurdm_cli.files.locks import locked

Seal = Callable[[Path], object]
"""Called with a finished file before it is renamed to its target; an exception prevents that."""


def no_seal(part: Path) -> None:
    """Accept every file."""


Identity = tuple[int, int, int] | None
"""Inode, time and size of a file, which differ if it was replaced; None if there is no file."""


def identity_of(path: Path) -> Identity:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def unless_changed(path: Path, there: Identity, seal: Seal = no_seal) -> Seal:
    """Keep a file that somebody put at the output path while the result was being made.

    Args:
        path: the output file.
        there: its identity when the work began.
        seal: is called first.

    Returns:
        A seal that raises an OutputError if the file at the path is another one.
    """

    def sealed(part: Path) -> None:
        seal(part)
        if identity_of(path) != there:
            raise OutputError(
                f"{path} was changed by somebody else while the result was being made",
                hint="Move it elsewhere and run the same command again",
            )

    return sealed


@contextmanager
def atomic_output(path: Path, seal: Seal = no_seal) -> Iterator[Path]:
    """Write a file completely or not at all; its folder is created if missing.

    Args:
        path: the output file.
        seal: see `Seal`.

    Yields:
        The path of an empty file to write to, in the same folder: `.{name}.part`. When the
        block ends, it replaces `path` and gets the permissions of the existing file; if the
        block fails, it is removed.

    Raises:
        OutputError: the file cannot be written there, or another run is writing it.
    """
    part = part_of(path)
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(part.with_suffix(".lock"), path):
            yield from _written(path, part, seal)
    except OSError as error:
        raise output_error(path, error) from error
    _keep_name(path.parent)


def part_of(path: Path) -> Path:
    """The temporary name of an output while it is written."""
    return path.with_name(f".{stump(path.name)}.part")


def _written(path: Path, part: Path, seal: Seal) -> Iterator[Path]:
    """Yield a new file to write to; then give it the path's name."""
    try:
        part.unlink(missing_ok=True)  # a killed run left it
        mode = _mode_of(path)
        part.touch(0o666 if mode is None else 0o600, exist_ok=False)
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        if mode is not None:
            with suppress(OSError):  # a disk without permissions
                part.chmod(mode)
        seal(part)
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def _mode_of(path: Path) -> int | None:
    """The permission bits of the file to replace, or None if it does not exist."""
    try:
        return path.stat().st_mode & 0o777
    except FileNotFoundError:
        return None


def stump(name: str) -> str:
    """A name that is short enough to be extended: the name, or its hash if it is long."""
    long = len(os.fsencode(name)) > 200
    return hashlib.sha256(os.fsencode(name)).hexdigest() if long else name


def _keep_name(folder: Path) -> None:
    """Flush the folder's entries to disk, if the system supports it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def original_of(path: Path) -> Path:
    """The path under which the original of a file restored in place is kept."""
    return path.with_name(f"{path.name}.orig")


def keep_original(path: Path) -> None:
    """Keep a copy of a file at its `original_of` path, before the file is replaced.

    Raises:
        OutputError: it cannot be kept.
    """
    kept = original_of(path)
    if kept.exists():
        return
    try:
        try:
            os.link(path, kept)
        except OSError:  # a disk without links
            with atomic_output(kept) as part:
                shutil.copy2(path, part)
    except OSError as error:
        raise output_error(kept, error) from error


def output_error(path: Path, error: OSError) -> OutputError:
    reason = error.strerror or type(error).__name__
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "Free some space, or write to another disk with --output"
        return DiskFull(f"{path} cannot be written: {reason}", hint=hint)
    if error.errno == errno.EISDIR:
        return OutputError(f"{path} is a folder, not a file", hint="Give --output another name")
    elif error.errno == errno.ENAMETOOLONG:
        hint = "Choose a shorter name with --output"
    else:
        hint = "Use --output to choose a folder where you may write"
    return OutputError(f"{path} cannot be written: {reason}", hint=hint)
