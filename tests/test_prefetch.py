from collections.abc import Iterator
from threading import Event, active_count

import pytest

from blurdm_cli.prefetch import Prefetcher


def test_items_come_in_their_order() -> None:
    with Prefetcher(range(100), 3) as ahead:
        assert list(ahead) == list(range(100))


def test_no_more_than_the_depth_is_made_ahead() -> None:
    made: list[int] = []
    full = Event()

    def source() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            if number == 5:  # five wait, and one is in the hand
                full.set()
            yield number

    with Prefetcher(source(), 5) as ahead:
        assert full.wait(10)
        taken = next(iter(ahead))
        assert taken == 0
        assert ahead.waiting <= 5
    assert len(made) < 10


def test_an_error_of_the_source_is_raised_where_items_are_taken() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ArithmeticError("in the thread")

    with Prefetcher(source(), 2) as ahead, pytest.raises(ArithmeticError, match="in the thread"):
        list(ahead)


def test_leaving_early_ends_the_thread_and_closes_the_source() -> None:
    closed = Event()

    def source() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed.set()

    before = active_count()
    with Prefetcher(source(), 2) as ahead:
        next(iter(ahead))
    assert closed.is_set()
    assert active_count() == before
