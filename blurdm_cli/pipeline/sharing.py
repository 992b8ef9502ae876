"""A run shared among workers: each takes the next file; the run keeps the journals."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue

from blurdm_cli.errors import BlurdmError, Busy, ComputeError, DiskFull
from blurdm_cli.files.atomic import part_of
from blurdm_cli.files.journal import Journal
from blurdm_cli.files.naming import FileJob
from blurdm_cli.pipeline.destinations import Destination, Destinations
from blurdm_cli.pipeline.outcome import Outcome, failed, left
from blurdm_cli.pipeline.pool import Lost, Member, Pool
from blurdm_cli.pipeline.reporter import Advance, Reporter
from blurdm_cli.pipeline.worker import Entry, Message, Progress, Said, Task, WorkerOptions

KILLS = 3
"""Workers that may end while they restore a file; then it fails."""

LOSSES = 10
"""As `KILLS`, counting those that ended with their machine too."""

LINGERS = 60.0
"""Seconds for which a lost worker may still hold the lock of its output."""

TICK = 0.25
"""Seconds after which the run looks for new workers."""


@dataclass(frozen=True, eq=False)
class Group:
    """The photos or the videos of a run, and what they share."""

    moving: bool
    """Whether they are videos."""
    jobs: Sequence[FileJob]
    settings: str
    """Identifies everything that determines the results, except the inputs."""
    journals: Mapping[Path | None, Journal]
    """By the folder that a job names as its home."""
    places: Destinations


@dataclass(eq=False)
class _File:
    """A file of the run."""

    job: FileJob
    group: Group
    place: Destination | None = None
    part: float = 0.0
    """The fraction that is done."""
    lost: list[Member] = field(default_factory=list)
    """Workers that ended while they restored it."""
    since: float = 0.0
    """When the last one did."""
    ends: list[Entry] = field(default_factory=list)
    """Recorded together with its outcome: a worker may end between the two."""


class SharedRun:
    """Gives files to workers, one at a time to each, and handles their messages."""

    def __init__(
        self,
        pool: Pool,
        options: WorkerOptions,
        reporter: Reporter,
        tell: Callable[[Outcome], None],
    ) -> None:
        """Set up.

        Args:
            pool: the workers.
            options: the options that they have.
            reporter: shows the progress.
            tell: called with each outcome.
        """
        self._pool = pool
        self._options = options
        self._reporter = reporter
        self._tell = tell
        self._waiting = deque[_File]()
        self._free: list[Member] = []
        self._going = set[_File]()
        self._heard = SimpleQueue[tuple[Member, _File, Future[Message]]]()
        self._total = self._finished = 0

    def __call__(self, groups: Sequence[Group]) -> None:
        """Restore files; report errors and continue, unless the disk is full.

        The last group is started first: videos take longest.

        Raises:
            ComputeError: no worker is left.
        """
        self._waiting.extend(_File(job, group) for group in reversed(groups) for job in group.jobs)
        self._total = len(self._waiting)
        with self._reporter.progress("") as advance:
            while self._waiting or self._going:
                self._free += self._pool.joined()
                while self._free and (task := self._next()):
                    self._give(self._free.pop(), *task)
                with suppress(Empty):
                    self._hear(*self._heard.get(timeout=TICK))
                    self._show(advance)

    def _next(self) -> tuple[_File, Task] | None:
        """Take the next file that is not skipped."""
        while self._waiting:
            file = self._waiting.popleft()
            try:
                place = self._find(file)
            except BlurdmError as error:
                self._finish(file, failed(file.job.input, error))
                continue
            if place.target is None:
                self._finish(file, left(file.job, place))
                continue
            file.place, file.part, file.ends = place, 0.0, []
            return file, Task(file.job, place, file.group.moving, file.group.settings)
        return None

    def _find(self, file: _File) -> Destination:
        places = file.group.places
        if file.place:
            return places.find_again(file.job, file.place)
        place = places.find(file.job)
        if place.target and self._options.photos.compare and not file.group.moving:
            place = places.with_sheet(file.job, place)
        return place

    def _give(self, member: Member, file: _File, task: Task) -> None:
        self._going.add(file)
        self._expect(member, file, member.deblur(task))

    def _expect(self, member: Member, file: _File, answer: Future[Message]) -> None:
        answer.add_done_callback(lambda done: self._heard.put((member, file, done)))

    def _hear(self, member: Member, file: _File, answer: Future[Message]) -> None:
        """Handle a message of a worker."""
        try:
            message = answer.result()
        except Lost:
            self._lose(member, file)
            return
        reply: BlurdmError | None = None
        match message:
            case Outcome():
                self._going.discard(file)
                self._free.append(member)
                self._end(file, message)
                return
            case Entry(kind="end"):
                file.ends.append(message)
            case Entry():
                reply = _record(file, message)
            case Progress():
                file.part = message.part
            case Said():
                (self._reporter.warn if message.warning else self._reporter.say)(message.text)
        self._expect(member, file, member.proceed(reply))

    def _lose(self, member: Member, file: _File) -> None:
        """Put a file back whose worker ended, unless it seems to be the reason."""
        self._pool.remove(member)
        self._going.discard(file)
        file.lost.append(member)
        file.since = time.monotonic()
        blamed = sum(other.is_to_blame() for other in file.lost)
        if blamed < KILLS and len(file.lost) < LOSSES:
            self._waiting.append(file)
            return
        if file.place and file.place.target:
            part_of(file.place.target).unlink(missing_ok=True)
        said = ComputeError(
            f"{file.job.input} was given up: {len(file.lost)} workers ended while they restored it",
            hint="It may need more memory than they have, or be damaged; try it on its own",
        )
        self._finish(file, failed(file.job.input, said))

    def _end(self, file: _File, outcome: Outcome) -> None:
        lingering = file.lost and time.monotonic() < file.since + LINGERS
        if lingering and isinstance(outcome.error, Busy):
            self._waiting.append(file)
            return
        for entry in file.ends:
            if error := _record(file, entry):
                outcome = failed(file.job.input, error)
        self._finish(file, outcome)

    def _finish(self, file: _File, outcome: Outcome) -> None:
        self._finished += 1
        self._tell(outcome)
        ends = self._options.run.fail_fast and outcome.status == "failed"
        if ends or isinstance(outcome.error, DiskFull):
            self._waiting.clear()

    def _show(self, advance: Advance) -> None:
        done = self._finished + sum(file.part for file in self._going)
        advance(done / self._total, f"{self._finished}/{self._total}")


def _record(file: _File, entry: Entry) -> BlurdmError | None:
    """Record an entry in the file's journal; return why it cannot be."""
    journal = file.group.journals[file.job.home]
    try:
        match entry.kind:
            case "start":
                journal.start(entry.source, entry.output)
            case "seal" if entry.stamp:
                journal.seal(entry.source, entry.output, entry.stamp)
            case "end" if entry.stamp:
                journal.end(entry.source, entry.output, entry.stamp)
    except BlurdmError as error:
        return error
    return None
