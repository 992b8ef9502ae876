from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from blurdm_cli.errors import OutputError
from blurdm_cli.video.encoder import Encoding
from blurdm_cli.video.segments import Segment, SegmentStore, join_store, open_store
from blurdm_cli.video.tags import Colour
from blurdm_cli.video.yuv import from_rgb
from tests.clips import scene

ENCODING = Encoding(
    encoder="ffv1",
    options={},
    pix_fmt="yuv444p",
    height=48,
    width=64,
    rate=Fraction(25),
    time_base=Fraction(1, 25),
    aspect=None,
    colour=Colour(1, 1, 1, 1),
    global_header=True,
)


def write(store: SegmentStore, number: int, first: int, count: int) -> None:
    with store.writer(number, {"last": first + count}, {f"from {first}": None}) as writer:
        for number in range(first, first + count):
            frame = from_rgb(scene(number, 48, 64), "yuv444p")
            frame.pts, frame.time_base, frame.duration = 10 * number, Fraction(1, 25), 10
            writer.write(frame)


def test_what_was_finished_is_there_again(tmp_path: Path) -> None:
    with open_store(tmp_path / "b.mkv", ENCODING, {"a": 1}) as store:
        write(store, 0, 0, 3)
        write(store, 1, 3, 2)
    with open_store(tmp_path / "b.mkv", ENCODING, {"a": 1}) as store:
        assert (store.done, store.state) == (5, {"last": 5})
        segments = store.whole(2)
        assert segments
        assert store.whole(3) is None
        coded = [coded for segment in segments for coded, _ in segment.packets()]
        data = [data for segment in segments for _, data in segment.packets()]
        assert [segment.notes for segment in segments] == [["from 0"], ["from 3"]]
    assert [(one.pts, one.duration) for one in coded] == [(10 * n, 10) for n in range(5)]
    assert [len(each) for each in data] == [one.size for one in coded]


def test_a_segment_that_was_not_finished_is_not_there(tmp_path: Path) -> None:
    with open_store(tmp_path / "b.mkv", ENCODING, {}) as store:
        write(store, 0, 0, 3)
        with pytest.raises(ArithmeticError), store.writer(1, {}, {}):
            raise ArithmeticError
    with open_store(tmp_path / "b.mkv", ENCODING, {}) as store:
        assert store.done == 3


@pytest.mark.parametrize("cut", [0, 5, 100, -1, -9, -200])
def test_only_a_cut_off_segment_is_made_again(tmp_path: Path, cut: int) -> None:
    with open_store(tmp_path / "b.mkv", ENCODING, {}) as store:
        for number in range(3):
            write(store, number, 2 * number, 2)
        segments = store.whole(3)
        assert segments
        path = segments[1].path
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises((ValueError, OSError)):
        Segment.read(path)
    with open_store(tmp_path / "b.mkv", ENCODING, {}) as store:
        assert store.done == 2
        assert [store.whose(number) for number in range(4)] == [
            "earlier",
            "ours",
            "earlier",
            "ours",
        ]


def test_workers_share_the_segments_of_one_result(tmp_path: Path) -> None:
    target = tmp_path / "b.mkv"
    with pytest.raises(OutputError):
        join_store(target, ENCODING, {}, lambda number: True)
    with open_store(target, ENCODING, {}, lambda number: number == 0) as store:
        other = join_store(target, ENCODING, {}, lambda number: number != 0)
        for each in (store, other):
            for number in range(2):
                if each.whose(number) == "ours":
                    write(each, number, 2 * number, 2)
        assert (store.whose(1), other.whose(0)) == ("others", "others")
        assert store.whole(2)
        with pytest.raises(OutputError):
            join_store(target, ENCODING, {"another": "clip"}, lambda number: True)


def test_at_the_end_nothing_is_left(tmp_path: Path) -> None:
    with open_store(tmp_path / "b.mkv", ENCODING, {}) as store:
        write(store, 0, 0, 2)
        store.clear()
    assert list(tmp_path.iterdir()) == []


def test_other_clips_and_a_journal_beside_it_stay(tmp_path: Path) -> None:
    journal = tmp_path / ".blurdm" / "run.ndjson"
    journal.parent.mkdir()
    journal.write_text("{}\n")
    with (
        open_store(tmp_path / "b.mkv", ENCODING, {}) as store,
        open_store(tmp_path / "c.mkv", ENCODING, {}) as other,
    ):
        write(other, 0, 0, 2)
        store.clear()
    assert journal.exists()
    with open_store(tmp_path / "c.mkv", ENCODING, {}) as other:
        assert other.done == 2


def test_frames_of_a_segment_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    with open_store(tmp_path / "b.mkv", ENCODING, {}) as store:
        write(store, 0, 0, 4)
        [segment] = store.whole(1) or []
        times = [coded.pts for coded in segment.frames]
    assert np.array_equal(times, [0, 10, 20, 30])
