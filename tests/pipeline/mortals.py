"""Workers that end while they restore a file."""

import pickle
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.pipeline.batch import deblur_files
from blurdm_cli.pipeline.messages import Answer, Claim, Entry, Message, Task, Wait
from blurdm_cli.pipeline.opened import Opened
from blurdm_cli.pipeline.options import ModelOptions, PhotoOptions, RunOptions, VideoOptions
from blurdm_cli.pipeline.outcome import Outcome
from blurdm_cli.pipeline.pool import Lost, Member
from blurdm_cli.pipeline.reporter import Silent
from blurdm_cli.pipeline.worker import Worker, WorkerOptions
from tests.clips import fake_deblurrer

TINY = ModelOptions("blurdm-tiny")

Fate = Callable[[Task, str], bool]
"""Whether a worker ends as it sends an entry of this kind, a "claim", a "wait" or the "outcome"."""


Thing = TypeVar("Thing")


def sent(thing: Thing) -> Thing:
    """A copy, as another process would receive it."""
    copy: Thing = pickle.loads(pickle.dumps(thing))
    return copy


class Process:
    """Workers that end together when the fate of one has it end."""

    def __init__(
        self, deblurrer: Deblurrer, options: WorkerOptions, fate: Fate, blame: bool, at_once: int
    ) -> None:
        self.fate = fate
        self.blame = blame
        turn = Lock()
        self.workers = [Mortal(self, Worker(deblurrer, options, turn)) for _ in range(at_once)]


class Mortal:
    """A worker of such a process; all it hears and says could be sent."""

    def __init__(self, process: Process, worker: Worker) -> None:
        self.process = process
        self.worker = worker
        self._task: Task

    def deblur(self, task: Task) -> Future[Message]:
        self._task = sent(task)
        return self._heard(self.worker.deblur(self._task))

    def proceed(self, answer: Answer) -> Future[Message]:
        return self._heard(self.worker.proceed(sent(answer)))

    def is_to_blame(self) -> bool:
        return self.process.blame

    def _heard(self, message: Message) -> Future[Message]:
        heard = Future[Message]()
        kinds = {Claim: "claim", Wait: "wait", Outcome: "outcome"}
        kind = message.kind if isinstance(message, Entry) else kinds.get(type(message))
        if kind and self.process.fate(self._task, kind):
            for each in self.process.workers:
                each.worker.stop()
            heard.set_exception(Lost())
        else:
            heard.set_result(sent(message))
        return heard


class Mortals:
    """Such processes; each that ends is replaced."""

    opened = Opened("fake", "onnx", "cpu", "fp32", 64, 8, "")

    def __init__(self, make: Callable[[], Process], processes: int) -> None:
        self._make = make
        self._new = [each for _ in range(processes) for each in make().workers]

    def check(
        self, folders: Collection[Path], inputs: Sequence[Path], urls: Sequence[str]
    ) -> None: ...

    def joined(self) -> list[Member]:
        new, self._new = self._new, []
        return list(new)

    def remove(self, member: Member) -> None:
        self._new += self._make().workers


def shared(
    folder: Path | str,
    fate: Fate,
    *,
    output: Path | str | None = None,
    blame: bool = True,
    processes: int = 2,
    at_once: int = 1,
    compare: bool = False,
    **options: Any,
) -> list[Outcome]:
    """Restore a folder, by default into "out" beside it, with workers of this fate."""
    deblurrer = fake_deblurrer(0.1)
    videos = VideoOptions(all_frames=True)

    @contextmanager
    def pool(model: ModelOptions, given: WorkerOptions) -> Iterator[Mortals]:
        yield Mortals(lambda: Process(deblurrer, sent(given), fate, blame, at_once), processes)

    output = output or Path(folder).parent / "out"
    run = RunOptions([str(folder)], output=str(output), **options)
    photos = PhotoOptions(compare=compare)
    return deblur_files(run, TINY, photos, videos, Silent(), open_pool=pool)


def once(moment: str, seen: set[str]) -> Fate:
    """Each file's first worker ends at the first entry of this kind."""

    def fate(task: Task, kind: str) -> bool:
        ends = kind == moment and task.job.input.name not in seen
        seen.update([task.job.input.name] * ends)
        return ends

    return fate


def lives(task: Task, kind: str) -> bool:
    return False
