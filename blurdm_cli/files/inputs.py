"""What a user's words for inputs mean: files, folders, patterns, and lists of them."""

import errno
import os
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from glob import glob, has_magic
from pathlib import Path, PurePath

from blurdm_cli.errors import InputError
from blurdm_cli.files.formats import PHOTO_SUFFIXES
from blurdm_cli.files.reading import no_input
from blurdm_cli.files.signatures import VIDEO, kind_of_file, special

Found = Sequence[tuple[Path, Path | None]]
"""Files, each with the folder that it was found through, or None where it was named itself."""


@dataclass(frozen=True)
class Search:
    """Which files of a folder are taken."""

    recursive: bool = True
    """Whether to look into its folders too."""
    include: tuple[str, ...] = ()
    """Patterns such as `*.jpg` or `2024/*`, of which one must fit; none: everything does."""
    exclude: tuple[str, ...] = ()
    """Patterns of which none may fit."""
    suffixes: Collection[str] = PHOTO_SUFFIXES
    """In lower case."""
    skip: Path | None = None
    """A folder not to look into: the one that results are written to."""
    left_out: Callable[[OSError], object] = lambda error: None
    """Is told of folders below that may not be read, and of what is no regular file."""

    def skips(self, folder: Path) -> bool:
        """Whether a folder is not to be looked into, however it is named."""
        return self.skip is not None and os.path.realpath(folder) == os.path.realpath(self.skip)

    def takes(self, inside: PurePath) -> bool:
        """Whether a file is taken, by its path inside the folder; a name alone may fit too."""
        names = (inside.as_posix(), inside.name)

        def fits(pattern: str) -> bool:
            return any(fnmatch(_plain(path), _plain(pattern)) for path in names)

        if inside.suffix.lower() not in self.suffixes:
            return False
        wanted = not self.include or any(map(fits, self.include))
        return wanted and not any(map(fits, self.exclude))


def find_files(folder: Path, search: Search = Search()) -> list[Path]:
    """All files in a folder that the search takes, sorted; hidden ones are not looked at.

    Links to folders are not followed.

    Raises:
        InputError: there is no such folder, or it may not be read.
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
    """A name as names are compared: not by case, nor by how accents are written."""
    return unicodedata.normalize("NFC", name).lower()


def is_program(path: Path) -> bool:
    """Whether a file has a video's suffix that programs in TypeScript have too, and is none."""
    return path.suffix.lower() == ".ts" and kind_of_file(path) != VIDEO


def gather(words: Iterable[str | Path], search: Search = Search()) -> Found:
    """The files that a user's words name, each once, with the folder that it was found through.

    Args:
        words: a file; a folder; a pattern (`**` goes into folders), where no file has that name;
            or `@list.txt`, a text file with one such word a line (or as `find -print0` writes it).
        search: which files of folders and patterns are taken.

    Raises:
        InputError: a list or a folder may not be read, or nothing fits a pattern.
    """
    found: dict[Path, tuple[Path, Path | None]] = {}
    for word in _with_lists(words):
        for file, root in _meant(word, search):
            found.setdefault(file.absolute(), (file, root))
    return list(found.values())


def _meant(word: str, search: Search) -> Iterator[tuple[Path, Path | None]]:
    """The files that one word names, each with the folder that it was found through."""
    path = Path(word)
    if path.is_dir():
        yield from ((file, path) for file in find_files(path, search))
    elif has_magic(word) and not path.exists():
        yield from _matching(word, search)
    else:
        yield path, None


def _with_lists(words: Iterable[str | Path]) -> Iterator[str]:
    for word in (os.fspath(each) for each in words):
        if not word.startswith("@") or os.path.exists(word):
            yield word
            continue
        path = Path(word[1:])
        try:
            text = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise no_input(path, error) from error
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path} is no list of files", hint="It is a UTF-8 text with one path a line"
            ) from error
        lines = text.split("\0") if "\0" in text else text.splitlines()
        yield from (line for line in lines if line.strip())


def _matching(pattern: str, search: Search) -> Iterator[tuple[Path, Path]]:
    """The files that fit a pattern, with its longest folder that is no pattern itself.

    What lies in a folder below that one which is not to be looked into is left out.
    """
    parts = Path(pattern).parts
    fixed = 0  # a folder of that very name is meant, even if it has brackets
    while fixed + 1 < len(parts) and Path(*parts[: fixed + 1]).exists():
        fixed += 1
    root = Path(*parts[:fixed])
    rest = Path(*parts[fixed:]).as_posix()
    forms = {unicodedata.normalize(form, rest) for form in ("NFC", "NFD")}
    found = (glob(form, root_dir=root, recursive=True) for form in forms)
    matches = sorted({root / each for names in found for each in names})
    if not matches:
        raise InputError(f"Nothing fits {pattern}", hint="Check the pattern and the folder")
    for path in matches:
        inside = path.relative_to(root)
        below = [root / folder for folder in inside.parents][:-1]
        if path.is_file() and search.takes(inside) and not any(map(search.skips, below)):
            yield path, root
