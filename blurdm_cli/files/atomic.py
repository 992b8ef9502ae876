"""Files that are written whole, or not at all.

A result is written beside its place under another name, and takes its place at the very end:
whoever looks, at whatever moment, sees the old file or the new one.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from blurdm_cli.errors import DiskFull, OutputError

Seal = Callable[[Path], object]
"""Is told of a finished file before it takes its place; what it raises keeps it from there."""


def no_seal(part: Path) -> None:
    """Let any file take any place."""


@contextmanager
def atomic_output(path: Path, seal: Seal = no_seal) -> Iterator[Path]:
    """Write a file that is there in full, or not at all; its folder is made where missing.

    Args:
        path: where to.
        seal: see `Seal`.

    Yields:
        The path to write to, in the same folder: `.{name}.part`. It is empty. When the
        block ends it takes the place of `path`, with the permissions of the file that is
        there; when the block fails it is removed.

    Raises:
        OutputError: the file cannot be written there.
    """
    part = path.with_name(f".{stump(path.name)}.part")
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.parent.mkdir(parents=True, exist_ok=True)
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
    except BaseException as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise output_error(path, error) from error
        raise
    _keep_name(path.parent)


def _mode_of(path: Path) -> int | None:
    """The permission bits of a file that is to be replaced, or None where there is none."""
    try:
        return path.stat().st_mode & 0o777
    except FileNotFoundError:
        return None


def stump(name: str) -> str:
    """A name to which something can be added: a long one's hash."""
    long = len(os.fsencode(name)) > 200
    return hashlib.sha256(os.fsencode(name)).hexdigest() if long else name


def _keep_name(folder: Path) -> None:
    """Have the folder's list of names written to the disk, where the system knows how to."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def original_of(path: Path) -> Path:
    """Where the original of a file is kept that was restored in place."""
    return path.with_name(f"{path.name}.orig")


def keep_original(path: Path) -> None:
    """Keep a file under its `original_of` too, before another takes its place.

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
        hint = "Choose a place where you may write with --output"
    return OutputError(f"{path} cannot be written: {reason}", hint=hint)
