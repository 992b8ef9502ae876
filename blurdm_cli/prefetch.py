"""An iterator that prefetches in its own thread, through a bounded queue."""

from collections.abc import Iterable, Iterator
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Generic, TypeVar

Item = TypeVar("Item")


class _End:
    """End marker of the queue, with the error that ended the work, if any."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class Prefetcher(Generic[Item]):
    """Fetch items from a source while the previous one is still being processed.

    Errors of the source are raised in the consumer. Leaving the `with` block stops the thread,
    whether all items were taken or not.
    """

    def __init__(self, source: Iterable[Item], depth: int) -> None:
        """Start fetching at once.

        Args:
            source: iterated in the thread.
            depth: largest number of items that wait.
        """
        self._queue: Queue[Item | _End] = Queue(depth)
        self._stop = Event()
        self._thread = Thread(target=self._work, args=(iter(source),), daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Number of items that are ready but not taken."""
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
        except BaseException as raised:  # re-raised in the consumer
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
