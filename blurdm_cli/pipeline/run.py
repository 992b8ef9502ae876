"""What photos and videos of a run share."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.files.atomic import Seal
from blurdm_cli.files.naming import FileJob
from blurdm_cli.files.stamp import Stamp
from blurdm_cli.pipeline.claims import ALONE, Claims
from blurdm_cli.pipeline.destinations import Destination
from blurdm_cli.pipeline.options import RunOptions
from blurdm_cli.pipeline.outcome import Outcome
from blurdm_cli.pipeline.reporter import Reporter

FREE: AbstractContextManager[Any] = nullcontext()
"""The turn of a run that is alone with its model."""


@runtime_checkable
class Places(Protocol):
    """Chooses destinations, as `Destinations` does."""

    def find(self, job: FileJob) -> Destination: ...

    def with_sheet(self, job: FileJob, place: Destination) -> Destination: ...


@runtime_checkable
class Record(Protocol):
    """Records what is written, as `Journal` does."""

    def begin(self, source: Path, output: Path, stamp: Stamp | None = None) -> Seal: ...

    def end(self, source: Path, output: Path, stamp: Stamp) -> None: ...


@dataclass(frozen=True)
class Run:
    """What photos and videos of a run share."""

    deblurrer: Deblurrer
    """Restores photos and frames."""
    options: RunOptions
    places: Places
    """Where files are read and written."""
    journals: Mapping[Path | None, Record]
    """By the folder that a job names as its home."""
    reporter: Reporter
    """Shows the progress."""
    tell: Callable[[Outcome], None]
    """Called with each outcome."""
    fetch: Callable[[Path], object] = lambda path: None
    """Called with the path of an input before it is read; makes sure that it is there."""
    claims: Claims = ALONE
    """Divides the segments of a video among workers."""
    turn: AbstractContextManager[Any] = FREE
    """Held while a photo is restored, and while a large one is written."""
