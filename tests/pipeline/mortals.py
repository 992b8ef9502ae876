"""Workers that end while they restore a file."""

import pickle
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.pipeline.batch import deblur_files
from blurdm_cli.pipeline.opened import Opened
from blurdm_cli.pipeline.options import ModelOptions, PhotoOptions, RunOptions, VideoOptions
from blurdm_cli.pipeline.outcome import Outcome
from blurdm_cli.pipeline.pool import Lost, Member
from blurdm_cli.pipeline.reporter import Silent
from blurdm_cli.pipeline.worker import (
    Answer,
    Claim,
    Entry,
    Message,
    Task,
    Wait,
    Worker,
    WorkerOptions,
)
from tests.clips import fake_deblurrer

TINY = ModelOptions("blurdm-tiny")

Fate = Callable[[Task, str], bool]
"""Whether a worker ends as it sends an entry of this kind, a "claim", a "wait" or the "outcome"."""


Thing = TypeVar("Thing")


def sent(thing: Thing) -> Thing:
    """A copy, as another process would receive it."""
    copy: Thing = pickle.loads(pickle.dumps(thing))
    return copy


class Mortal:
    """A worker that ends when its fate has it end; all it hears and says could be sent."""

    def __init__(self, deblurrer: Deblurrer, options: WorkerOptions, fate: Fate) -> None:
        self._worker = Worker(deblurrer, sent(options))
        self._fate = fate
        self._task: Task
        self.blame = True

    def deblur(self, task: Task) -> Future[Message]:
        self._task = sent(task)
        return self._heard(self._worker.deblur(self._task))

    def proceed(self, answer: Answer) -> Future[Message]:
        return self._heard(self._worker.proceed(sent(answer)))

    def is_to_blame(self) -> bool:
        return self.blame

    def _heard(self, message: Message) -> Future[Message]:
        heard = Future[Message]()
        kinds = {Claim: "claim", Wait: "wait", Outcome: "outcome"}
        kind = message.kind if isinstance(message, Entry) else kinds.get(type(message))
        if kind and self._fate(self._task, kind):
            self._worker.stop()
            heard.set_exception(Lost())
        else:
            heard.set_result(sent(message))
        return heard


class Mortals:
    """Two such workers; each that ends is replaced."""

    opened = Opened("fake", "onnx", "cpu", "fp32", 64, 8, "")

    def __init__(self, make: Callable[[], Mortal]) -> None:
        self._make = make
        self._new = [make(), make()]

    def check(
        self, folders: Collection[Path], inputs: Sequence[Path], urls: Sequence[str]
    ) -> None: ...

    def joined(self) -> list[Member]:
        new, self._new = self._new, []
        return list(new)

    def remove(self, member: Member) -> None:
        self._new.append(self._make())


def shared(
    folder: Path | str,
    fate: Fate,
    *,
    output: Path | str | None = None,
    blame: bool = True,
    compare: bool = False,
    **options: Any,
) -> list[Outcome]:
    """Restore a folder, by default into "out" beside it, with workers of this fate."""
    deblurrer = fake_deblurrer(0.1)
    videos = VideoOptions(all_frames=True)

    @contextmanager
    def pool(model: ModelOptions, given: WorkerOptions) -> Iterator[Mortals]:
        def make() -> Mortal:
            mortal = Mortal(deblurrer, given, fate)
            mortal.blame = blame
            return mortal

        yield Mortals(make)

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
