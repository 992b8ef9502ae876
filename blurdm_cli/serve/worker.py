"""The server's side of the worker process: start it, give it tasks, end it if it hangs."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from blurdm_cli.serve.failures import Crashed, Failure, TooSlow

if TYPE_CHECKING:
    from blurdm_cli.pipeline.options import ModelOptions
    from blurdm_cli.serve.tasks import Task, Tell

GRACE = 5.0
"""Seconds that a task has to end after it was told to, before the process is killed."""

LONGEST_LINE = 2**24
"""Bytes of a message."""

COMMAND = (sys.executable, "-m", "blurdm_cli.serve.worker_process")


class Worker:
    """A process that holds one model, and runs one task at a time."""

    def __init__(
        self,
        options: ModelOptions,
        most_pixels: int,
        seconds: float,
        most_memory: int | None = None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        """Set up; nothing is started yet.

        Args:
            options: the model.
            most_pixels: larger photos are refused before decoding.
            seconds: time limit of a task.
            most_memory: limit in bytes of the process; None for none.
            command: what runs `worker_process.main`.
        """
        limits = {"most_pixels": most_pixels, "most_memory": most_memory}
        self._start = {"options": asdict(options), **limits}
        self._seconds = seconds
        self._command = command
        self._process: Process | None = None
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """The process, if it runs."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start the process and open the model, unless it runs.

        Raises:
            Failure: the model cannot be opened.
            Crashed: the process ended.
        """
        if self._process and self._process.returncode is None:
            return
        self.starts += 1
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=PIPE, stdout=PIPE, limit=LONGEST_LINE
        )
        self._send(self._start)
        try:
            await self._attend(lambda message: None)
        except BaseException:
            await self.close()
            raise

    async def run(self, task: Task, tell: Tell) -> None:
        """Run a task.

        Args:
            task: the task.
            tell: called with each message about it.

        Raises:
            Failure: the task failed as a whole.
            TooSlow: it was not finished in time.
            Crashed: the process ended, as it does if memory runs out.
            CancelledError: it was cancelled; the worker is ready for the next one.
        """
        await self.start()
        self._send({"task": asdict(task)})
        try:
            async with asyncio.timeout(self._seconds):
                await self._attend(tell)
        except TimeoutError as error:
            await self._stop()
            raise TooSlow(
                f"This took longer than {self._seconds:.0f} s",
                hint="Send a smaller photo or a shorter video, or start the server with a larger"
                " --max-seconds",
            ) from error
        except asyncio.CancelledError:
            await self._stop()
            raise

    async def close(self) -> None:
        """Kill the process."""
        process, self._process = self._process, None
        if process and process.returncode is None:
            process.kill()
            await process.wait()

    async def _attend(self, tell: Tell) -> None:
        """Pass on messages until the process is ready for the next task."""
        process = self._process
        assert process
        assert process.stdout
        failed = None
        while line := await process.stdout.readline():
            message = json.loads(line)
            if "ready" in message:
                if failed:
                    raise failed
                return
            if "failed" in message:
                failed = Failure(message["failed"])
            else:
                tell(message)
        await self.close()
        if failed:
            raise failed
        raise Crashed(
            "The process that restores photos ended while it worked on this",
            hint="Memory may have run out; a smaller photo may work",
        )

    async def _stop(self) -> None:
        """End the task; kill the process if it does not listen."""
        self._send({"stop": True})
        try:
            async with asyncio.timeout(GRACE):
                await self._attend(lambda message: None)
        except (Failure, Crashed):
            return
        except (TimeoutError, asyncio.CancelledError):
            await self.close()

    def _send(self, message: dict[str, Any]) -> None:
        """Write a message; that the process is gone is noticed when its answer is read."""
        assert self._process
        assert self._process.stdin
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
