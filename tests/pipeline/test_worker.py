"""Workers that share a model."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Lock
from typing import Any

import pytest

from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.files.naming import FileJob
from blurdm_cli.pipeline import photos
from blurdm_cli.pipeline.destinations import Destination
from blurdm_cli.pipeline.messages import Task
from blurdm_cli.pipeline.options import PhotoOptions, RunOptions, VideoOptions
from blurdm_cli.pipeline.outcome import Outcome
from blurdm_cli.pipeline.worker import Worker, WorkerOptions
from tests.clips import fake_deblurrer

LONG, SHORT = 20.0, 0.1
"""Seconds in which something has to happen, and in which it must not."""


def outcome_of(worker: Worker, path: Path) -> Outcome:
    target = path.with_suffix(".jpg")
    message = worker.deblur(Task(FileJob(path, target), Destination(path, target, path), False, ""))
    while not isinstance(message, Outcome):
        message = worker.proceed()
    return message


@pytest.mark.parametrize("large", [False, True])
def test_one_photo_is_restored_while_the_next_is_read_and_the_last_is_written(
    colours: Path, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    if large:  # then it is written before the next is restored
        monkeypatch.setattr(photos, "LARGE", 0)
    reads, restores = [Event(), Event()], [Event(), Event()]
    plain_read, plain_restore, plain_write = (
        photos.read_stamped,
        Deblurrer.restore,
        photos.write_photo,
    )

    def happened(events: list[Event]) -> int:
        """Set the next of several events, and return its number."""
        number = next(number for number, event in enumerate(events) if not event.is_set())
        events[number].set()
        return number

    def read(path: Path) -> Any:
        happened(reads)
        return plain_read(path)

    def restore(self: Deblurrer, *given: Any) -> Any:
        if happened(restores) == 0:
            assert reads[1].wait(LONG)
            assert not restores[1].wait(SHORT)
        return plain_restore(self, *given)

    def write(*given: Any, **named: Any) -> Any:
        if not restores[1].is_set():
            assert restores[1].wait(SHORT if large else LONG) is not large
        return plain_write(*given, **named)

    monkeypatch.setattr(photos, "read_stamped", read)
    monkeypatch.setattr(Deblurrer, "restore", restore)
    monkeypatch.setattr(photos, "write_photo", write)
    options = WorkerOptions(RunOptions([]), PhotoOptions(), VideoOptions())
    deblurrer, turn = fake_deblurrer(), Lock()
    workers = [Worker(deblurrer, options, turn) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(outcome_of, workers, sorted(colours.iterdir())[:2]))
    assert [outcome.status for outcome in outcomes] == ["done", "done"]
