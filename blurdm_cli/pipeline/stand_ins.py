"""Local stand-ins of objects in a bucket, so that a run works on them as on files.

The stand-in of `s3://BUCKET/KEY` is `WORK/s3/BUCKET/KEY`, in a private folder of this machine. A
photo is fetched while the one before it is restored, and removed when it is done. A result is made
here, and sent when it is complete.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from blurdm_cli.errors import BlurdmError, OutputError
from blurdm_cli.files.atomic import output_error
from blurdm_cli.files.objects import PACKAGES, Object, Store
from blurdm_cli.files.reading import no_input
from blurdm_cli.pipeline.outcome import Outcome
from blurdm_cli.pipeline.reporter import Advance, Reporter

CONNECTIONS = 16
"""Requests at once for small pieces of many objects."""


@dataclass(frozen=True)
class Lent:
    """The stand-ins of one file, for a worker that fetches and sends its objects itself."""

    work: Path
    """The private folder; the worker has one of the same path."""
    objects: Mapping[Path, Object]
    """The stand-ins of objects that exist."""


class StandIns:
    """Objects and their stand-ins."""

    def __init__(self, lent: Lent | None = None, stores: dict[str, Store] | None = None) -> None:
        """Set up.

        Args:
            lent: the objects of a worker's file; None: there are none yet.
            stores: the stores that are open, by their schemes.
        """
        self._work = lent.work if lent else None
        self._objects = dict(lent.objects) if lent else {}
        self._stores = {} if stores is None else stores

    def open(self) -> None:
        """Create the private folder on the machine of a worker.

        Raises:
            OutputError: it cannot be created.
        """
        if self._work:
            try:
                self._work.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise output_error(self._work, error) from error

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

    def look_again(self, path: Path) -> None:
        """Find out what is at a stand-in's URL now.

        Raises:
            OutputError: the bucket may not be listed.
        """
        if url := self.url_of(path):
            self._objects.pop(path, None)
            for each in self.store_of(url).find(url, error=OutputError):
                if each.url == url:
                    self._objects[path] = each

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
                self.remove(Path(name))
            names.append(url or name)
        if outcome.error:
            self._rename(outcome.error)
        message, hint, *notes = map(self.shown, (outcome.message, outcome.hint, *outcome.notes))
        said = replace(outcome, message=message, hint=hint, notes=tuple(notes))
        return replace(said, input=str(names[0]), output=names[1])

    def remove(self, path: Path) -> None:
        """Remove a stand-in; does nothing for a file."""
        if self.url_of(path):
            with suppress(OSError):
                path.unlink()

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
