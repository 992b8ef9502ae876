"""Local stand-ins of objects in a bucket, so that a run works on them as on files.

The stand-in of `s3://BUCKET/KEY` is `WORK/s3/BUCKET/KEY`, in a private folder of this machine. The
run plans with these paths: names, options and policies mean what they mean for files. A photo is
fetched while the one before it is restored, and removed when it is done. A result is made here,
and sent when it is complete.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import replace
from glob import has_magic
from pathlib import Path
from typing import Any

from blurdm_cli.errors import BlurdmError, InputError, OutputError, UsageError
from blurdm_cli.files.formats import PHOTO_SUFFIXES
from blurdm_cli.files.inputs import Search, is_program
from blurdm_cli.files.naming import FileJob
from blurdm_cli.files.numbered import is_sequence
from blurdm_cli.files.objects import PACKAGES, Object, Store, is_object, without_scheme
from blurdm_cli.files.reading import no_input
from blurdm_cli.pipeline.options import RunOptions
from blurdm_cli.pipeline.outcome import Outcome
from blurdm_cli.pipeline.reporter import Advance, Reporter
from blurdm_cli.pipeline.workplace import throwaway, workplace

CONNECTIONS = 16
"""Requests at once for small pieces of many objects."""


class Mirror:
    """The objects of one run, and their stand-ins. A run without URLs has none."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._work: Path | None = None
        self._stores: dict[str, Store] = {}
        self._objects: dict[Path, Object] = {}
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

    def path_of(self, url: str) -> Path:
        """The stand-in of an object or a folder."""
        assert self._work is not None
        scheme, _, rest = url.partition("://")
        return self._work / scheme.lower() / rest.strip("/")

    def url_of(self, path: Path) -> str | None:
        """The URL of a stand-in; None for any other path."""
        if self._work is None or not path.is_relative_to(self._work):
            return None
        scheme, *rest = path.relative_to(self._work).parts or ("",)
        return f"{scheme}://{'/'.join(rest)}"

    def object_at(self, path: Path) -> Object | None:
        """The object that was at a stand-in's URL when the run began."""
        return self._objects.get(path)

    def exists(self, path: Path) -> bool:
        """Whether there is a file, or an object, at a path."""
        return os.path.lexists(path) if self.url_of(path) is None else path in self._objects

    def store_of(self, url: str) -> Store:
        """The store of a URL's scheme.

        Raises:
            RuntimeMissing: its package is not installed.
        """
        scheme = url.partition("://")[0].lower()
        if scheme not in self._stores:
            self._stores[scheme] = Store(scheme)
        return self._stores[scheme]

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

    def fetch(self, path: Path) -> None:
        """Fetch the object whose stand-in is about to be read; does nothing for a file.

        Raises:
            InputError: it cannot be fetched.
        """
        url = self.url_of(path)
        if url is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:  # S3 allows an object and a folder of the same name
            raise no_input(path, error) from error
        self.store_of(url).fetch(url, path)
        if known := self._objects.get(path):
            os.utime(path, ns=(known.mtime_ns, known.mtime_ns))

    def settle(self, outcome: Outcome) -> Outcome:
        """Remove the stand-ins of a file that is done, and name the objects in its outcome."""
        if self._work is None:
            return outcome
        names: list[str | None] = []
        for name in (outcome.input, outcome.output):
            url = self.url_of(Path(name)) if name else None
            if name and url:
                with suppress(OSError):
                    Path(name).unlink()
            names.append(url or name)
        if outcome.error:
            self._rename(outcome.error)
        message, hint, *notes = map(self.shown, (outcome.message, outcome.hint, *outcome.notes))
        said = replace(outcome, message=message, hint=hint, notes=tuple(notes))
        return replace(said, input=str(names[0]), output=names[1])

    def shown(self, text: str) -> str:
        """A text with URLs instead of stand-ins."""
        for scheme in PACKAGES if self._work else ():
            text = text.replace(f"{self._work}{os.sep}{scheme}{os.sep}", f"{scheme}://")
        return text

    def reporting(self, reporter: Reporter) -> Reporter:
        """A reporter whose messages name URLs instead of stand-ins."""
        return _Renaming(reporter, self.shown)

    def _rename(self, error: BlurdmError) -> None:
        error.args = tuple(self.shown(str(each)) for each in error.args)
        error.hint = error.hint and self.shown(error.hint)

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


class _Renaming:
    """Passes messages on, with other names in them."""

    def __init__(self, reporter: Reporter, shown: Callable[[str], str]) -> None:
        self._reporter, self._shown = reporter, shown

    def say(self, message: str) -> None:
        self._reporter.say(self._shown(message))

    def warn(self, message: str) -> None:
        self._reporter.warn(self._shown(message))

    def progress(self, what: str) -> AbstractContextManager[Advance]:
        return self._reporter.progress(self._shown(what))

    def finished(self, outcome: Outcome, facts: Mapping[str, Any]) -> None:
        self._reporter.finished(outcome, facts)

    def summary(self, outcomes: Sequence[Outcome], seconds: float) -> None:
        self._reporter.summary(outcomes, seconds)
