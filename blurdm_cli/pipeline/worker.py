"""A worker: an open model that restores one file at a time for a run elsewhere.

The run gives it a file with `deblur`, and then takes its messages one by one with `proceed`, up
to the outcome of the file. The run holds the journals: a worker sends what they have to record,
and waits until it is on the disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.errors import BlurdmError, ComputeError
from blurdm_cli.files.atomic import Seal
from blurdm_cli.files.naming import FileJob
from blurdm_cli.files.objects import Store
from blurdm_cli.files.stamp import Stamp
from blurdm_cli.pipeline.destinations import Destination
from blurdm_cli.pipeline.messages import (
    Answer,
    Claim,
    Entry,
    Message,
    Progress,
    Question,
    Said,
    Task,
    Wait,
)
from blurdm_cli.pipeline.object_journals import BucketJournal
from blurdm_cli.pipeline.options import PhotoOptions, RunOptions, VideoOptions
from blurdm_cli.pipeline.outcome import Outcome, failed
from blurdm_cli.pipeline.photos import PhotoRun
from blurdm_cli.pipeline.reporter import Advance, Silent
from blurdm_cli.pipeline.run import FREE, Record, Run
from blurdm_cli.pipeline.stand_ins import StandIns

EVERY = 0.5
"""Least seconds between two messages about the progress of a file."""


@dataclass(frozen=True)
class WorkerOptions:
    """Options of all files that a worker restores."""

    run: RunOptions
    photos: PhotoOptions
    videos: VideoOptions


class Worker:
    """Restores one file at a time. See the module."""

    def __init__(
        self,
        deblurrer: Deblurrer,
        options: WorkerOptions,
        turn: AbstractContextManager[Any] = FREE,
    ) -> None:
        """Set up.

        Args:
            deblurrer: the model.
            options: options of the files.
            turn: shared with workers that restore photos one at a time, while others read and
                write theirs.
        """
        self._deblurrer = deblurrer
        self._turn = turn
        self._options = options
        self._messages = SimpleQueue[Message | Exception]()
        self._answers = SimpleQueue[Answer]()
        self._asking = Lock()
        self._stores = dict[str, Store]()
        self._thread = Thread()
        self._asked = False
        self._stopped = False

    def deblur(self, task: Task) -> Message:
        """Start with a file; returns the first message.

        Raises:
            Exception: a bug.
        """
        self._thread = Thread(target=self._work, args=(task,), daemon=True)
        self._thread.start()
        return self._next()

    def proceed(self, answer: Answer = None) -> Message:
        """Answer the last message, and return the next one.

        Args:
            answer: the answer to a question.

        Raises:
            Exception: a bug.
        """
        if self._asked:
            self._answers.put(answer)
        return self._next()

    def stop(self) -> None:
        """Give up the current file as soon as possible; nothing is left half written."""
        self._stopped = True
        self._answers.put(_stopped())

    def join(self, seconds: float) -> None:
        """Wait until the current file is given up, but no longer than this."""
        if self._thread.ident:
            self._thread.join(seconds)

    def _next(self) -> Message:
        message = self._messages.get()
        self._asked = isinstance(message, Question)
        if isinstance(message, Exception):
            raise message
        return message

    def _work(self, task: Task) -> None:
        objects, home = StandIns(task.lent, self._stores), task.job.home
        journals = dict[Path | None, Record]()
        if home and objects.url_of(home):
            journals[home] = BucketJournal(home, task.settings, objects)
        elif home:
            journals[home] = _Journal(self._ask)
        reporter = _Messages(self._messages, self._check)
        run = self._options.run

        def tell(outcome: Outcome) -> None:
            objects.remove(task.place.source)
            self._messages.put(outcome)

        shared = Run(
            self._deblurrer,
            replace(run, resume=run.resume or task.begun),
            _Decided(task.place),
            journals,
            reporter,
            tell,
            objects.fetch,
            _Claims(self._ask),
            self._turn,
        )
        try:
            objects.open()
            if task.moving:
                # not imported for photos alone: it loads FFmpeg
                from blurdm_cli.pipeline.videos import VideoRun

                videos = VideoRun(shared, self._options.videos, task.settings)
                if task.helps:
                    videos.help(task.job)
                else:
                    videos([task.job])
            else:
                PhotoRun(shared, self._options.photos)([task.job])
        except BlurdmError as error:
            tell(failed(task.job.input, error))
        except Exception as error:  # a bug: the run raises it
            self._messages.put(error)

    def _ask(self, question: Question) -> bool | None:
        with self._asking:
            self._check()
            self._messages.put(question)
            answer = self._answers.get()
        if isinstance(answer, BlurdmError):
            raise answer
        return answer

    def _check(self) -> None:
        if self._stopped:
            raise _stopped()


def _stopped() -> ComputeError:
    return ComputeError("The run has ended")


@dataclass(frozen=True)
class _Decided:
    """Destinations of one file that are already chosen."""

    place: Destination

    def find(self, job: FileJob) -> Destination:
        return self.place

    def with_sheet(self, job: FileJob, place: Destination) -> Destination:
        return replace(place, sheet=self.place.sheet)


@dataclass(frozen=True)
class _Journal:
    """A journal that the run holds."""

    ask: Callable[[Question], object]

    def begin(self, source: Path, output: Path, stamp: Stamp | None = None) -> Seal:
        self.ask(Entry("start", source, output))
        return lambda part: self.ask(Entry("seal", source, output, Stamp.of(part)))

    def end(self, source: Path, output: Path, stamp: Stamp) -> None:
        self.ask(Entry("end", source, output, stamp))


@dataclass(frozen=True)
class _Claims:
    """Claims that the run decides."""

    ask: Callable[[Question], bool | None]

    def take(self, number: int, expected: int | None) -> bool:
        return bool(self.ask(Claim(number, expected)))

    def wait(self, count: int) -> None:
        self.ask(Wait(count))


class _Messages(Silent):
    """Reports as messages."""

    def __init__(
        self, messages: SimpleQueue[Message | Exception], check: Callable[[], None]
    ) -> None:
        self._messages = messages
        self._check = check
        self._last = time.monotonic()

    def say(self, message: str) -> None:
        self._messages.put(Said(message, warning=False))

    def warn(self, message: str) -> None:
        self._messages.put(Said(message, warning=True))

    @contextmanager
    def progress(self, what: str) -> Iterator[Advance]:
        def advance(done: float, note: str) -> None:
            self._check()
            if time.monotonic() - self._last >= EVERY:
                self._last = time.monotonic()
                self._messages.put(Progress(done, note))

        yield advance
