"""Ctrl-C and its like, held back while what they would tear apart is done."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread


@contextmanager
def interruptions() -> Iterator[list[int]]:
    """Hold back the first signal that would raise KeyboardInterrupt, and raise it at the end.

    A second one ends the block at once. In another thread than the main one there are none.

    Yields:
        The signals that came; a block that sees one should come to its end.
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
