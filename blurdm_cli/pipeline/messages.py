"""Messages between a run and its workers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from blurdm_cli.errors import BlurdmError
from blurdm_cli.files.naming import FileJob
from blurdm_cli.files.stamp import Stamp
from blurdm_cli.pipeline.destinations import Destination
from blurdm_cli.pipeline.outcome import Outcome
from blurdm_cli.pipeline.stand_ins import Lent


@dataclass(frozen=True)
class Task:
    """A file to restore."""

    job: FileJob
    place: Destination
    moving: bool
    """Whether it is a video or an image sequence."""
    settings: str
    """Identifies everything that determines the result, except the input."""
    lent: Lent | None = None
    """Its objects, if it is read from a bucket or written to one."""
    begun: bool = False
    """Whether a worker of this run has opened the video's segments, which are kept then."""
    helps: bool = False
    """Whether to restore segments of a video that another worker has."""


@dataclass(frozen=True)
class Entry:
    """An entry for the journal; the worker waits until it is recorded."""

    kind: Literal["start", "seal", "end"]
    """The journal's method."""
    source: Path
    output: Path
    stamp: Stamp | None = None


@dataclass(frozen=True)
class Claim:
    """A claim to a segment of a video; the answer is whether the worker has it."""

    number: int
    expected: int | None
    """Estimated number of all segments."""


@dataclass(frozen=True)
class Wait:
    """A worker has no more segments to restore; the answer comes when no other has one."""

    count: int
    """Number of all segments."""


@dataclass(frozen=True)
class Progress:
    """The fraction of a file that is done."""

    part: float
    note: str


@dataclass(frozen=True)
class Said:
    """A message for the user."""

    text: str
    warning: bool


Question = Entry | Claim | Wait
"""Messages for whose answer a worker waits."""

Message = Question | Progress | Said | Outcome

Answer = BlurdmError | bool | None
"""Whether a claim is granted; or why the file has to fail."""
