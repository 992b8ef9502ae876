"""Simulate many machines that share one storage and one journal.

    python benchmarks/scale.py [--nodes 10,100,1000] [--seconds 17] [--overhead 0.002] ...

Events are simulated one by one: a worker asks the head for a file, fetches it, restores it, stores
the result, and has it recorded; it reads or writes one file while it restores the other. Files
have random sizes, nodes fail at random and lose what they had in flight, which is done again. The
head hands out files and writes the journal, one file after the other; the storage transfers
everybody's bytes, no faster than its bandwidth.

What is not given is measured here: the seconds a photo takes (soft noise, the default model),
and the seconds that the journal takes for a file (on the disk of --folder, with its fsyncs).
"""

from __future__ import annotations

import argparse
import heapq
import random
import statistics
import tempfile
import time
from collections import deque
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.files.journal import FOLDER, JOURNAL, Journal, open_journal
from blurdm_cli.files.stamp import Stamp
from blurdm_cli.zoo import DEFAULT

IN_FLIGHT = 2
"""Files that a worker has at once: one is read or written while the other is restored."""

SPREAD = 0.5
"""Standard deviation of the logarithm of a file's size."""

HOUR = 3600.0


@dataclass(frozen=True)
class Rates:
    """Speeds and sizes of a cluster; times in seconds, sizes in bytes."""

    seconds: float
    """Time that one worker takes for a file of the mean size."""
    overhead: float
    """Time that the head spends on each file, without the journal."""
    journal: float
    """Time that the journal takes for each file."""
    size: float
    """Mean size of a file; its result is as large."""
    storage: float
    """Bytes per second of the storage, for all nodes."""
    network: float
    """Bytes per second of one node."""
    workers: int
    """Number of workers on each node."""
    lifetime: float
    """Mean time until a node fails."""
    repair: float
    """Time until a failed node is back."""


@dataclass(frozen=True)
class Outcome:
    """Throughput and load of a simulated cluster."""

    files: int
    rate: float
    """Files per second, until the last worker had nothing left to start."""
    head: float
    """Share of the time that the head was busy."""
    storage: float
    """Share of the time that the storage was busy."""
    again: int
    """Files that were done again, as their node failed."""


class Stage(IntEnum):
    """Stages of a file, in order, and what happens to a node."""

    ask, fetch, restore, store, record, end, fail, rise = range(8)


class Event(NamedTuple):
    """Something that happens to a node, or to a file on it, unless the node failed before."""

    stage: Stage
    node: int
    life: int
    """How often the node had failed."""
    worker: int = 0
    file: int = 0


@dataclass
class Line:
    """Serves one after the other."""

    free: float = 0.0
    busy: float = 0.0

    def serve(self, now: float, seconds: float) -> float:
        """The time at which a job that arrives now, and takes so long, is done."""
        self.busy += seconds
        self.free = max(now, self.free) + seconds
        return self.free


class Cluster:
    """Nodes that do a number of files."""

    def __init__(self, rates: Rates, nodes: int, files: int, seed: int) -> None:
        self._rates, self._chance = rates, random.Random(seed)
        self._sizes = [self._chance.lognormvariate(-(SPREAD**2) / 2, SPREAD) for _ in range(files)]
        self._waiting = deque(range(files))
        self._head, self._storage = Line(), Line()
        self._workers = [[Line() for _ in range(rates.workers)] for _ in range(nodes)]
        self._lives = [0] * nodes
        self._flying: list[set[int]] = [set() for _ in range(nodes)]
        self._events: list[tuple[float, int, Event]] = []
        self._count = self._done = self._again = 0
        self._now = self._drained = 0.0
        for node in range(nodes):
            self._rise(node)

    def run(self) -> Outcome:
        """Handle all events until every file is done; each is done once, whatever fails."""
        files = len(self._sizes)
        while self._done < files:
            self._now, _, event = heapq.heappop(self._events)
            if event.life == self._lives[event.node]:
                self._handle(event)
        started = files - min(files, len(self._lives) * self._rates.workers * IN_FLIGHT)
        head, storage = (line.busy / self._now for line in (self._head, self._storage))
        return Outcome(files, started / max(self._drained, 1e-9), head, storage, self._again)

    def _handle(self, event: Event) -> None:
        rates, size = self._rates, self._sizes[event.file]
        if event.stage is Stage.ask:
            self._ask(event)
        elif event.stage in (Stage.fetch, Stage.store):
            self._plan(self._transfer(rates.size * size), event)
        elif event.stage is Stage.restore:
            worker = self._workers[event.node][event.worker]
            self._plan(worker.serve(self._now, rates.seconds * size), event)
        elif event.stage is Stage.record:
            self._plan(self._head.serve(self._now, rates.journal * 2 / 3), event)
        elif event.stage is Stage.end:
            self._flying[event.node].remove(event.file)
            self._done += 1
            self._ask(event)
        elif event.stage is Stage.fail:
            self._fail(event.node)
        else:
            self._rise(event.node)

    def _ask(self, event: Event) -> None:
        """Give a worker the next file, or let it ask again later, as another node may fail."""
        if not self._waiting:
            self._push(self._now + self._rates.seconds, event._replace(stage=Stage.ask))
            return
        file, self._drained = self._waiting.popleft(), self._now
        self._flying[event.node].add(file)
        handed = self._head.serve(self._now, self._rates.overhead + self._rates.journal / 3)
        self._plan(handed, event._replace(stage=Stage.ask, file=file))

    def _transfer(self, size: float) -> float:
        shared = self._storage.serve(self._now, size / self._rates.storage)
        return max(shared, self._now + size / self._rates.network)

    def _fail(self, node: int) -> None:
        self._again += len(self._flying[node])
        self._waiting.extendleft(self._flying[node])
        self._flying[node].clear()
        self._lives[node] += 1
        self._workers[node] = [Line() for _ in range(self._rates.workers)]
        back = Event(Stage.rise, node, self._lives[node])
        self._push(self._now + self._rates.repair, back)

    def _rise(self, node: int) -> None:
        life = self._lives[node]
        for worker in range(self._rates.workers):
            for _ in range(IN_FLIGHT):
                self._push(self._now, Event(Stage.ask, node, life, worker))
        lived = self._chance.expovariate(1 / self._rates.lifetime)
        self._push(self._now + lived, Event(Stage.fail, node, life))

    def _plan(self, when: float, event: Event) -> None:
        """Let a file enter its next stage."""
        self._push(when, event._replace(stage=Stage(event.stage + 1)))

    def _push(self, when: float, event: Event) -> None:
        self._count += 1
        heapq.heappush(self._events, (when, self._count, event))


def measure_photo(megapixels: float) -> float:
    """Seconds that a photo of this size takes here, those that find its motion included."""
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    size = height * 4 // 3, height
    noise = np.random.default_rng(0).integers(0, 256, (height // 8, size[0] // 8, 3), np.uint8)
    photo = np.asarray(Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC))
    deblurrer = Deblurrer.open(DEFAULT)
    deblurrer.restore(noise)
    begin = time.perf_counter()
    deblurrer.restore(photo)
    return time.perf_counter() - begin


def measure_journal(folder: Path, files: int = 300) -> tuple[float, float, float]:
    """Median seconds and bytes of the journal for a file, and seconds to read those again."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        source = Path(place, "photo.jpg")
        source.write_bytes(b"photo")
        stamp = Stamp.of(source)
        outputs = [Path(place, "2024", f"{number:07d}.jpg") for number in range(files)]
        with open_journal(Path(place), "0" * 64) as journal:
            times = [time.perf_counter()]
            for output in outputs:
                journal.begin(source, output)(source)
                journal.end(source, output, stamp)
                times.append(time.perf_counter())
            seconds = statistics.median(end - begin for begin, end in pairwise(times))
            size = Path(place, FOLDER, JOURNAL).stat().st_size
            begin = time.perf_counter()
            Journal(Path(place), "0" * 64)
            return seconds, size / files, (time.perf_counter() - begin) / files


def parse() -> argparse.Namespace:
    given = argparse.ArgumentParser()
    given.add_argument("--nodes", default="10,100,1000")
    given.add_argument("--workers", type=int, default=1, help="on each node")
    given.add_argument("--files", type=int, default=40, help="for each worker")
    given.add_argument("--megapixels", type=float, default=12.0)
    given.add_argument("--megabytes", type=float, default=5.0, help="of a photo, and of its result")
    given.add_argument("--seconds", type=float, help="of a worker for a photo; default: measured")
    given.add_argument("--journal", type=float, help="seconds for a file; default: measured")
    given.add_argument("--folder", type=Path, default=Path(), help="where the journal is measured")
    given.add_argument("--overhead", type=float, default=0.0, help="seconds of the head for a file")
    given.add_argument("--storage", type=float, default=1000.0, help="MB/s for all nodes")
    given.add_argument("--network", type=float, default=100.0, help="MB/s of a node")
    given.add_argument("--lifetime", type=float, default=24.0, help="mean hours until a node fails")
    given.add_argument("--repair", type=float, default=120.0, help="seconds until it is back")
    given.add_argument("--seed", type=int, default=0)
    return given.parse_args()


def rates_of(options: argparse.Namespace) -> Rates:
    """The rates that are given; the others are measured."""
    journal = options.journal
    if journal is None:
        journal, size, again = measure_journal(options.folder)
        print(
            f"journal: {journal * 1e3:.2f} ms and {size:.0f} bytes a file, 3 lines with fsync;"
            f" reading it again: {again * 1e6:.0f} s a million files"
        )
    return Rates(
        options.seconds or measure_photo(options.megapixels),
        options.overhead,
        journal,
        options.megabytes * 1e6,
        options.storage * 1e6,
        options.network * 1e6,
        options.workers,
        options.lifetime * HOUR,
        options.repair,
    )


def main() -> None:
    options = parse()
    rates = rates_of(options)
    pace = rates.workers / rates.seconds
    print(f"worker: {rates.seconds:.2f} s a photo; head: {rates.overhead * 1e3:.2f} ms a file")
    head = rates.overhead + rates.journal
    limits = {"storage": rates.storage / rates.size / 2} | ({"head": 1 / head} if head else {})
    for name, limit in limits.items():
        print(f"{name}: at most {limit:.0f} files/s, the pace of {limit / pace:.0f} nodes")
    print("| nodes | files/s | of the nodes' own pace | head busy | storage busy | done again |")
    print("|---|---|---|---|---|---|")
    for nodes in map(int, options.nodes.split(",")):
        files = nodes * rates.workers * options.files
        out = Cluster(rates, nodes, files, options.seed).run()
        print(
            f"| {nodes} | {out.rate:.2f} | {out.rate / (nodes * pace):.0%} | {out.head:.1%}"
            f" | {out.storage:.1%} | {out.again} of {files} |"
        )


if __name__ == "__main__":
    main()
