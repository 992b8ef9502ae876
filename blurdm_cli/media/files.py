"""Files and folders: which photos there are, where results go, and writing them whole.

A result is written beside its place under another name, and takes its place at the very end:
whoever looks, at whatever moment, sees the old file or the new one.
"""

import errno
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from blurdm_cli.errors import InputError, OutputError, UsageError

FORMATS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "jpeg"),
    **dict.fromkeys((".tif", ".tiff"), "tiff"),
    **{".png": "png", ".webp": "webp", ".avif": "avif"},
}
"""The formats that are written, by suffix."""

PHOTO_SUFFIXES = frozenset(FORMATS) | {".bmp", ".gif"}
"""Suffixes, in lower case, of what is taken for a photo in a folder."""

OnExists = Literal["skip", "overwrite", "rename", "error"]
"""What to do where the output is there already."""

Found = Sequence[tuple[Path, Path | None]]
"""Photos, each with the folder that it was found through, or None where it was named itself."""

OWN_MARK = ".deblurred"
"""Stands between stem and suffix of results that lie beside their photos."""

OWN_STEM = re.compile(rf"(.+){re.escape(OWN_MARK)}(-\d+)?(\.compare)?")


@dataclass(frozen=True)
class Job:
    """A photo, and the file that its restored self will be."""

    input: Path
    output: Path


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


@contextmanager
def atomic_output(path: Path) -> Iterator[Path]:
    """Write a file that is there in full, or not at all; its folder is made where missing.

    Yields:
        The path to write to, in the same folder: `.{name}.part`. It is empty. When the
        block ends it takes the place of `path`; when the block fails it is removed.

    Raises:
        OutputError: the file cannot be written there.
    """
    long = len(os.fsencode(path.name)) > 200
    name = hashlib.sha256(os.fsencode(path.name)).hexdigest() if long else path.name
    part = path.with_name(f".{name}.part")
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)  # a killed run left it
        part.touch(exist_ok=False)
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _output_error(path, error) from error
        raise
    _keep_name(path.parent)


def _keep_name(folder: Path) -> None:
    """Have the folder's list of names written to the disk, where the system knows how to."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def _output_error(path: Path, error: OSError) -> OutputError:
    reason = error.strerror or type(error).__name__
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "Free some space, or write to another disk with --output"
    elif error.errno == errno.EISDIR:
        return OutputError(f"{path} is a folder, not a file", hint="Give --output another name")
    elif error.errno == errno.ENAMETOOLONG:
        hint = "Choose a shorter name with --output"
    else:
        hint = "Choose a place where you may write with --output"
    return OutputError(f"{path} cannot be written: {reason}", hint=hint)


def find_photos(folder: Path, recursive: bool = True, skip: Path | None = None) -> list[Path]:
    """All photos in a folder, by suffix, sorted; hidden files and folders are not looked at.

    Args:
        folder: where to look; links to folders are not followed.
        recursive: whether to look into its folders too.
        skip: a folder not to look into: the one that results are written to.

    Raises:
        InputError: there is no such folder, or it may not be read.
    """
    skipped, photos = skip and os.path.realpath(skip), list[Path]()
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise no_input(folder, error) from error
    for parent, folders, names in os.walk(folder):
        seen = [name for name in folders if recursive and not name.startswith(".")]
        folders[:] = [n for n in seen if os.path.realpath(os.path.join(parent, n)) != skipped]
        shown = [Path(parent, name) for name in names if not name.startswith(".")]
        photos += [path for path in shown if path.suffix.lower() in PHOTO_SUFFIXES]
    return sorted(photos)


def no_input(path: Path, error: OSError) -> InputError:
    """The error of a file or folder that cannot be opened, with the nearest name there is."""
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


def gather_photos(
    paths: Iterable[Path], recursive: bool = True, skip: Path | None = None
) -> list[tuple[Path, Path | None]]:
    """Photos that a user named, each once, with the folder that it was found through if any.

    Raises:
        InputError: a folder may not be read.
    """
    found: dict[Path, Path | None] = {}
    for path in paths:
        if path.is_dir():
            for photo in find_photos(path, recursive, skip):
                found.setdefault(photo, path)
        else:
            found.setdefault(path, None)
    return list(found.items())


def plan_outputs(
    inputs: Found, output: str | Path | None = None, *, suffix: str | None = None
) -> list[Job]:
    """Decide where each photo's result goes; no two go to one place, and none onto an input.

    Args:
        inputs: photos.
        output: None: beside each photo as `{stem}.deblurred{suffix}`, and results of earlier
            runs are no inputs. A file, for one photo that was named itself. Else a folder: what
            exists as one, has no suffix, or ends with a separator (in a str; a Path has lost
            it), or takes several photos; folders are mirrored in it.
        suffix: ".png" and the like: of all results, but not of an output file named in full.

    Raises:
        UsageError: a result would take an input's place, or several that of one file.
    """
    wanted: list[tuple[Path, Path]] = []
    if output is None:
        for photo, _ in _without_results(inputs):
            name = f"{photo.stem}{OWN_MARK}{_suffix(photo, suffix)}"
            wanted.append((photo, photo.with_name(name)))
    elif _is_file(output, inputs):
        wanted = [(photo, Path(output)) for photo, _ in inputs]
    else:
        if Path(output).is_file():
            raise UsageError(
                f"{output} is a file, and cannot hold the results of a folder",
                hint="Name a folder with --output",
            )
        for photo, root in inputs:
            inside = photo.relative_to(root or photo.parent).with_suffix(_suffix(photo, suffix))
            wanted.append((photo, Path(output, inside)))
    jobs = [Job(photo, place) for photo, place in _apart(wanted)]
    _check_inputs_stay(jobs)
    return jobs


def _is_file(output: str | Path, inputs: Found) -> bool:
    """Whether the output names the one result; the format must be one that can be written."""
    text = os.fspath(output)
    separators = tuple(filter(None, (os.sep, os.altsep)))
    if text.endswith(separators) or Path(text).is_dir() or not Path(text).suffix:
        return False
    if len(inputs) == 1 and inputs[0][1] is None:
        format_of(Path(text).suffix)
        return True
    if Path(text).suffix.lower() in PHOTO_SUFFIXES and len(inputs) > 1:
        raise UsageError(
            f"{len(inputs)} photos cannot be written to one file, {text}",
            hint="Name a folder with --output",
        )
    return False


def _without_results(inputs: Found) -> list[tuple[Path, Path | None]]:
    """Leave out what a run without --output wrote: in folders, and beside its own original."""
    named = {photo.with_suffix("") for photo, _ in inputs}
    kept = []
    for photo, root in inputs:
        match = OWN_STEM.fullmatch(photo.stem)
        if not match or (root is None and photo.with_name(match[1]) not in named):
            kept.append((photo, root))
    return kept


def _suffix(photo: Path, suffix: str | None) -> str:
    """The suffix asked for, or the photo's own where its format can be written, or none."""
    if suffix is not None:
        return suffix
    known = not photo.suffix or photo.suffix.lower() in FORMATS
    return photo.suffix if known else ".png"


def _apart(wanted: Iterable[tuple[Path, Path]]) -> Iterator[tuple[Path, Path]]:
    """Number the places that were taken before, also those that differ only in their case."""
    taken: set[str] = set()
    for photo, place in wanted:
        free = next(p for p in _numbered(place) if os.path.abspath(p).casefold() not in taken)
        taken.add(os.path.abspath(free).casefold())
        yield photo, free


def _numbered(path: Path) -> Iterator[Path]:
    """The path, then the same with -2, -3, ... behind the stem."""
    yield path
    number = 2
    while True:
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1


def _identity(path: Path) -> tuple[int, int] | str:
    """What two names of one file have in common, whatever links, `..` or case they use."""
    real = os.path.realpath(path)
    try:
        status = os.stat(real)
    except OSError:
        return real
    return status.st_dev, status.st_ino


def _check_inputs_stay(jobs: Sequence[Job]) -> None:
    inputs = {_identity(job.input) for job in jobs}
    for job in jobs:
        if _identity(job.output) in inputs:
            raise UsageError(
                f"{job.output} is an input, and would be replaced by its result",
                hint="Choose another place with --output",
            )


def settle(output: Path, policy: OnExists) -> Path | None:
    """Where to write, given what is there already; None is to skip.

    Raises:
        OutputError: there is a file, and the policy is "error".
    """
    if policy == "overwrite" or not os.path.lexists(output):
        return output
    if policy == "skip":
        return None
    if policy == "rename":
        return next(path for path in _numbered(output) if not os.path.lexists(path))
    raise OutputError(f"{output} exists already", hint="Try --on-exists overwrite, skip or rename")
