"""Files that arrive in a folder: which ones are complete and not yet handled."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from heapq import nsmallest
from pathlib import Path

from blurdm_cli.files.inputs import Search, find_files

State = tuple[int, int]
"""Size and modification time, which stay the same once a file is complete."""

MOST = 100
"""Files that are handed out at once, so that later ones are looked at in between."""


class Arrivals:
    """The files of a folder, watched by scanning it again and again.

    A file is complete if its size and time have not changed for a while. One that changes after it
    was handed out arrives again.
    """

    def __init__(
        self,
        folder: Path,
        search: Search,
        settle: float,
        is_done: Callable[[Path], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set up.

        Args:
            folder: the folder.
            search: selects its files.
            settle: seconds without a change after which a file is complete.
            is_done: whether an earlier run has handled a file as it is now.
            clock: the time in seconds.
        """
        self._folder = folder
        self._search = search
        self._settle = settle
        self._is_done = is_done
        self._clock = clock
        self._handled: dict[Path, State] = {}
        self._arriving: dict[Path, tuple[State, float]] = {}
        """Files with their last state, and the time from which on they are complete."""

    def scan(self) -> None:
        """Look at the folder.

        Raises:
            InputError: it may not be read.
        """
        now = self._clock()
        present = set(find_files(self._folder, self._search))
        for path in present:
            state = _state(path)
            if state is None or self._handled.get(path) == state:
                continue
            before = self._arriving.get(path)
            if before is None and path not in self._handled and self._is_done(path):
                self._handled[path] = state
            elif before is None or before[0] != state:
                self._arriving[path] = (state, now + self._settle)
        for path in self._arriving.keys() - present:
            del self._arriving[path]

    def complete(self) -> list[Path]:
        """Take the complete files, in the order in which they were completed."""
        now = self._clock()
        found = ((when, path) for path, (_, when) in self._arriving.items() if when <= now)
        paths = [path for _, path in nsmallest(MOST, found)]
        for path in paths:
            self._handled[path] = self._arriving.pop(path)[0]
        return paths

    def again(self, path: Path, seconds: float) -> None:
        """Hand out a file again after a while, as it could not be handled."""
        state = self._handled.pop(path, None)
        if state:
            self._arriving[path] = (state, self._clock() + seconds)

    @property
    def wait(self) -> float | None:
        """Seconds until the next file may be complete; None if none arrives."""
        times = [when for _, when in self._arriving.values()]
        return max(0.0, min(times) - self._clock()) if times else None


def _state(path: Path) -> State | None:
    """The state of a file; None if it is gone or still empty."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_size, status.st_mtime_ns) if status.st_size else None
