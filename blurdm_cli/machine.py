"""The machine: the cores that there are, and how the process asks for memory.

A network's tensors and a photo's rows are freed and asked for again thousands of times a minute.
By default glibc gives such blocks back to the system each time, which then has to find and clear
new pages for the next one: a fifth to two fifths of a transformer's time on a processor.
"""

import ctypes
import os
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
"""glibc's numbers of `mallopt`'s options, from its malloc.h."""

KEPT = 2**30
"""Bytes: so much freed memory stays with the process, and blocks below it come from there."""

MOST_ONCE = 2**25
"""The largest of such blocks that older versions of glibc take."""


def tune_allocator() -> None:
    """Keep freed memory at hand, in one place for all threads, and large tensors in huge pages.

    A program decides this for itself, at its start; a library does not. What glibc is
    not there to be told, or PyTorch's user has set already, is left as it is.
    """
    if sys.platform != "linux":
        return
    if os.path.exists("/sys/kernel/mm/transparent_hugepage"):
        os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # PyTorch reads it once
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt and (mallopt(MMAP_THRESHOLD, KEPT) or mallopt(MMAP_THRESHOLD, MOST_ONCE)):
        mallopt(TRIM_THRESHOLD, KEPT)
        mallopt(ARENA_MAX, 1)


def available_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
