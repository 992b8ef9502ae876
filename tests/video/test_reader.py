import os
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from blurdm_cli.errors import TooManyPixels
from blurdm_cli.photo import pixels
from blurdm_cli.video import reader as video
from blurdm_cli.video.losses import Losses
from blurdm_cli.video.reader import open_clip, read_frames
from tests.clips import make_clip


def test_a_video_of_too_many_pixels_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_clip(tmp_path / "a.mp4", times=range(2))
    monkeypatch.setattr(pixels, "LARGEST", 64 * 48 - 1)
    with pytest.raises(TooManyPixels, match=r"a\.mp4 is too large"):
        open_clip(path)


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov", "ts", "avi"])
@pytest.mark.parametrize("start", [0, 1, 17, 30, 47])
def test_frames_from_some_time_on_are_those_of_the_whole_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, start: int
) -> None:
    monkeypatch.setattr(video, "RUN_UP", Fraction(1, 25))
    options = {"g": "10", "bf": "3", "x264-params": "open-gop=1"}
    clip = open_clip(make_clip(tmp_path / f"a.{ending}", times=range(48), options=options))
    whole = list(read_frames(clip, Losses()))

    part = list(read_frames(clip, Losses(), start=Fraction(start, 25)))

    assert [frame.pts for frame in part] == [frame.pts for frame in whole[start:]]
    for frame, expected in zip(part, whole[start:], strict=True):
        np.testing.assert_array_equal(frame.to_ndarray(), expected.to_ndarray())


@pytest.mark.parametrize("ending", ["avi", "h264"])
def test_without_timestamps_frames_are_numbered(tmp_path: Path, ending: str) -> None:
    clip = open_clip(make_clip(tmp_path / f"a.{ending}", options={"bf": "3"}))
    frames = list(read_frames(clip, Losses()))
    assert clip.time_base == Fraction(1, 25)
    assert [frame.pts for frame in frames] == list(range(12))


@pytest.mark.parametrize(
    ("codec", "reorders"), [("libx264", 0), ("mpeg4", 0), ("ffv1", 0), ("libx264", 2), ("mpeg4", 2)]
)
def test_frames_that_a_capture_card_dropped_are_gaps_in_avi(
    tmp_path: Path, codec: str, reorders: int
) -> None:
    times = [*range(10), *range(30, 40)]
    options = {} if codec == "ffv1" else {"bf": str(reorders)}
    clip = open_clip(make_clip(tmp_path / "a.avi", codec=codec, times=times, options=options))
    frames = list(read_frames(clip, Losses()))
    assert (clip.begin, clip.time_base, len(frames)) == (0, Fraction(1, 25), 20)
    if not reorders:
        assert [frame.pts for frame in frames] == times
    steps = [later.pts - earlier.pts for earlier, later in pairwise(frames)]
    assert sorted(steps) == [1] * 18 + [21]


def test_a_damaged_frame_of_avi_moves_no_other(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.avi", codec="mpeg4", options={"g": "1"})
    data = path.read_bytes()
    begin = data.index(b"00dc", data.index(b"movi") + 2000) + 8
    size = int.from_bytes(data[begin - 4 : begin], "little")
    path.write_bytes(data[:begin] + bytes(size) + data[begin + size :])
    losses = Losses()
    times = [frame.pts for frame in read_frames(open_clip(path), losses)]
    assert losses.damaged == 1
    assert len(times) == 11
    assert (times[0], times[-1]) == (0, 11)


def test_headers_and_first_frame_tell_of_the_clip(tmp_path: Path) -> None:
    clip = open_clip(make_clip(tmp_path / "a.mp4", pix_fmt="yuv422p10le", size=(50, 70)))
    assert (clip.height, clip.width, clip.codec, clip.pix_fmt) == (50, 70, "h264", "yuv422p10le")
    assert (clip.rate, clip.frames, clip.begin) == (25, 12, 0)
    assert clip.end == Fraction(12, 25)
    assert not clip.interlaced


def test_interlaced_pictures_are_seen(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", options={"x264-params": "interlaced=1:tff=1"})
    assert open_clip(source).interlaced


def test_a_whole_file_has_no_losses(tmp_path: Path) -> None:
    for ending in ("mp4", "mkv", "mov", "ts", "avi"):
        source = make_clip(tmp_path / f"a.{ending}", chapters=ending != "avi")
        clip, losses = open_clip(source), Losses()
        assert losses.loss_note(clip, len(list(read_frames(clip, losses)))) is None


@pytest.mark.parametrize("name", ["12:30.mkv", "http:127.0.0.1:9.mkv", "concat:a|b.mkv"])
def test_a_name_that_looks_like_a_protocol_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "a.mkv").rename(name)
    assert len(list(read_frames(open_clip(Path(name)), Losses()))) == 12


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
@pytest.mark.parametrize("name", ["12:30.mkv", "http:127.0.0.1:9.mkv", "file:a.mkv"])
def test_a_name_like_an_address_is_the_name_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    make_clip(tmp_path / "a.mkv", times=range(2)).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert open_clip(Path(name)).width == 64
