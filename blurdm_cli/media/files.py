"""Files: their suffixes, writing them whole, and what goes wrong with them in a user's words.

A result is written beside its place under another name, and takes its place at the very end:
whoever looks, at whatever moment, sees the old file or the new one.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path

from blurdm_cli.errors import DiskFull, InputError, OutputError, UsageError
from blurdm_cli.media.kinds import special

FORMATS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "jpeg"),
    **dict.fromkeys((".tif", ".tiff"), "tiff"),
    **{".png": "png", ".webp": "webp", ".avif": "avif"},
}
"""The formats that are written, by suffix."""

HEIC_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
RAW_SUFFIXES = frozenset(
    {".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw"}
)

INSTEAD = (
    dict.fromkeys((".bmp", ".gif"), ".png")
    | dict.fromkeys(HEIC_SUFFIXES, ".png")
    | dict.fromkeys(RAW_SUFFIXES | {".raw"}, ".tif")
)
"""Suffixes of what is read but not written, and those of the results."""

PHOTO_SUFFIXES = frozenset(FORMATS) | frozenset(INSTEAD)
"""Suffixes, in lower case, of what is taken for a photo in a folder."""

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mts", ".m2ts", ".ts", ".mxf", ".mpg"}
    | {".mpeg", ".vob", ".3gp", ".3g2", ".wmv", ".asf", ".flv", ".ogv"}
)
"""Suffixes, in lower case, of what is taken for a video in a folder."""

SUFFIX_OF = {"jpeg": ".jpg", "tiff": ".tif"} | {
    kind: f".{kind}" for kind in ("png", "webp", "avif", "bmp", "gif", "heic", "raw")
}
"""The usual suffix of each kind of photo."""


def format_of(name: str) -> str:
    """The format that a suffix (".jpg") or a user's word for it ("jpg") means.

    Raises:
        UsageError: it is none that can be written.
    """
    suffix = name.lower() if name.startswith(".") else f".{name.lower()}"
    if suffix not in FORMATS:
        raise UsageError(
            f"{suffix[1:] or 'A file without a suffix'} is no format that can be written",
            hint=f"Known: {' '.join(known[1:] for known in FORMATS)}",
        )
    return FORMATS[suffix]


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


def check_regular(path: Path) -> None:
    """Make sure that to open a path does not wait for somebody to write into it.

    Raises:
        InputError: it is a pipe, a socket or a device.
    """
    if words := special(path):
        raise InputError(f"{path} is {words}, not a file", hint="Copy what it gives into a file")


def no_input(path: Path, error: OSError) -> InputError:
    """The error of a file or folder that cannot be opened, with the nearest name there is."""
    if os.path.islink(path) and not os.path.exists(path):
        return InputError(f"{path} is a link to a file that is not there", hint="Mend the link")
    if isinstance(error, FileNotFoundError):
        with suppress(OSError):
            near = get_close_matches(path.name, os.listdir(path.parent), n=1)
            if near:
                return InputError(f"There is no {path}", hint=f"Did you mean {near[0]!r}?")
        return InputError(f"There is no {path}", hint="Check the name and the folder")
    if isinstance(error, IsADirectoryError):
        return InputError(f"{path} is a folder, not a photo", hint="Name a file in it")
    reason = error.strerror or type(error).__name__
    hint = "Ask for the right to read it" if isinstance(error, PermissionError) else None
    return InputError(f"{path} cannot be read: {reason}", hint=hint)
