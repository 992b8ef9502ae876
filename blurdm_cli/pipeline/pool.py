"""The interface between a run and the workers that it shares its files among."""

from collections.abc import Collection, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Protocol, runtime_checkable

from blurdm_cli.pipeline.messages import Answer, Message, Task
from blurdm_cli.pipeline.opened import Opened


class Lost(Exception):
    """The process of a worker ended while it restored a file."""


@runtime_checkable
class Member(Protocol):
    """A worker of a pool, with one file at a time.

    Its futures raise `Lost` if its process ended, and never a `BlurdmError`.
    """

    @property
    def process(self) -> object:
        """Identifies its process; workers of one process end together."""

    def deblur(self, task: Task) -> Future[Message]: ...

    def proceed(self, answer: Answer) -> Future[Message]: ...

    def is_to_blame(self) -> bool:
        """Whether its process ended on its own, and not with its machine."""


@runtime_checkable
class Pool(Protocol):
    """Workers with an open model each."""

    opened: Opened
    """What all of them agree in."""

    def check(self, folders: Collection[Path], inputs: Sequence[Path], urls: Sequence[str]) -> None:
        """Check that every worker reaches the files of a run.

        Args:
            folders: where results go; they exist.
            inputs: files to restore.
            urls: objects to read or write.

        Raises:
            BlurdmError: one does not.
        """

    def joined(self) -> list[Member]:
        """Workers that became ready since the last call; returns at once.

        Raises:
            ComputeError: there is none, and none will come.
        """

    def remove(self, member: Member) -> None:
        """Forget the workers of a process that ended; the pool may start others.

        Args:
            member: one of them.
        """
