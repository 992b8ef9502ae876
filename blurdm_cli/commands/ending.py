"""The end of a program that was asked to end: within a second, whatever its threads are at."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

GRACE = 0.8
"""Seconds for everything to come to its own end: what is half written is taken away."""

INTERRUPTED = 130
"""The exit code, as shells give it."""


@contextmanager
def ending_in_time() -> Iterator[None]:
    """From the first SIGINT or SIGTERM in the block on, give this process `GRACE` seconds.

    A reader of a damaged file, or of one on a disk that does not answer, may never return; Python
    waits for it before it ends. What was done by then is whole, and a later run goes on.
    """
    told, waking = socket.socketpair()
    waking.setblocking(False)
    before = signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)

    def watch() -> None:
        with told:
            while number := told.recv(1):
                if number[0] in (signal.SIGINT, signal.SIGTERM):
                    time.sleep(GRACE)
                    os._exit(INTERRUPTED)

    Thread(target=watch, name="ending", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        waking.close()
