"""The segments of a video, divided among the workers of a run."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar, runtime_checkable

Holder = TypeVar("Holder")


@runtime_checkable
class Claims(Protocol):
    """A worker's claims to the segments of one video."""

    def take(self, number: int, expected: int | None) -> bool:
        """Claim a segment.

        Args:
            number: its number, from 0.
            expected: estimated number of all segments; None if unknown.

        Returns:
            Whether it is ours; others have it otherwise.
        """
        ...

    def wait(self, count: int) -> None:
        """Wait until no other worker restores a segment.

        Args:
            count: number of all segments.
        """
        ...


class Alone:
    """The claims of a worker without others."""

    def take(self, number: int, expected: int | None) -> bool:
        return True

    def wait(self, count: int) -> None:
        """Do nothing."""


ALONE: Claims = Alone()


class Division(Generic[Holder]):
    """The segments of a video and the workers that have them."""

    def __init__(self) -> None:
        self.begun = False
        """Whether a worker has opened the segments."""
        self._holders: dict[int, Holder] = {}
        self._count: int | None = None
        self._passed = False

    def take(self, holder: Holder, number: int, expected: int | None) -> bool:
        """Give a segment to a worker, unless another has it."""
        self.begun = True
        self._count = self._count or expected
        return self._holders.setdefault(number, holder) is holder

    def end(self, count: int) -> None:
        """A worker came to the end of the video: all segments are taken or finished."""
        self._count, self._passed = count, True

    def release(self, holder: Holder) -> None:
        """Set free the segments of a worker that ended; those that it finished are found again."""
        self._holders = {n: each for n, each in self._holders.items() if each is not holder}
        self._passed = False

    @property
    def is_open(self) -> bool:
        """Whether another worker may find a segment to restore."""
        taken, count = len(self._holders), self._count
        return self.begun and not self._passed and (count is None or taken < count)
