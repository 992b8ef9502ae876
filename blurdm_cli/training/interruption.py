"""Ctrl-C and similar signals, deferred while a block of code finishes."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread


@contextmanager
def interruptions() -> Iterator[list[int]]:
    """Defer the first signal that would raise KeyboardInterrupt to the end of the block.

    A second signal ends the block at once. Outside the main thread nothing is deferred.

    Yields:
        The signals received so far. A block that sees one should finish.
    """
    asked: list[int] = []
    handler = signal.default_int_handler
    held = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is handler]
    if current_thread() is not main_thread():
        held = []

    def keep(number: int, _frame: object) -> None:
        asked.append(number)
        release()

    def release() -> None:
        for number in held:
            signal.signal(number, handler)

    for number in held:
        signal.signal(number, keep)
    try:
        yield asked
    finally:
        release()
    if asked:
        raise KeyboardInterrupt
