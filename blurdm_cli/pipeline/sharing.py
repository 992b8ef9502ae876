"""A run shared among workers: each takes the next file; the run keeps the journals."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue

from blurdm_cli.errors import BlurdmError, Busy, ComputeError, DiskFull
from blurdm_cli.files.atomic import part_of
from blurdm_cli.pipeline.destinations import Destination
from blurdm_cli.pipeline.messages import (
    Answer,
    Claim,
    Entry,
    Message,
    Progress,
    Said,
    Task,
    Wait,
)
from blurdm_cli.pipeline.mirror import Mirror
from blurdm_cli.pipeline.outcome import Outcome, failed, left
from blurdm_cli.pipeline.pool import Lost, Member, Pool
from blurdm_cli.pipeline.reporter import Advance, Reporter
from blurdm_cli.pipeline.shared_files import KILLS, Group, SharedFile, record
from blurdm_cli.pipeline.worker import WorkerOptions

LOSSES = 10
"""As `KILLS`, counting those that ended with their machine or beside another file too."""

LINGERS = 60.0
"""Seconds for which a lost worker may still hold the lock of its output."""

TICK = 0.25
"""Seconds after which the run looks for new workers."""


class SharedRun:
    """Gives files to workers, one at a time to each, and handles their messages."""

    def __init__(
        self,
        pool: Pool,
        options: WorkerOptions,
        reporter: Reporter,
        tell: Callable[[Outcome], None],
        mirror: Mirror,
    ) -> None:
        """Set up.

        Args:
            pool: the workers.
            options: the options that they have.
            reporter: shows the progress.
            tell: called with each outcome.
            mirror: the objects of the run.
        """
        self._pool = pool
        self._options = options
        self._reporter = reporter
        self._tell = tell
        self._mirror = mirror
        self._waiting = deque[SharedFile]()
        self._free: list[Member] = []
        self._going = set[SharedFile]()
        self._heard = SimpleQueue[tuple[Member, SharedFile, Future[Message]]]()
        self._total = self._finished = 0

    def __call__(self, groups: Sequence[Group]) -> None:
        """Restore files; report errors and continue, unless the disk is full.

        The last group is started first: videos take longest.

        Raises:
            ComputeError: no worker is left.
        """
        self._waiting.extend(
            SharedFile(job, group) for group in reversed(groups) for job in group.jobs
        )
        self._total = len(self._waiting)
        with self._reporter.progress("") as advance:
            while self._waiting or self._going:
                self._free += self._pool.joined()
                while self._free and self._waiting:
                    member = self._find_worker(self._waiting[0])
                    if member is None:
                        break
                    self._start(self._waiting.popleft(), member)
                self._have_helped()
                with suppress(Empty):
                    self._hear(*self._heard.get(timeout=TICK))
                    self._show(advance)

    def _find_worker(self, file: SharedFile) -> Member | None:
        """Find a free worker for a file, if possible in a process without other files."""
        busy = self._busy()
        empty = next((each for each in self._free if each.process not in busy), None)
        if empty or file.is_exclusive:
            return empty
        return next((each for each in self._free if not busy[each.process]), None)

    def _busy(self) -> dict[object, bool]:
        """The processes that have files, and whether theirs is exclusive."""
        going = self._going
        return {each.process: file.is_exclusive for file in going for each in file.workers}

    def _start(self, file: SharedFile, member: Member) -> None:
        """Give a file to a worker, unless it is skipped."""
        try:
            place = self._find(file)
        except BlurdmError as error:
            self._finish(file, failed(file.job.input, error))
            return
        if place.target is None:
            self._finish(file, left(file.job, place))
            return
        file.place, file.part, file.ends = place, 0.0, []
        file.owner, file.waits = member, False
        self._free.remove(member)
        self._going.add(file)
        self._expect(member, file, member.deblur(self._task(file, place)))

    def _have_helped(self) -> None:
        """Let processes for which no file is left help with the videos of others."""
        for member in tuple(self._free):
            file = next((file for file in self._going if file.wants(member)), None)
            if file and file.place and member.process not in self._busy():
                self._free.remove(member)
                file.helpers.append(member)
                self._expect(member, file, member.deblur(self._task(file, file.place, helps=True)))

    def _task(self, file: SharedFile, place: Destination, *, helps: bool = False) -> Task:
        group, begun = file.group, file.segments.begun
        lent = self._mirror.lend(place.source, place.target, place.sheet)
        file.alone = lent is not None
        return Task(file.job, place, group.moving, group.settings, lent, begun, helps)

    def _find(self, file: SharedFile) -> Destination:
        places = file.group.places
        if file.place:
            for path in filter(None, (file.place.target, file.place.sheet)):
                if journal := file.group.journals.get(file.job.home):
                    journal.refresh(path)
            return places.find_again(file.job, file.place)
        place = places.find(file.job)
        if place.target and self._options.photos.compare and not file.group.moving:
            place = places.with_sheet(file.job, place)
        return place

    def _expect(self, member: Member, file: SharedFile, answer: Future[Message]) -> None:
        answer.add_done_callback(lambda done: self._heard.put((member, file, done)))

    def _hear(self, member: Member, file: SharedFile, answer: Future[Message]) -> None:
        """Handle a message of a worker, unless its process has ended meanwhile."""
        if member not in file.workers:
            return
        try:
            message = answer.result()
        except Lost:
            self._lose(member)
            return
        reply: Answer = None
        match message:
            case Outcome() if member is not file.owner:
                if message.error:
                    file.useless.append(member.process)
                    file.segments.release(member)
                self._free.append(member)
                self._leave(member, file)
                return
            case Outcome():
                self._free.append(member)
                file.owner = None
                self._end(file, message)
                return
            case Claim() | Wait() if file.over:
                reply = ComputeError("The video has failed")
            case Claim(number, expected):
                reply = file.segments.take(member, number, expected)
            case Wait(count):
                file.segments.end(count)
                if member is file.owner and file.helpers:
                    file.waits = True
                    return
            case Entry(kind="end"):
                file.ends.append(message)
            case Entry():
                reply = record(file, message)
            case Progress():
                file.part = max(file.part, message.part)
            case Said():
                (self._reporter.warn if message.warning else self._reporter.say)(message.text)
        self._expect(member, file, member.proceed(reply))

    def _leave(self, member: Member, file: SharedFile) -> None:
        """Let the owner of a video go on, if this helper was the last."""
        file.helpers.remove(member)
        if file.owner and file.waits and not file.helpers:
            file.waits = False
            self._expect(file.owner, file, file.owner.proceed(None))

    def _lose(self, member: Member) -> None:
        """Put back the files of a process that ended."""
        self._pool.remove(member)
        process = member.process
        self._free = [each for each in self._free if each.process is not process]
        workers = [(file, each) for file in self._going for each in file.workers]
        ended = [(file, each) for file, each in workers if each.process is process]
        for file, each in ended:
            if len(ended) == 1:
                file.suspected.append(each)
            self._put_back(file, each)

    def _put_back(self, file: SharedFile, member: Member) -> None:
        """Put a file back whose worker ended, unless it seems to be the reason."""
        file.lost.append(member)
        file.segments.release(member)
        if member is not file.owner:
            self._leave(member, file)
            return
        self._going.discard(file)
        file.owner = None
        file.since = time.monotonic()
        if file.blamed() < KILLS and len(file.lost) < LOSSES:
            self._waiting.append(file)
            return
        if file.place and file.place.target:
            part_of(file.place.target).unlink(missing_ok=True)
        said = ComputeError(
            f"{file.job.input} was given up: {len(file.lost)} workers ended while they restored it",
            hint="It may need more memory than they have, or be damaged; try it on its own",
        )
        self._finish(file, failed(file.job.input, said))

    def _end(self, file: SharedFile, outcome: Outcome) -> None:
        self._going.discard(file)
        lingering = file.lost and time.monotonic() < file.since + LINGERS
        if lingering and isinstance(outcome.error, Busy):
            self._waiting.append(file)
            return
        for entry in file.ends:
            if error := record(file, entry):
                outcome = failed(file.job.input, error)
        self._finish(file, outcome)

    def _finish(self, file: SharedFile, outcome: Outcome) -> None:
        file.over = True
        self._finished += 1
        self._tell(outcome)
        ends = self._options.run.fail_fast and outcome.status == "failed"
        if ends or isinstance(outcome.error, DiskFull):
            self._waiting.clear()

    def _show(self, advance: Advance) -> None:
        done = self._finished + sum(file.part for file in self._going)
        advance(done / self._total, f"{self._finished}/{self._total}")
