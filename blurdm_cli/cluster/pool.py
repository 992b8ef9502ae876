"""The processes of a cluster: one for each card, or else for every few cores, on every node."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import ray

from blurdm_cli.cluster.nodes import Node, Sight, alive_nodes, marked
from blurdm_cli.cluster.remote import AT_ONCE, ENDING, Process, RemoteMember
from blurdm_cli.cluster.shipping import pack
from blurdm_cli.errors import BlurdmError, ComputeError, RuntimeMissing, UsageError
from blurdm_cli.pipeline.opened import Opened
from blurdm_cli.pipeline.options import ModelOptions
from blurdm_cli.pipeline.pool import Lost, Member
from blurdm_cli.pipeline.worker import WorkerOptions

CORES = 4
"""Cores of a worker without a card, on nodes that have as many."""

SCAN = 2.0
"""Seconds after which the pool looks for new nodes."""

STARTS = 3
"""Workers in a row that may end on a node before they have the model open."""

REST = 60.0
"""Seconds for which the node is then left alone."""

ALONE = 60.0
"""Seconds for which a run waits for a node when all are gone."""

BUSY = 15.0
"""Seconds without a worker after which the user is told."""


class ClusterPool:
    """The workers of a cluster. See `Pool`."""

    opened: Opened

    def __init__(
        self, model: ModelOptions, options: WorkerOptions, warn: Callable[[str], object]
    ) -> None:
        """Set up; `start` starts the workers.

        Args:
            model: the model; its device chooses between cards and cores.
            options: options of the files.
            warn: called with a line about each node that cannot be used.
        """
        nodes = alive_nodes()
        self._cards = wants_cards(model.device, nodes)
        self._model = model if self._cards else replace(model, device="cpu")
        self._parcels = pack(model.model), pack(model.expert) if model.expert else None
        self._options = options
        self._warn = warn
        self._sight: Sight | None = None
        self._marks = ExitStack()
        self._first = {node.id for node in nodes}
        self._unfit: dict[str, float] = {}
        self._starts = Counter[str]()
        self._processes: list[Process] = []
        self._opening: dict[Process, Future[Opened | BlurdmError]] = {}
        self._opened: list[Process] = []
        self._looking: dict[Process, Future[BlurdmError | None]] = {}
        self._ready: list[Member] = []
        self._scanned = 0.0
        self._alive = time.monotonic()

    def start(self) -> None:
        """Start the workers, and wait until one has the model open.

        Raises:
            BlurdmError: the model cannot be opened on any node.
        """
        told = False
        while not hasattr(self, "opened"):
            self._attend()
            time.sleep(0.02)
            if not told and time.monotonic() > self._alive + BUSY and not self._unfit:
                told = True
                self._warn("no worker has started yet: the cluster may be busy; waiting")

    def close(self) -> None:
        """End all workers; nothing is left half written."""
        stopping = [each.stop() for each in self._processes if each not in self._opening]
        if stopping:
            ray.wait(stopping, num_returns=len(stopping), timeout=ENDING)
        for each in self._processes:
            each.kill()
        self._marks.close()

    def check(self, folders: Collection[Path], inputs: Sequence[Path], urls: Sequence[str]) -> None:
        self._sight = self._marks.enter_context(marked(folders, inputs, urls))
        self._looking = {process: process.look(self._sight) for process in self._opened}
        while self._looking:
            self._attend()
            time.sleep(0.01)

    def joined(self) -> list[Member]:
        self._attend()
        if not self._processes and time.monotonic() > self._alive + ALONE:
            raise ComputeError(
                "No worker of the cluster is left", hint="The same command continues"
            )
        ready, self._ready = self._ready, []
        return ready

    def remove(self, member: Member) -> None:
        assert isinstance(member, RemoteMember)
        self._end(member.process)
        self._scanned = 0.0

    def _end(self, process: Process) -> None:
        process.kill()
        self._processes.remove(process)

    def _attend(self) -> None:
        """Handle answers of new workers, and start workers on new nodes."""
        for process, opening in list(self._opening.items()):
            if opening.done():
                del self._opening[process]
                self._take_in(process, opening)
        for process, answer in list(self._looking.items()):
            if answer.done():
                del self._looking[process]
                self._judge(process, answer)
        if time.monotonic() > self._scanned + SCAN:
            self._scanned = time.monotonic()
            for node in alive_nodes():
                self._scan(node)
        if self._processes:
            self._alive = time.monotonic()

    def _scan(self, node: Node) -> None:
        """Start the workers that a node lacks, if it is fit."""
        if time.monotonic() < self._unfit.get(node.id, 0):
            return
        count = node.cards if self._cards else max(node.cores // CORES, min(node.cores, 1))
        for _ in range(count - sum(each.node.id == node.id for each in self._processes)):
            process = Process(node, node.cores // count, card=self._cards)
            self._processes.append(process)
            self._open(process, self._model)

    def _open(self, process: Process, model: ModelOptions) -> None:
        process.model = model
        self._opening[process] = process.open(model, *self._parcels, self._options)

    def _take_in(self, process: Process, opening: Future[Opened | BlurdmError]) -> None:
        """Have a worker look at the files of the run, if it opened the model as the others."""
        try:
            result = opening.result()
        except Lost as lost:
            self._end(process)
            self._starts[process.node.id] += 1
            if self._starts[process.node.id] >= STARTS:
                said = (str(lost).strip().splitlines() or [""])[-1].strip()
                self._starts[process.node.id] = 0
                self._refuse(process.node, ComputeError(f"workers do not start: {said}"), REST)
            return
        if isinstance(result, BlurdmError):
            self._end(process)
            self._refuse(process.node, result)
            return
        if not hasattr(self, "opened"):
            self.opened = result
            self._model = replace(self._model, runtime=result.runtime, precision=result.precision)
        elif result.decides() != self.opened.decides():
            if process.model == self._model:
                self._end(process)
                self._refuse(process.node, ComputeError("it opens the model in another way"))
            else:
                self._open(process, self._model)
            return
        self._starts[process.node.id] = 0
        if self._sight:
            self._looking[process] = process.look(self._sight)
        else:
            self._opened.append(process)

    def _judge(self, process: Process, answer: Future[BlurdmError | None]) -> None:
        """Take in a worker, if it sees the files of the run.

        Raises:
            BlurdmError: it does not, and its node was there when the run began.
        """
        try:
            error = answer.result()
        except Lost:
            self._end(process)
            return
        if error is None:
            self._ready += [RemoteMember(process, number) for number in range(AT_ONCE)]
            return
        self._end(process)
        if process.node.id in self._first:
            raise error
        self._refuse(process.node, error)

    def _refuse(self, node: Node, error: BlurdmError, seconds: float = math.inf) -> None:
        """Do not use a node for so long.

        Raises:
            BlurdmError: there is no other.
        """
        self._unfit[node.id] = time.monotonic() + seconds
        for process in [each for each in self._opening if each.node.id == node.id]:
            del self._opening[process]
            self._end(process)
        if not self._processes:
            raise error
        self._warn(f"{node.name} is not used: {error}")


def wants_cards(device: str, nodes: Sequence[Node]) -> bool:
    """Whether workers use cards; "auto" uses them if a node has one.

    Raises:
        UsageError: the device is one of a machine's.
        RuntimeMissing: no node has a card.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise UsageError(
            f"--device {device} names devices of one machine", hint="With --cluster: cuda or cpu"
        )
    there = any(node.cards for node in nodes)
    if device == "cuda" and not there:
        raise RuntimeMissing("No machine of the cluster has a card", hint="Leave out --device")
    return there and device != "cpu"
