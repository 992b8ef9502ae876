"""The files of a shared run, their workers and their journals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from blurdm_cli.errors import BlurdmError
from blurdm_cli.files.journal import Journal
from blurdm_cli.files.naming import FileJob
from blurdm_cli.pipeline.claims import Division
from blurdm_cli.pipeline.destinations import Destination, Destinations
from blurdm_cli.pipeline.messages import Entry
from blurdm_cli.pipeline.pool import Member

KILLS = 3
"""Workers that may end while they have a file and no other; then it fails."""


@dataclass(frozen=True, eq=False)
class Group:
    """The photos or the videos of a run, and what they share."""

    moving: bool
    """Whether they are videos."""
    jobs: Sequence[FileJob]
    settings: str
    """Identifies everything that determines the results, except the inputs."""
    journals: Mapping[Path | None, Journal]
    """By the folder that a job names as its home."""
    places: Destinations


@dataclass(eq=False)
class SharedFile:
    """A file of the run."""

    job: FileJob
    group: Group
    place: Destination | None = None
    part: float = 0.0
    """The fraction that is done."""
    lost: list[Member] = field(default_factory=list)
    """Workers that ended while they restored it."""
    suspected: list[Member] = field(default_factory=list)
    """The lost workers whose process had no other file."""
    since: float = 0.0
    """When the last one did."""
    ends: list[Entry] = field(default_factory=list)
    """Recorded together with its outcome: a worker may end between the two."""
    owner: Member | None = None
    """The worker that writes the result."""
    helpers: list[Member] = field(default_factory=list)
    """Workers that restore segments of a video for it."""
    useless: list[object] = field(default_factory=list)
    """Processes that cannot help."""
    segments: Division[Member] = field(default_factory=Division[Member])
    waits: bool = False
    """Whether the owner waits for its helpers."""
    over: bool = False
    """Whether it has its outcome."""
    alone: bool = False
    """Whether its owner has a copy of its own, which no other worker reaches."""

    @property
    def workers(self) -> list[Member]:
        """The workers that have it now."""
        return [*filter(None, [self.owner]), *self.helpers]

    @property
    def is_exclusive(self) -> bool:
        """Whether it needs a process without other files.

        A video uses all of it. If a process ends with a file that ended one before, the file is
        the reason, and no other.
        """
        return self.group.moving or bool(self.lost)

    def wants(self, member: Member) -> bool:
        """Whether a worker of a process without files may help."""
        fit = member.process not in self.useless and self.blamed() < KILLS - 1
        return fit and not self.alone and self.segments.is_open

    def blamed(self) -> int:
        """Number of workers that ended because of it: not with their machine or another file."""
        return sum(other.is_to_blame() for other in self.suspected)


def record(file: SharedFile, entry: Entry) -> BlurdmError | None:
    """Record an entry in a file's journal; return why it cannot be."""
    journal = file.group.journals[file.job.home]
    try:
        match entry.kind:
            case "start":
                journal.start(entry.source, entry.output)
            case "seal" if entry.stamp:
                journal.seal(entry.source, entry.output, entry.stamp)
            case "end" if entry.stamp:
                journal.end(entry.source, entry.output, entry.stamp)
    except BlurdmError as error:
        return error
    return None
