"""Several devices of one machine: each has the model open, and takes the next file."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from blurdm_cli.pipeline.messages import Answer, Message, Task
from blurdm_cli.pipeline.opened import Opened
from blurdm_cli.pipeline.options import ModelOptions
from blurdm_cli.pipeline.pool import Member
from blurdm_cli.pipeline.worker import Worker, WorkerOptions

AT_ONCE = 2
"""Files in work on each device: one is read or written while the other is restored."""


@dataclass(frozen=True, eq=False)
class Thread:
    """A worker in a thread of this process; it never ends on its own."""

    worker: Worker
    thread: ThreadPoolExecutor

    @property
    def process(self) -> Thread:
        """Itself, as it does not end."""
        return self

    def deblur(self, task: Task) -> Future[Message]:
        return self.thread.submit(self.worker.deblur, task)

    def proceed(self, answer: Answer) -> Future[Message]:
        return self.thread.submit(self.worker.proceed, answer)

    def is_to_blame(self) -> bool:
        return False


class Cards:
    """The workers of several devices. See `Pool`."""

    def __init__(self, devices: Sequence[str], model: ModelOptions, options: WorkerOptions) -> None:
        """Open the model on each device, with the runtime and precision of the first.

        Args:
            devices: names of the devices.
            model: the model.
            options: options of the files.

        Raises:
            BlurdmError: it cannot be opened on one of them.
        """
        first = replace(model, device=devices[0]).open()
        one = Opened.of(first)
        alike = replace(model, runtime=one.runtime, precision=one.precision)
        others = [replace(alike, device=device).open() for device in devices[1:]]
        self.opened = replace(one, device=",".join(devices))
        self._new = [
            Thread(Worker(deblurrer, options), ThreadPoolExecutor(1))
            for _ in range(AT_ONCE)
            for deblurrer in (first, *others)
        ]
        self._threads = tuple(self._new)

    def __enter__(self) -> Cards:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for each in self._threads:
            each.worker.stop()
            each.thread.shutdown(wait=False, cancel_futures=True)

    def check(self, folders: Collection[Path], inputs: Sequence[Path], urls: Sequence[str]) -> None:
        """Do nothing: this process reaches all that it found."""

    def joined(self) -> list[Member]:
        new, self._new = self._new, []
        return list(new)

    def remove(self, member: Member) -> None:
        """Do nothing: no worker ends."""
