"""Locks that keep two runs from writing to the same place."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, SoftFileLock, Timeout

from blurdm_cli.errors import Busy

WITHOUT_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP})
"""Errors of disks, most of them in a network, on which locks do not work."""


@contextmanager
def locked(path: Path, place: Path | str) -> Iterator[bool]:
    """Hold a lock while the block runs; its file is removed at the end.

    On a disk without locks, a file that only one run can create stands for the lock. If that run
    was killed, the next one on the same computer removes the file.

    Args:
        path: the lock's file; its folder exists.
        place: what is locked, for the error.

    Yields:
        Whether the disk has locks.

    Raises:
        Busy: another run holds the lock.
        OSError: the file cannot be created.
    """
    lock: FileLock | SoftFileLock = FileLock(path, timeout=0)
    marker = path.with_name(f"{path.name}.held")
    hint = "Wait until it ends, or use another name or folder"
    try:
        lock.acquire()
    except Timeout as error:
        raise _busy(place, hint) from error
    except OSError as error:
        with suppress(OSError):
            path.unlink()
        if error.errno not in WITHOUT_LOCKS:
            raise
        lock = SoftFileLock(marker, timeout=0)
        try:
            lock.acquire()
        except Timeout as held:
            raise _busy(place, f"Wait until it ends; if none runs, delete {marker}") from held
    try:
        yield isinstance(lock, FileLock)
    finally:
        with suppress(OSError):  # first: nobody may lock a file that is about to be removed
            Path(lock.lock_file).unlink()
        lock.release()


def _busy(place: Path | str, hint: str) -> Busy:
    return Busy(f"Another run is writing to {place}", hint=hint)


def no_locks(place: Path) -> str:
    """A note that a place has no locks."""
    return f"{place} is on a disk without locks: do not write there from two computers at once"
