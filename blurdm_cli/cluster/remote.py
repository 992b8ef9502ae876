"""A worker on a node, and the run's side of it."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import ray
from ray.exceptions import RayError, RayTaskError

from blurdm_cli.cluster.nodes import Node, Sight, alive_nodes, find_fault
from blurdm_cli.cluster.shipping import Parcel, unpack
from blurdm_cli.errors import BlurdmError
from blurdm_cli.machine import limit_cores, tune_allocator
from blurdm_cli.pipeline.opened import Opened
from blurdm_cli.pipeline.options import ModelOptions
from blurdm_cli.pipeline.pool import Lost
from blurdm_cli.pipeline.worker import Answer, Message, Task, Worker, WorkerOptions

ENDING = 1.0
"""Seconds that a worker has to give up a file."""


class RemoteWorker:
    """A worker that Ray runs in a process of its own. See `Worker`."""

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
        self._worker: Worker | None = None
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
        self._worker = Worker(deblurrer, options)
        return Opened.of(deblurrer)

    def _unpack(self, parcel: Parcel) -> str:
        name, folder = unpack(parcel)
        self._folders += [folder] if folder else []
        return name

    def look(self, sight: Sight, name: str) -> BlurdmError | None:
        """Find out what keeps this node from working on a run."""
        return find_fault(sight, name)

    def deblur(self, task: Task) -> Message:
        assert self._worker
        return self._worker.deblur(task)

    def proceed(self, answer: Answer) -> Message:
        assert self._worker
        return self._worker.proceed(answer)

    def stop(self) -> None:
        """Give up the current file; nothing is left half written."""
        if self._worker:
            self._worker.stop()
            self._worker.join(ENDING)
        self._clear()

    def _clear(self) -> None:
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)
        self._folders = []


class RemoteMember:
    """The run's side of a worker on a node. See `Member`."""

    def __init__(self, node: Node, cores: int, *, card: bool) -> None:
        """Start the worker, as soon as Ray finds its node free.

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
            "max_concurrency": 2,  # to be told to stop
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

    def deblur(self, task: Task) -> Future[Message]:
        return _answer(self._actor.deblur.remote(task))

    def proceed(self, answer: Answer) -> Future[Message]:
        return _answer(self._actor.proceed.remote(answer))

    def is_to_blame(self) -> bool:
        return any(node.id == self.node.id for node in alive_nodes())

    def stop(self) -> ray.ObjectRef[None]:
        """Have it give up its file."""
        return self._actor.stop.remote()

    def kill(self) -> None:
        """End its process, if it still runs."""
        with suppress(RayError):
            ray.kill(self._actor)


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
