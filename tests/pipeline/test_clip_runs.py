"""Runs over a clip: cut off, damaged, in part, and into and from numbered pictures."""

import os
import signal
import subprocess
import sys
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from blurdm_cli.errors import DecodeError, InputError, OutputError, UsageError
from blurdm_cli.video.reader import open_clip
from tests import clips
from tests.clips import Stopped, make_clip, packets, seconds, shown, stop_after

LONG = tuple(range(24))

deblurred = partial(clips.deblurred, gain=0.25)


pytestmark = pytest.mark.usefixtures("short_segments")


@pytest.mark.parametrize("stops", [(0.1,), (0.5,), (1.0,), (0.3, 0.7, 0.9)])
def test_a_run_that_was_stopped_and_resumed_gives_the_same_bytes(
    tmp_path: Path, stops: tuple[float, ...]
) -> None:
    source = make_clip(tmp_path / "a.mkv", codec="ffv1", times=LONG)
    whole, target = tmp_path / "whole.mkv", tmp_path / "b.mkv"
    deblurred(source, whole, all_frames=False)
    for stop in stops:
        with pytest.raises(Stopped):
            deblurred(source, target, advance=stop_after(stop), all_frames=False)
        assert not target.exists()

    deblurred(source, target, all_frames=False)

    assert_alike(target, whole)
    assert not (tmp_path / ".blurdm").exists()


def assert_alike(one: Path, other: Path) -> None:
    """Both hold the same packets; the files have random numbers too."""
    assert packets(one, "video") == packets(other, "video")


def test_a_resumed_run_keeps_times_and_b_frames(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", times=LONG, audio=("aac",), options={"bf": "3"})
    with pytest.raises(Stopped):
        deblurred(source, tmp_path / "b.mp4", advance=stop_after(0.6))
    deblurred(source, tmp_path / "b.mp4")
    assert seconds(tmp_path / "b.mp4") == seconds(source)
    assert packets(tmp_path / "b.mp4", "audio") == packets(source, "audio")


KILLED = """
import os, signal, sys
from fractions import Fraction
from pathlib import Path
from blurdm_cli.pipeline import clip, clip_job
from blurdm_cli.pipeline.options import VideoOptions
from tests.clips import fake_deblurrer
clip_job.SECONDS = Fraction(1, 5)
def advance(done, note):
    if done >= 0.6:
        os.kill(os.getpid(), signal.SIGKILL)
source, target = map(Path, sys.argv[1:])
wanted = VideoOptions(all_frames=True)
clip.deblur_clip(source, target, fake_deblurrer(0.25), wanted, settings="", advance=advance)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9")
def test_a_run_that_is_killed_loses_one_segment_at_most(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", codec="ffv1", times=LONG)
    whole, target = tmp_path / "whole.mkv", tmp_path / "b.mkv"
    run = [sys.executable, "-c", KILLED, str(source), str(target)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    killed = subprocess.run(run, env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not target.exists()
    restored: list[float] = []

    deblurred(source, target, advance=lambda done, note: restored.append(done))

    assert len(restored) == 24 - 10  # two whole segments of five were finished before frame 15
    deblurred(source, whole)
    assert_alike(target, whole)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mkv", "b.mkv", "whole.mkv"]


@pytest.mark.parametrize("changed", ["settings", "crf", "metadata", "source", "resume"])
def test_what_an_earlier_run_left_is_used_only_if_nothing_changed(
    tmp_path: Path, changed: str
) -> None:
    source = make_clip(tmp_path / "a.mp4", times=LONG)
    target = tmp_path / "b.mp4"
    with pytest.raises(Stopped):
        deblurred(source, target, advance=stop_after(0.9))
    others: dict[str, Any] = {
        "settings": {"settings": "x"},
        "crf": {"crf": 30},
        "metadata": {"metadata": "strip-gps"},
    }
    other = others.get(changed, {})
    if changed == "resume":
        other = {"resume": False}
    if changed == "source":
        make_clip(source, times=LONG, size=(48, 80))
    restored: list[float] = []

    deblurred(source, target, advance=lambda done, note: restored.append(done), **other)

    assert len(restored) == 24


def test_a_damaged_segment_is_made_again_and_no_other(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", codec="ffv1", times=LONG)
    whole, target = tmp_path / "whole.mkv", tmp_path / "b.mkv"
    with pytest.raises(Stopped):
        deblurred(source, target, advance=stop_after(0.9))
    second = tmp_path / ".blurdm" / "b.mkv" / "00001.segment"
    second.write_bytes(second.read_bytes()[:-20])
    restored: list[float] = []

    result = deblurred(source, target, advance=lambda done, note: restored.append(done))

    assert len(restored) == 5 + 4  # the damaged one, and the last one
    assert (result.frames, result.earlier) == (24, 15)
    deblurred(source, whole)
    assert_alike(target, whole)


def test_two_runs_do_not_write_one_file(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4")

    def meanwhile(done: float, note: str) -> None:
        with pytest.raises(OutputError, match="Another run"):
            deblurred(source, tmp_path / "b.mp4")

    deblurred(source, tmp_path / "b.mp4", advance=meanwhile)
    assert len(shown(tmp_path / "b.mp4")) == 12


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_of_a_truncated_file_all_that_can_be_decoded_is_restored(
    tmp_path: Path, ending: str
) -> None:
    noise = np.random.default_rng(0).random((50, 48, 64, 3), np.float32)
    source = make_clip(
        tmp_path / f"a.{ending}",
        frames=noise,
        times=range(50),
        movflags="faststart" if ending == "mp4" else "",
        audio=("aac",),
    )
    source.write_bytes(source.read_bytes()[: source.stat().st_size * 6 // 10])
    target = tmp_path / f"b.{ending}"

    result = deblurred(source, target)

    assert 20 < result.frames < 40
    assert seconds(target) == [Fraction(number, 25) for number in range(result.frames)]
    assert result.loss is not None
    assert f"{result.frames} of 50 frames" in result.loss


def test_a_damaged_packet_costs_its_own_frames_only(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).random((24, 48, 64, 3), np.float32)
    source = make_clip(tmp_path / "a.mkv", frames=noise, times=LONG, options={"g": "1"})
    data = bytearray(source.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = np.random.default_rng(1).bytes(200)
    source.write_bytes(data)
    result = deblurred(source, tmp_path / "b.mkv")
    assert 20 <= result.frames <= 24
    assert "damaged" in str(result.loss)


@pytest.mark.parametrize("content", [b"", b"no video at all", b"\0\0\0\x18ftypisom" + bytes(100)])
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(DecodeError) as caught:
        open_clip(path)
    assert caught.value.hint


def test_a_file_with_sound_alone_is_refused(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", audio=("aac",))
    with av.open(str(source)) as given, av.open(str(tmp_path / "b.mp4"), "w") as out:
        stream = out.add_stream_from_template(given.streams.audio[0])
        for packet in given.demux(given.streams.audio[0]):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    with pytest.raises(DecodeError, match="contains no video"):
        open_clip(tmp_path / "b.mp4")
    with pytest.raises(InputError, match="There is no"):
        open_clip(tmp_path / "c.mp4")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"start": Fraction(8, 25)}, range(8, 24)),
        ({"end": Fraction(8, 25)}, range(8)),
        ({"start": Fraction(9, 25), "end": Fraction(20, 25)}, range(9, 20)),
        ({"frames": 7}, range(7)),
        ({"every": 3}, range(0, 24, 3)),
        ({"start": Fraction(4, 25), "every": 2, "frames": 5}, range(4, 14, 2)),
    ],
)
def test_a_part_of_a_clip_has_its_frames_at_their_times(
    tmp_path: Path, options: dict[str, Any], expected: range
) -> None:
    source = make_clip(tmp_path / "a.mkv", codec="ffv1", times=LONG, audio=("flac",))
    target = tmp_path / "b.mkv"

    deblurred(source, target, gain=0.0, **options)

    frames, given = shown(target), shown(source)
    begin = expected.start
    assert seconds(target) == [Fraction(number - begin, 25) for number in expected]
    for number, frame in zip(expected, frames, strict=True):
        np.testing.assert_array_equal(frame.to_ndarray(), given[number].to_ndarray())
    sound = packets(target, "audio")
    assert sound[0][0] >= 0
    if "frames" in options or "end" in options:
        assert sound[-1][0] <= Fraction(expected[-1] + expected.step - begin, 25)
    assert {data for _, data in sound} <= {data for _, data in packets(source, "audio")}


@pytest.mark.parametrize(
    ("name", "options", "word"),
    [
        ("b.mp4", {"codec": "h263x"}, "h263x"),
        ("b.webm", {"codec": "h264"}, "webm"),
        ("b.mp4", {"pix_fmt": "yuv410p"}, "yuv410p"),
        ("b.mp4", {"preset": "warp"}, "warp"),
        ("b.mp4", {"crf": 99}, "99"),
        ("b.mov", {"codec": "prores", "crf": 3}, "crf"),
        ("b.gif", {}, "gif"),
    ],
)
def test_what_cannot_be_encoded_is_said_before_any_work(
    tmp_path: Path, name: str, options: dict[str, Any], word: str
) -> None:
    source = make_clip(tmp_path / "a.mp4")
    with pytest.raises(UsageError, match=word) as caught:
        deblurred(source, tmp_path / name, **options)
    assert caught.value.hint
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4"]
