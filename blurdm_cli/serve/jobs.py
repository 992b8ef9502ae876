"""Jobs of the server: a bounded queue before one worker, and the folders of their files."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from blurdm_cli.errors import BlurdmError
from blurdm_cli.serve.failures import Busy, Crashed, Failure, NotFound, Stopped, failure_row
from blurdm_cli.serve.metrics import Metrics
from blurdm_cli.serve.tasks import Task
from blurdm_cli.serve.worker import Worker

State = Literal["arriving", "waiting", "running", "done", "failed", "cancelled"]

ENDED = ("done", "failed", "cancelled")


STOPPING, CANCELLED = "The server is stopping", "The job was cancelled"

MOST_KEPT = 200
"""Ended jobs whose files are kept; the oldest ones are deleted first."""


@dataclass(eq=False)
class Job:
    """One job: its files and how far it is."""

    folder: Path
    """Holds its inputs and results; deleted with it."""
    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    state: State = "arriving"
    task: Task | None = None
    progress: float = 0.0
    note: str = ""
    files: list[dict[str, Any]] = field(default_factory=list)
    """A row for each input that is finished, as `--json` prints it, with its number."""
    outputs: dict[int, Path] = field(default_factory=dict)
    """Results by the number of their input."""
    result: dict[str, Any] | None = None
    """The answer of a task that writes no files."""
    failure: dict[str, Any] | None = None
    created: float = field(default_factory=time.monotonic)
    running: asyncio.Task[None] | None = None
    expiry: asyncio.TimerHandle | None = None
    """Removes the job when it is no longer kept."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set and replaced at each change."""

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    def touch(self, **changes: Any) -> None:
        """Apply changes, and wake up those who wait for one."""
        for name, value in changes.items():
            setattr(self, name, value)
        self.changed.set()
        self.changed = asyncio.Event()

    async def until_ended(self) -> None:
        """Wait for the end."""
        while not self.ended:
            await self.changed.wait()

    def row(self) -> dict[str, Any]:
        """The job and its finished files, for JSON."""
        return self.state_row() | {"files": self.files}

    def state_row(self) -> dict[str, Any]:
        """The job without its files, for JSON."""
        return {
            "id": self.id,
            "state": self.state,
            "progress": 1.0 if self.state == "done" else self.progress,
            "note": self.note,
            "failure": self.failure,
        }

    def told(self, message: dict[str, Any]) -> None:
        """Take in a message of the worker."""
        if "file" in message:
            number, row = message["number"], dict(message["file"])
            if row["status"] == "done" and row["output"]:
                self.outputs[number] = Path(row["output"])
            self.files.append(self._public(row) | {"number": number})
            self.touch()
        elif "result" in message:
            self.touch(result=message["result"])
        else:
            self.touch(progress=message["progress"], note=message["note"])

    def _public(self, row: dict[str, Any]) -> dict[str, Any]:
        """A row without the folders of the server in its paths and texts."""
        task = self.task
        assert task
        folders = {str(Path(path).parent): "" for path in task.inputs} | {task.output: ""}

        def cleaned(value: Any) -> Any:
            if isinstance(value, list):
                return [cleaned(each) for each in value]
            if isinstance(value, str):
                for folder in folders:
                    value = value.replace(f"{folder.rstrip('/')}{os.sep}", "")
            return value

        return {name: cleaned(value) for name, value in row.items()}


class Jobs:
    """All jobs: at most so many wait, one runs, ended ones are kept for a while."""

    def __init__(self, worker: Worker, metrics: Metrics, *, queue: int, keep_seconds: float):
        """Set up.

        Args:
            worker: runs the tasks.
            metrics: counts jobs.
            queue: largest number of jobs that arrive or wait.
            keep_seconds: how long an ended job and its files are kept.
        """
        self._worker = worker
        self._metrics = metrics
        self._most = queue
        self._keep = keep_seconds
        self._root = Path(tempfile.mkdtemp(prefix="blurdm-serve-"))
        self._jobs: dict[str, Job] = {}
        self._waiting: deque[Job] = deque()
        self._arrived = asyncio.Event()
        self._mean_seconds = 1.0
        self.closing = False
        metrics.watch(queue=lambda: len(self._waiting), starts=lambda: worker.starts)

    def admit(self) -> Job:
        """Make a job, before its files are received.

        Raises:
            Busy: too many jobs wait, or the server is stopping.
        """
        if self.closing:
            raise Busy(STOPPING, 5)
        ahead = sum(job.state in ("arriving", "waiting") for job in self._jobs.values())
        if ahead >= self._most:
            seconds = max(1, round(self._mean_seconds * len(self._waiting)))
            raise Busy(f"{ahead} requests are waiting already", min(seconds, 600))
        ended = [job for job in self._jobs.values() if job.ended]
        for job in ended[: max(0, len(ended) - MOST_KEPT)]:
            self.remove(job)
        job = Job(Path(tempfile.mkdtemp(dir=self._root)))
        self._jobs[job.id] = job
        return job

    def submit(self, job: Job, task: Task, *, first: bool = False) -> None:
        """Queue a job whose files have been received.

        Args:
            job: the job.
            task: what to do.
            first: whether it goes before all others, as it is short.

        Raises:
            Busy: the server is stopping.
            Stopped: the job was cancelled while its files arrived.
        """
        if self.closing:
            raise Busy(STOPPING, 5)
        if job.ended:
            raise Stopped(CANCELLED)
        job.touch(state="waiting", task=task)
        (self._waiting.appendleft if first else self._waiting.append)(job)
        self._arrived.set()

    def find(self, id: str) -> Job:
        """Find a job.

        Raises:
            NotFound: there is none, or it is no longer kept.
        """
        if id not in self._jobs:
            raise NotFound("There is no such job", hint="Its files are kept for a while only")
        return self._jobs[id]

    def cancel(self, job: Job, why: BlurdmError | None = None) -> None:
        """End a job that waits or runs; `why` is the error of one that has not begun."""
        if job.state == "running" and job.running:
            job.running.cancel()
        elif not job.ended:
            self._waiting = deque(other for other in self._waiting if other is not job)
            self._end(job, "cancelled", why)

    def remove(self, job: Job) -> None:
        """Forget a job and delete its files; one that runs is cancelled."""
        self._jobs.pop(job.id, None)
        self.cancel(job)
        if job.expiry:
            job.expiry.cancel()
        if job.state != "running":
            shutil.rmtree(job.folder, ignore_errors=True)

    async def work(self) -> None:
        """Run the jobs one by one, until cancelled."""
        while True:
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            job = self._waiting.popleft()
            job.touch(state="running")
            begin = time.monotonic()
            job.running = asyncio.ensure_future(self._run(job))
            await asyncio.wait([job.running])
            self._mean_seconds += 0.2 * (time.monotonic() - begin - self._mean_seconds)
            self._metrics.seconds.observe(time.monotonic() - begin)
            if job.id not in self._jobs:
                shutil.rmtree(job.folder, ignore_errors=True)

    async def close(self) -> None:
        """End all jobs, and delete all files."""
        self.close_queue()
        for job in list(self._jobs.values()):
            self.cancel(job)
        await asyncio.gather(
            *(job.running for job in self._jobs.values() if job.running), return_exceptions=True
        )
        await self._worker.close()
        shutil.rmtree(self._root, ignore_errors=True)

    def close_queue(self) -> None:
        """Take no more jobs, and end those that wait; the one that runs goes on."""
        self.closing = True
        for job in list(self._waiting):
            self.cancel(job, Busy(STOPPING, 5))
        for job in self._jobs.values():
            job.touch()

    async def _run(self, job: Job) -> None:
        assert job.task
        try:
            await self._worker.run(job.task, job.told)
        except asyncio.CancelledError:
            self._end(job, "cancelled")
        except BlurdmError as error:
            self._end(job, "failed", error)
        except Exception as error:  # a bug, or no memory for a process: the next job starts anew
            sys.excepthook(type(error), error, error.__traceback__)
            await self._worker.close()
            self._end(job, "failed", Crashed("The server made an error", hint="See its log"))
        else:
            failed = bool(job.files) and all(row["status"] == "failed" for row in job.files)
            self._end(job, "failed" if failed else "done")

    def _end(self, job: Job, state: State, error: BlurdmError | None = None) -> None:
        if state == "cancelled":
            error = error or Stopped(CANCELLED)
        failure = None
        if error:
            failure = error.row if isinstance(error, Failure) else failure_row(error)
        job.touch(state=state, failure=failure)
        self._metrics.jobs.labels(state).inc()
        if job.id in self._jobs:
            job.expiry = asyncio.get_running_loop().call_later(self._keep, self.remove, job)
