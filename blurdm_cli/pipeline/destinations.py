"""Choose where each file is read and written, from existing files and earlier runs."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from blurdm_cli.choices import OnExists
from blurdm_cli.errors import OutputError
from blurdm_cli.files.atomic import Identity, Seal, identity_of, original_of, unless_changed
from blurdm_cli.files.formats import INSTEAD
from blurdm_cli.files.journal import Journal
from blurdm_cli.files.naming import FileJob, numbered, plain, resolve_existing

Reason = Literal["", "done-before", "exists", "not-blurred"]
"""Why a file was skipped."""


@dataclass(frozen=True)
class Destination:
    """Paths where a file is read and written."""

    source: Path
    target: Path | None
    """None: skip the file."""
    original: Path
    """The input's name in the journal; in place, the copy of the original."""
    reason: Reason = ""
    """Why the file is skipped."""
    why: str = ""
    """The reason as a sentence."""
    existing: Path | None = None
    """The result of an earlier run, if that is the reason."""
    sheet: Path | None = None
    """Path of the comparison of before and after; None: it is not written."""
    there: Mapping[Path, Identity] = field(default_factory=dict)
    """Identity of the files at target and sheet, which no others may replace meanwhile."""

    def guard(self, path: Path, seal: Seal) -> Seal:
        """Keep a file that somebody puts at the target or the sheet from now on."""
        return unless_changed(path, self.there[path], seal) if path in self.there else seal


class Destinations:
    """The destinations of one run. A file's own journal takes precedence over the policy."""

    def __init__(
        self,
        jobs: Iterable[FileJob],
        journals: Mapping[Path | None, Journal],
        on_exists: OnExists = "skip",
        *,
        in_place: bool = False,
        resume: bool = True,
        exists: Callable[[Path], bool] = os.path.lexists,
    ) -> None:
        """Set up.

        Args:
            jobs: all jobs of the run.
            journals: by the folder that a job names as its home.
            on_exists: what to do with a file that no run with such a journal wrote.
            in_place: whether results replace their inputs, which are kept next to them.
            resume: whether to skip what was already done.
            exists: whether something is at a path.
        """
        self._journals = journals
        self._on_exists = on_exists
        self._in_place = in_place
        self._resume = resume
        self._exists = exists
        jobs = tuple(jobs)
        self._planned = {plain(job.output) for job in jobs}
        self._real = {_real(path) for job in jobs for path in (job.input, job.output)}

    def find(self, job: FileJob) -> Destination:
        """Find the destination of one file.

        Raises:
            OutputError: a file exists there, and the policy is "error".
        """
        place = self._find_in_place(job) if self._in_place else self._find_apart(job)
        if place.target is None:
            return place
        return replace(place, there={place.target: identity_of(place.target)})

    def find_again(self, job: FileJob, before: Destination) -> Destination:
        """Find the destination of a file whose worker ended; a name that was chosen stays.

        Raises:
            OutputError: as `find`.
        """
        target = before.target
        if self._on_exists == "rename" and target and self._is_own(job, before.original, target):
            place = replace(before, there={target: identity_of(target)})
        else:
            if target and target != job.output:
                self._planned.discard(plain(target))
            place = self.find(job)
        sheet = before.sheet
        if sheet is None or place.target is None:
            return place
        self._planned.discard(plain(sheet))
        return self.with_sheet(job, replace(place, sheet=None))

    def _find_apart(self, job: FileJob) -> Destination:
        source = job.input
        for target in self._candidates(job):
            if self._is_done(job, source, target):
                return _done(job, source, target)
        if self._on_exists != "rename" and self._is_own(job, source, job.output):
            return Destination(source, job.output, source)
        taken = self._planned - {plain(job.output)}
        settled = resolve_existing(job.output, self._on_exists, taken, self._exists)
        if settled is None:
            why = f"{job.output} exists already; --overwrite replaces it"
            return Destination(source, None, source, "exists", why)
        self._planned.add(plain(settled))
        return Destination(source, settled, source)

    def with_sheet(self, job: FileJob, place: Destination) -> Destination:
        """Add the destination of the comparison: none if a file exists and the policy is "skip".

        A comparison never replaces an input or a result of the run, whatever the policy.

        Raises:
            OutputError: a file exists there, and the policy is "error".
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
        policy, taken = self._on_exists, self._planned
        sheet = free if own else resolve_existing(free, policy, taken, self._exists)
        if sheet is None:
            return place
        self._planned.add(plain(sheet))
        return replace(place, sheet=sheet, there={**place.there, sheet: identity_of(sheet)})

    def _candidates(self, job: FileJob) -> Iterator[Path]:
        """The paths that an earlier run may have written."""
        if self._on_exists != "rename":
            yield job.output
            return
        for target in numbered(job.output):
            if not self._exists(target):
                return
            yield target

    def _find_in_place(self, job: FileJob) -> Destination:
        kept = original_of(job.output)
        if job.output.suffix.lower() in INSTEAD:
            raise OutputError(
                f"{job.input} has a format that cannot be written, so not in place either",
                hint="Leave out --in-place, and choose a --format",
            )
        journal = self._journals.get(job.home)
        if not kept.exists():
            if journal and journal.is_result(job.output) and journal.is_own(kept, job.output):
                why = f"{job.input} is already restored, and its original, {kept.name}, is gone"
                return Destination(job.output, None, kept, "exists", why)
            return Destination(job.output, job.output, kept)
        if self._is_done(job, kept, job.output):
            return _done(job, kept, job.output)
        started = filecmp.cmp(kept, job.output, shallow=False)  # a killed run only made the copy
        if started or self._is_own(job, kept, job.output):
            return Destination(kept, job.output, kept)
        why = f"{kept} exists already, and {job.input} is not known to be made from it"
        hint = (
            f"Move {kept.name} elsewhere to restore the file as it is now,"
            " or back over it to restore the original again"
        )
        if self._on_exists in ("error", "overwrite"):
            raise OutputError(why, hint=hint)
        return Destination(kept, None, kept, "exists", f"{why}. {hint}")

    def _is_done(self, job: FileJob, original: Path, target: Path) -> bool:
        journal = self._journals.get(job.home)
        return bool(self._resume and journal and journal.is_done(original, target))

    def _is_own(self, job: FileJob, original: Path, path: Path) -> bool:
        journal = self._journals.get(job.home)
        return bool(journal and journal.is_own(original, path))


def _real(path: Path) -> str:
    """A string that is the same for all names of a file, through any links."""
    return plain(Path(os.path.realpath(path)))


def _done(job: FileJob, original: Path, result: Path) -> Destination:
    why = f"{job.input} was already done"
    return Destination(original, None, original, "done-before", why, existing=result)
