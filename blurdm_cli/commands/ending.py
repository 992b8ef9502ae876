"""Deadline for exiting: a signal ends the process soon after, whatever its threads do."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

GRACE = 0.8
"""Seconds for a clean exit, which removes partly written files."""

_grace = GRACE

INTERRUPTED = 130
"""The exit code of an interruption, as in shells."""


def allow_for_ending(seconds: float) -> None:
    """Set the time that this process has to end."""
    global _grace
    _grace = seconds


@contextmanager
def ending_in_time() -> Iterator[None]:
    """End this process `GRACE` seconds after the first SIGINT or SIGTERM in the block.

    A thread that reads a damaged file or an unresponsive disk may never return, and Python waits
    for it at exit. Finished files are complete, and a later run continues.
    """
    allow_for_ending(GRACE)
    told, waking = socket.socketpair()
    waking.setblocking(False)
    before = signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)

    def watch() -> None:
        with told:
            while number := told.recv(1):
                if number[0] in (signal.SIGINT, signal.SIGTERM):
                    time.sleep(_grace)
                    os._exit(INTERRUPTED)

    Thread(target=watch, name="ending", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        waking.close()
