"""The interface between a run and the workers that it shares its files among."""

from collections.abc import Collection, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Protocol, runtime_checkable

from blurdm_cli.pipeline.opened import Opened
from blurdm_cli.pipeline.worker import Answer, Message, Task


class Lost(Exception):
    """A worker ended while it restored a file."""


@runtime_checkable
class Member(Protocol):
    """A worker of a pool. Its futures raise `Lost` if it ended, and never a `BlurdmError`."""

    def deblur(self, task: Task) -> Future[Message]: ...

    def proceed(self, answer: Answer) -> Future[Message]: ...

    def is_to_blame(self) -> bool:
        """Whether it ended on its own, and not with its machine."""


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
        """Forget a worker that ended; the pool may start another."""
