"""CPU cores and memory of this process.

A network's tensors and a photo's rows are freed and allocated again thousands of times a minute.
By default glibc returns such blocks to the system each time, and the system has to find and clear
new pages for the next one. This takes a fifth to two fifths of a transformer's time on a CPU.
"""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from blurdm_cli.errors import BlurdmError, MemoryFull

TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
"""Option numbers of glibc's `mallopt`, from its malloc.h."""

KEPT = 2**30
"""Bytes of freed memory that the process keeps; smaller blocks are taken from there."""

NO_MEMORY = (
    *("failed to allocate", "cannot allocate", "can't alloc", "unable to allocate"),
    *("allocate memory", "bad_alloc", "bad allocation", "out of memory", "insufficient memory"),
    *("not enough memory", "failed to map segment", "can't start new thread"),
    "resource temporarily unavailable",  # a thread without a stack
)
"""Parts of the messages of libraries, of the loader and of Python when memory runs out."""

MOST_ONCE = 2**25
"""Largest such block size that older versions of glibc accept, in bytes."""


_most_cores: int | None = None


def tune_allocator() -> None:
    """Keep freed memory in one arena for all threads, and put large tensors in huge pages.

    To be called by a program at its start, not by a library. Without glibc its settings are
    skipped. A setting of PyTorch that the user has already made is kept.
    """
    if sys.platform != "linux":
        return
    if os.path.exists("/sys/kernel/mm/transparent_hugepage"):
        os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # PyTorch reads it once
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt and (mallopt(MMAP_THRESHOLD, KEPT) or mallopt(MMAP_THRESHOLD, MOST_ONCE)):
        mallopt(TRIM_THRESHOLD, KEPT)
        mallopt(ARENA_MAX, 1)


def limit_memory(most_bytes: int) -> None:
    """Let every allocation fail that would give this process more memory than so many bytes.

    Memory of graphics cards and mapped files does not count.

    Raises:
        OSError: this system has no such limit; only Linux does.
    """
    if sys.platform != "linux":
        raise OSError("memory can be limited on Linux only")
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, most_bytes))


def lacks_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out: libraries have their own words for it."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or any(words in said for words in NO_MEMORY)


@contextmanager
def within_memory(what: str) -> Iterator[None]:
    """Turn errors of the block that mean that memory ran out into a `MemoryFull`.

    Args:
        what: what does not fit.
    """
    try:
        yield
    except BlurdmError:
        raise
    except Exception as error:
        if lacks_memory(error):
            raise MemoryFull(what) from error
        raise


def available_cores() -> int:
    """Number of cores that this process may use."""
    mine = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if mine else os.cpu_count() or 1
    return min(cores, _most_cores or cores)


def limit_cores(cores: int) -> None:
    """Let this process use no more cores, as others work beside it."""
    global _most_cores
    _most_cores = cores


def shares_cores() -> bool:
    """Whether other processes work on the cores that this one leaves free."""
    return _most_cores is not None
