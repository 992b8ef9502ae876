"""The objects of a run, found, and replaced by their stand-ins.

The run plans with the paths of the stand-ins: names, options and policies mean what they mean for
files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from glob import has_magic
from pathlib import Path

from blurdm_cli.errors import BlurdmError, InputError, OutputError, UsageError
from blurdm_cli.files.formats import PHOTO_SUFFIXES
from blurdm_cli.files.inputs import Search, is_program
from blurdm_cli.files.naming import FileJob
from blurdm_cli.files.numbered import is_sequence
from blurdm_cli.files.objects import is_object, without_scheme
from blurdm_cli.pipeline.options import RunOptions
from blurdm_cli.pipeline.stand_ins import CONNECTIONS, Lent, StandIns
from blurdm_cli.pipeline.workplace import throwaway, workplace


class Mirror(StandIns):
    """The objects of one run, and their stand-ins. A run without URLs has none."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self._listed: set[Path] = set()

    def __enter__(self) -> Mirror:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, BlurdmError):
            self._rename(error)
        self._stack.close()

    def translate(self, run: RunOptions) -> RunOptions:
        """The same run, with paths instead of URLs.

        Raises:
            UsageError: the URL is not supported, or is one for which files are needed.
            OutputError: another run on this machine writes there.
            RuntimeMissing: a package is missing.
        """
        output = without_scheme(run.output) if run.output else run.output
        inputs = [without_scheme(word) for word in run.inputs]
        urls = [word for word in (output, *inputs) if word and is_object(word)]
        if not urls and not any(word.startswith("@") for word in inputs):
            return replace(run, inputs=inputs, output=output)
        key, skip = str(output or inputs), None
        if output and is_object(output):
            self._open(key, output, run)
            skip = self.path_of(output)
            if is_sequence(skip):
                raise UsageError(
                    f"{run.output} is an image sequence, and cannot be in a bucket",
                    hint="Name a video, or a folder on this machine",
                )
            output = f"{skip}{os.sep * output.endswith('/')}"

        def find(word: str) -> Iterator[tuple[Path, Path | None]]:
            self._open(key, word, run)
            return self._find(word, replace(run.search, skip=skip))

        search = replace(run.search, objects=find)
        return replace(run, inputs=inputs, output=output, search=search)

    def adopt(self, jobs: Sequence[FileJob], output: str | None) -> list[FileJob]:
        """Find out which results are in a bucket already; all of those jobs share one journal.

        Raises:
            OutputError: the bucket may not be listed.
        """
        adopted = []
        for job in jobs:
            if self.url_of(job.output) is None:
                adopted.append(job)
                continue
            adopted.append(replace(job, home=self._work))
            if not self._listed.isdisjoint(job.output.parents):
                continue
            if output and Path(output) in job.output.parents:
                self._list(Path(output), error=OutputError)
            else:
                self._list(job.output.parent, job.output.stem, OutputError)
        return adopted

    def lend(self, *paths: Path | None) -> Lent | None:
        """Return a worker's copies of files of which one is an object; None if none is."""
        if self._work is None or not any(path and self.url_of(path) for path in paths):
            return None
        return Lent(self._work, {p: self._objects[p] for p in paths if p and p in self._objects})

    def _open(self, key: str, url: str, run: RunOptions) -> None:
        """Create and lock the private folder, before the first use of a URL."""
        if run.in_place:
            raise UsageError("--in-place needs files, not URLs", hint="Leave out --in-place")
        self.store_of(url)
        if self._work is not None:
            return
        place = throwaway() if run.dry_run else workplace(key)
        self._work = self._stack.enter_context(place)

    def _find(self, word: str, search: Search) -> Iterator[tuple[Path, Path | None]]:
        """The stand-ins of the objects that a URL names, each with its folder's."""
        folder = self.path_of(word)
        listed = self._list(folder)
        if not word.endswith("/") and (not listed or folder in listed):
            if not listed and has_magic(word):
                yield from self._matching(word, search)
                return
            self._listed.discard(folder)
            self._peek([folder])
            yield folder, None
            return
        yield from self._selected(listed, folder, search)

    def _matching(self, word: str, search: Search) -> Iterator[tuple[Path, Path | None]]:
        from fsspec.utils import glob_translate

        parts = word.split("/")
        fixed = next(number for number, part in enumerate(parts) if number > 2 and has_magic(part))
        folder = self.path_of("/".join(parts[:fixed]))
        pattern = re.compile(glob_translate("/".join(parts[fixed:])))
        listed = [
            path
            for path in self._list(folder)
            if pattern.fullmatch(path.relative_to(folder).as_posix())
        ]
        if not listed:
            raise InputError(f"Nothing matches {word}", hint="Check the pattern and the bucket")
        yield from self._selected(listed, folder, replace(search, recursive=True))

    def _selected(
        self, listed: Iterable[Path], folder: Path, search: Search
    ) -> Iterator[tuple[Path, Path | None]]:
        """Those that the search selects, as it does files in a folder."""
        chosen = []
        for path in listed:
            inside = path.relative_to(folder)
            hidden = any(part.startswith(".") for part in inside.parts)
            deep = len(inside.parts) > 1 and not search.recursive
            skipped = search.skip in path.parents
            if search.takes(inside) and not (hidden or deep or skipped):
                chosen.append(path)
        self._peek([path for path in chosen if path.suffix.lower() not in PHOTO_SUFFIXES])
        yield from ((path, folder) for path in chosen if not is_program(path))

    def _list(
        self, folder: Path, prefix: str = "", error: type[BlurdmError] = InputError
    ) -> list[Path]:
        """List a folder, or the object of that name, once; a name that is no path is left out."""
        if folder in self._listed:
            return [path for path in self._objects if folder in (path, *path.parents)]
        url = self.url_of(folder)
        assert url is not None
        found = []
        for each in self.store_of(url).find(url, prefix, error):
            parts = each.url.split("/")[2:]
            if "" not in parts and "." not in parts and ".." not in parts:
                found.append(self.path_of(each.url))
                self._objects[found[-1]] = each
        if not prefix:
            self._listed.add(folder)
        return found

    def _peek(self, paths: Sequence[Path]) -> None:
        """Fetch the first bytes of objects, as the kind of a file is read from them."""

        def peek(path: Path) -> None:
            if known := self._objects.get(path):
                head = self.store_of(known.url).head(known)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(head)

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(peek, paths))
