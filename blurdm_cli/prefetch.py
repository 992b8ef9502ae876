"""An iterator that works ahead in a thread of its own, through a bounded queue."""

from collections.abc import Iterable, Iterator
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Generic, TypeVar

Item = TypeVar("Item")


class _End:
    """The last thing in the queue, with the error that ended the work, if one did."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class Prefetcher(Generic[Item]):
    """Takes items from a source while the one before is still worked on.

    Errors of the source are raised where its items are taken. Leaving the `with` block stops
    the thread, whether all items were taken or not.
    """

    def __init__(self, source: Iterable[Item], depth: int) -> None:
        """Begin at once.

        Args:
            source: is iterated in the thread.
            depth: how many items may wait.
        """
        self._queue: Queue[Item | _End] = Queue(depth)
        self._stop = Event()
        self._thread = Thread(target=self._work, args=(iter(source),), daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many items are ready and not taken."""
        return self._queue.qsize()

    def __iter__(self) -> Iterator[Item]:
        while True:
            item = self._queue.get()
            if isinstance(item, _End):
                if item.error:
                    raise item.error
                return
            yield item

    def __enter__(self) -> "Prefetcher[Item]":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.1)
            except Empty:
                continue
        self._thread.join()

    def _work(self, source: Iterator[Item]) -> None:
        error: BaseException | None = None
        try:
            for item in source:
                self._put(item)
                if self._stop.is_set():
                    break
        except BaseException as raised:  # is raised again in the other thread
            error = raised
        finally:
            if close := getattr(source, "close", None):
                close()
        self._put(_End(error))

    def _put(self, item: Item | _End) -> None:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=0.1)
                return
            except Full:
                continue
