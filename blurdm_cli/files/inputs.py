"""Resolve input arguments: files, folders, patterns, and lists of them."""

import errno
import os
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from glob import glob, has_magic
from pathlib import Path, PurePath

from blurdm_cli.errors import InputError, UsageError
from blurdm_cli.files.formats import PHOTO_SUFFIXES
from blurdm_cli.files.objects import is_object, without_scheme
from blurdm_cli.files.reading import no_input
from blurdm_cli.files.signatures import VIDEO, kind_of_file, special

Found = Sequence[tuple[Path, Path | None]]
"""Files, each with the folder that it was found in, or None if it was named directly."""


def ignore(error: OSError) -> None:
    """Do nothing; unlike a lambda, it can be sent to another process."""


@dataclass(frozen=True)
class Search:
    """Rules that select the files of a folder."""

    recursive: bool = True
    """Whether to search subfolders."""
    include: tuple[str, ...] = ()
    """Patterns such as `*.jpg` or `2024/*`, one of which must match; empty: every file matches."""
    exclude: tuple[str, ...] = ()
    """Patterns, none of which may match."""
    suffixes: Collection[str] = PHOTO_SUFFIXES
    """Suffixes of the selected files, in lower case."""
    objects: Callable[[str], Iterator[tuple[Path, Path | None]]] | None = None
    """Finds what the URL of an object or of a folder of objects names; None: files only."""
    skip: Path | None = None
    """A folder not to search: the output folder."""
    left_out: Callable[[OSError], object] = ignore
    """Called for subfolders that may not be read, and for everything that is no regular file."""

    def skips(self, folder: Path) -> bool:
        """Whether not to search a folder, whatever path names it."""
        return self.skip is not None and os.path.realpath(folder) == os.path.realpath(self.skip)

    def takes(self, inside: PurePath) -> bool:
        """Whether a file is selected; patterns match its path inside the folder or its name."""
        names = (inside.as_posix(), inside.name)

        def fits(pattern: str) -> bool:
            return any(fnmatch(_plain(path), _plain(pattern)) for path in names)

        if inside.suffix.lower() not in self.suffixes:
            return False
        wanted = not self.include or any(map(fits, self.include))
        return wanted and not any(map(fits, self.exclude))


def find_files(folder: Path, search: Search = Search()) -> list[Path]:
    """Find all files in a folder that the search selects, sorted; hidden ones are skipped.

    Links to folders are not followed.

    Raises:
        InputError: the folder does not exist or may not be read.
    """
    found = list[Path]()
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise no_input(folder, error) from error
    for parent, folders, names in os.walk(folder, onerror=search.left_out):
        seen = [name for name in folders if search.recursive and not name.startswith(".")]
        folders[:] = [n for n in seen if not search.skips(Path(parent, n))]
        shown = [Path(parent, name) for name in names if not name.startswith(".")]
        found += [path for path in shown if search.takes(path.relative_to(folder))]
    files = list[Path]()
    for path in found:
        if words := special(path):
            search.left_out(OSError(errno.EINVAL, f"{words}, not a file", str(path)))
        elif not is_program(path):
            files.append(path)
    return sorted(files)


def _plain(name: str) -> str:
    """Normalise a name for comparison: ignore case and the encoding of accents."""
    return unicodedata.normalize("NFC", name).lower()


def is_program(path: Path) -> bool:
    """Whether a file is a TypeScript program, whose suffix is also that of a video."""
    return path.suffix.lower() == ".ts" and kind_of_file(path) != VIDEO


def gather(words: Iterable[str | Path], search: Search = Search()) -> Found:
    """Collect the files that the arguments name, each once, with the folder it was found in.

    Args:
        words: a file; a folder; a pattern (`**` matches folders) if no file has that name; or
            `@list.txt`, a text file with one such argument per line (or `find -print0` output).
        search: selects files in folders and from patterns.

    Raises:
        InputError: a list or a folder may not be read, or nothing matches a pattern.
        UsageError: a URL is not supported.
    """
    found: dict[Path, tuple[Path, Path | None]] = {}
    for word in _with_lists(words):
        for file, root in _meant(word, search):
            found.setdefault(file.absolute(), (file, root))
    return list(found.values())


def _meant(word: str, search: Search) -> Iterator[tuple[Path, Path | None]]:
    """The files that one argument names, each with the folder that it was found in."""
    path = Path(word)
    if is_object(word):
        if search.objects is None:
            raise UsageError(
                f"{word} is in a bucket, and this command takes files",
                hint="blurdm deblur takes URLs; copy it to this machine",
            )
        yield from search.objects(word)
    elif path.is_dir():
        yield from ((file, path) for file in find_files(path, search))
    elif has_magic(word) and not path.exists():
        yield from _matching(word, search)
    else:
        yield path, None


def _with_lists(words: Iterable[str | Path]) -> Iterator[str]:
    for word in (os.fspath(each) for each in words):
        if not word.startswith("@") or os.path.exists(word):
            yield without_scheme(word)
            continue
        path = Path(word[1:])
        try:
            text = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise no_input(path, error) from error
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path} is not a list of files", hint="Use a UTF-8 text with one path per line"
            ) from error
        lines = text.split("\0") if "\0" in text else text.splitlines()
        yield from (without_scheme(line) for line in lines if line.strip())


def _matching(pattern: str, search: Search) -> Iterator[tuple[Path, Path]]:
    """The files that match a pattern, with its longest leading folder without wildcards.

    Files in a skipped subfolder of that folder are left out.
    """
    parts = Path(pattern).parts
    fixed = 0  # a folder with exactly this name counts, even if it has brackets
    while fixed + 1 < len(parts) and Path(*parts[: fixed + 1]).exists():
        fixed += 1
    root = Path(*parts[:fixed])
    rest = Path(*parts[fixed:]).as_posix()
    forms = {unicodedata.normalize(form, rest) for form in ("NFC", "NFD")}
    found = (glob(form, root_dir=root, recursive=True) for form in forms)
    matches = sorted({root / each for names in found for each in names})
    if not matches:
        raise InputError(f"Nothing matches {pattern}", hint="Check the pattern and the folder")
    for path in matches:
        inside = path.relative_to(root)
        below = [root / folder for folder in inside.parents][:-1]
        if path.is_file() and search.takes(inside) and not any(map(search.skips, below)):
            yield path, root
