"""The workers of a process on a node, and the run's side of them."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import ray
from ray.exceptions import RayError, RayTaskError

from blurdm_cli.cluster.nodes import Node, Sight, alive_nodes, find_fault
from blurdm_cli.cluster.shipping import Parcel, unpack
from blurdm_cli.errors import BlurdmError
from blurdm_cli.machine import limit_cores, tune_allocator
from blurdm_cli.pipeline.messages import Answer, Message, Task
from blurdm_cli.pipeline.opened import Opened
from blurdm_cli.pipeline.options import ModelOptions
from blurdm_cli.pipeline.pool import Lost
from blurdm_cli.pipeline.worker import Worker, WorkerOptions

AT_ONCE = 2
"""Photos in work in each process: one is read or written while the other is restored."""

ENDING = 1.0
"""Seconds that a process has to give up its files."""


class RemoteWorker:
    """Workers that Ray runs in a process of their own, with one open model. See `Worker`."""

    def __init__(self, here: str, cores: int) -> None:
        """Set up the process.

        Args:
            here: the folder that relative paths start from.
            cores: number of cores that it may use.
        """
        tune_allocator()
        limit_cores(cores)
        cv2.setNumThreads(cores)
        with suppress(OSError):  # absolute paths work without it
            os.chdir(here)
        self._workers: list[Worker] = []
        self._folders: list[Path] = []

    def open(
        self, model: ModelOptions, parcel: Parcel, expert: Parcel | None, options: WorkerOptions
    ) -> Opened | BlurdmError:
        """Open the model and its expert; return why they cannot be opened, if so."""
        self._clear()
        try:
            name = self._unpack(parcel)
            other = self._unpack(expert) if expert else None
            deblurrer = replace(model, model=name, expert=other).open()
        except BlurdmError as error:
            return error
        turn = Lock()
        self._workers = [Worker(deblurrer, options, turn) for _ in range(AT_ONCE)]
        return Opened.of(deblurrer)

    def _unpack(self, parcel: Parcel) -> str:
        name, folder = unpack(parcel)
        self._folders += [folder] if folder else []
        return name

    def look(self, sight: Sight, name: str) -> BlurdmError | None:
        """Find out what keeps this node from working on a run."""
        return find_fault(sight, name)

    def deblur(self, number: int, task: Task) -> Message:
        """Give a file to a worker, by its number."""
        return self._workers[number].deblur(task)

    def proceed(self, number: int, answer: Answer) -> Message:
        """Answer a worker."""
        return self._workers[number].proceed(answer)

    def stop(self) -> None:
        """Give up the current files; nothing is left half written."""
        for worker in self._workers:
            worker.stop()
        for worker in self._workers:
            worker.join(ENDING)
        self._clear()

    def _clear(self) -> None:
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)
        self._folders = []


class Process:
    """The run's side of a process on a node."""

    def __init__(self, node: Node, cores: int, *, card: bool) -> None:
        """Start the process, as soon as Ray finds its node free.

        Args:
            node: where it runs.
            cores: number of cores that it may use.
            card: whether it gets a graphics card of its own.
        """
        self.node = node
        self.model: ModelOptions | None = None
        """How the model was opened last."""
        options: dict[str, Any] = {
            "num_cpus": cores,
            "num_gpus": int(card),
            "max_concurrency": AT_ONCE + 1,  # to be told to stop
            "scheduling_strategy": node.affinity(),
        }
        start: Any = ray.remote(RemoteWorker).options(**options)
        self._actor: Any = start.remote(os.getcwd(), max(cores, 1))

    def open(
        self, model: ModelOptions, parcel: Parcel, expert: Parcel | None, options: WorkerOptions
    ) -> Future[Opened | BlurdmError]:
        return _answer(self._actor.open.remote(model, parcel, expert, options))

    def look(self, sight: Sight) -> Future[BlurdmError | None]:
        return _answer(self._actor.look.remote(sight, self.node.name))

    def deblur(self, number: int, task: Task) -> Future[Message]:
        return _answer(self._actor.deblur.remote(number, task))

    def proceed(self, number: int, answer: Answer) -> Future[Message]:
        return _answer(self._actor.proceed.remote(number, answer))

    def stop(self) -> ray.ObjectRef[None]:
        """Have it give up its files."""
        return self._actor.stop.remote()

    def kill(self) -> None:
        """End its process, if it still runs."""
        with suppress(RayError):
            ray.kill(self._actor)


@dataclass(frozen=True)
class RemoteMember:
    """The run's side of one worker of a process. See `Member`."""

    process: Process
    number: int

    def deblur(self, task: Task) -> Future[Message]:
        return self.process.deblur(self.number, task)

    def proceed(self, answer: Answer) -> Future[Message]:
        return self.process.proceed(self.number, answer)

    def is_to_blame(self) -> bool:
        return any(node.id == self.process.node.id for node in alive_nodes())


def _answer(sent: ray.ObjectRef[Any]) -> Future[Any]:
    """The answer of an actor; `Lost` if it ended."""
    answer: Future[Any] = Future()

    def settle(done: Future[Any]) -> None:
        error = done.exception()
        if error is None:
            answer.set_result(done.result())
        elif isinstance(error, RayError) and not isinstance(error, RayTaskError):
            answer.set_exception(Lost(str(error)))
        else:
            answer.set_exception(error)

    sent.future().add_done_callback(settle)
    return answer
