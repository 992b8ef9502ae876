"""Which files of a watched folder are complete, by a clock that the tests turn."""

import os
from pathlib import Path

import pytest

from blurdm_cli.files.inputs import Search
from blurdm_cli.pipeline.arrivals import MOST, Arrivals


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def arrivals(tmp_path: Path, clock: Clock) -> Arrivals:
    skip = Search(skip=tmp_path / "out")
    return Arrivals(tmp_path, skip, 2, lambda path: path.name == "done.jpg", clock)


def looked(arrivals: Arrivals, clock: Clock, seconds: float) -> list[str]:
    """The names of files that are complete so many seconds later."""
    clock.now += seconds
    arrivals.scan()
    return [path.name for path in arrivals.complete()]


def test_a_file_is_complete_once_it_has_stopped_growing(
    arrivals: Arrivals, clock: Clock, tmp_path: Path
) -> None:
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"1")
    assert looked(arrivals, clock, 0) == []
    assert arrivals.wait == 2
    photo.write_bytes(b"12")
    assert looked(arrivals, clock, 1.9) == []
    assert looked(arrivals, clock, 1.9) == []
    assert looked(arrivals, clock, 0.2) == ["a.jpg"]
    assert looked(arrivals, clock, 9) == []
    assert arrivals.wait is None


def test_a_file_that_changes_afterwards_arrives_again(
    arrivals: Arrivals, clock: Clock, tmp_path: Path
) -> None:
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"1")
    looked(arrivals, clock, 0)
    assert looked(arrivals, clock, 2) == ["a.jpg"]
    os.utime(photo, ns=(0, 1))
    assert looked(arrivals, clock, 0) == []
    assert looked(arrivals, clock, 2) == ["a.jpg"]


def test_what_is_hidden_empty_done_or_in_the_output_is_left_alone(
    arrivals: Arrivals, clock: Clock, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    for name in (".part.jpg", "done.jpg", "notes.txt", "out/b.jpg", "c.mp4.part"):
        (tmp_path / name).write_bytes(b"1")
    (tmp_path / "empty.jpg").write_bytes(b"")
    looked(arrivals, clock, 0)
    assert looked(arrivals, clock, 9) == []
    (tmp_path / ".part.jpg").rename(tmp_path / "a.jpg")
    (tmp_path / "done.jpg").write_bytes(b"changed")
    looked(arrivals, clock, 0)
    assert looked(arrivals, clock, 2) == ["a.jpg", "done.jpg"]


def test_a_file_that_could_not_be_handled_comes_again_later(
    arrivals: Arrivals, clock: Clock, tmp_path: Path
) -> None:
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"1")
    looked(arrivals, clock, 0)
    looked(arrivals, clock, 2)
    arrivals.again(photo, 30)
    assert looked(arrivals, clock, 29) == []
    assert looked(arrivals, clock, 1) == ["a.jpg"]


def test_a_file_that_goes_away_is_forgotten(
    arrivals: Arrivals, clock: Clock, tmp_path: Path
) -> None:
    (tmp_path / "a.jpg").write_bytes(b"1")
    looked(arrivals, clock, 0)
    (tmp_path / "a.jpg").unlink()
    assert looked(arrivals, clock, 2) == []
    assert arrivals.wait is None


def test_many_files_are_handed_out_in_portions_and_each_once(
    arrivals: Arrivals, clock: Clock, tmp_path: Path
) -> None:
    for number in range(MOST + 50):
        (tmp_path / f"{number}.jpg").write_bytes(b"1")
    looked(arrivals, clock, 0)
    first, second = looked(arrivals, clock, 2), looked(arrivals, clock, 0)
    assert (len(first), len(second)) == (MOST, 50)
    assert len({*first, *second}) == MOST + 50
