"""Where a file is read from and written to, given what is there and what earlier runs did."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from blurdm_cli.choices import OnExists
from blurdm_cli.errors import OutputError
from blurdm_cli.files.atomic import original_of
from blurdm_cli.files.formats import INSTEAD
from blurdm_cli.files.journal import Journal
from blurdm_cli.files.naming import Job, numbered, plain, resolve_existing

Reason = Literal["", "done-before", "exists", "not-blurred"]
"""Why a file was skipped."""


@dataclass(frozen=True)
class Destination:
    """Where a file is read from and written to."""

    source: Path
    target: Path | None
    """None: nothing is to be done."""
    original: Path
    """What the journal calls the input: in place, the copy of it that is kept."""
    reason: Reason = ""
    """Why nothing is to be done."""
    why: str = ""
    """The same in words."""
    existing: Path | None = None
    """The result of an earlier run, where that is why."""
    sheet: Path | None = None
    """Where before and after go as one picture; None: nowhere."""


class Destinations:
    """The places of one run's files. A file's own journal is asked first, then the policy."""

    def __init__(
        self,
        jobs: Iterable[Job],
        journals: Mapping[Path | None, Journal],
        on_exists: OnExists = "skip",
        *,
        in_place: bool = False,
        resume: bool = True,
    ) -> None:
        """Set up.

        Args:
            jobs: all of the run.
            journals: by the folder that a job names as its home.
            on_exists: what to do with a file that no run with such a journal wrote.
            in_place: whether results take their inputs' places, which are kept beside them.
            resume: whether to leave alone what was done before.
        """
        self._journals = journals
        self._on_exists = on_exists
        self._in_place = in_place
        self._resume = resume
        jobs = tuple(jobs)
        self._planned = {plain(job.output) for job in jobs}
        self._real = {_real(path) for job in jobs for path in (job.input, job.output)}

    def find(self, job: Job) -> Destination:
        """Decide for one file.

        Raises:
            OutputError: something is there, and the policy is "error".
        """
        if self._in_place:
            return self._find_in_place(job)
        source = job.input
        for target in self._candidates(job):
            if self._is_done(job, source, target):
                return _done(job, source, target)
        if self._on_exists != "rename" and self._is_own(job, source, job.output):
            return Destination(source, job.output, source)
        taken = self._planned - {plain(job.output)}
        settled = resolve_existing(job.output, self._on_exists, taken)
        if settled is None:
            why = f"{job.output} exists already; --overwrite replaces it"
            return Destination(source, None, source, "exists", why)
        self._planned.add(plain(settled))
        return Destination(source, settled, source)

    def with_sheet(self, job: Job, place: Destination) -> Destination:
        """Decide where the comparison goes: nowhere if a file is there and the policy is "skip".

        It takes the place of no input and no result of the run, whatever the policy.

        Raises:
            OutputError: something is there, and the policy is "error".
        """
        if place.target is None:
            return place
        stem, suffix = place.target.stem, place.target.suffix
        sheets = numbered(place.target.with_name(f"{stem}.compare{suffix}"))
        free = next(
            path
            for path in sheets
            if plain(path) not in self._planned and _real(path) not in self._real
        )
        own = self._is_own(job, place.original, free)
        sheet = free if own else resolve_existing(free, self._on_exists, self._planned)
        if sheet is not None:
            self._planned.add(plain(sheet))
        return replace(place, sheet=sheet)

    def _candidates(self, job: Job) -> Iterator[Path]:
        """The places that an earlier run may have written to."""
        if self._on_exists != "rename":
            yield job.output
            return
        for target in numbered(job.output):
            if not os.path.lexists(target):
                return
            yield target

    def _find_in_place(self, job: Job) -> Destination:
        kept = original_of(job.output)
        if job.output.suffix.lower() in INSTEAD:
            raise OutputError(
                f"{job.input} is of a format that is not written, so not in place",
                hint="Leave out --in-place, and choose a --format",
            )
        journal = self._journals.get(job.home)
        if not kept.exists():
            if journal and journal.is_result(job.output) and journal.is_own(kept, job.output):
                why = f"{job.input} was restored before, and its original, {kept.name}, is gone"
                return Destination(job.output, None, kept, "exists", why)
            return Destination(job.output, job.output, kept)
        if self._is_done(job, kept, job.output):
            return _done(job, kept, job.output)
        started = filecmp.cmp(kept, job.output, shallow=False)  # a killed run kept it, and no more
        if started or self._is_own(job, kept, job.output):
            return Destination(kept, job.output, kept)
        why = f"{kept} exists already, and {job.input} is not known to be made of it"
        hint = (
            f"Move {kept.name} elsewhere to restore the file as it is now,"
            " or back over it to restore the original again"
        )
        if self._on_exists in ("error", "overwrite"):
            raise OutputError(why, hint=hint)
        return Destination(kept, None, kept, "exists", f"{why}. {hint}")

    def _is_done(self, job: Job, original: Path, target: Path) -> bool:
        journal = self._journals.get(job.home)
        return bool(self._resume and journal and journal.is_done(original, target))

    def _is_own(self, job: Job, original: Path, path: Path) -> bool:
        journal = self._journals.get(job.home)
        return bool(journal and journal.is_own(original, path))


def _real(path: Path) -> str:
    """What all names of one file have in common, through whatever links."""
    return plain(Path(os.path.realpath(path)))


def _done(job: Job, original: Path, result: Path) -> Destination:
    why = f"{job.input} was done before"
    return Destination(original, None, original, "done-before", why, existing=result)
