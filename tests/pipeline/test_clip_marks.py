"""Clocks, marks and covers of videos: kept, or said."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from blurdm_cli.files.signatures import VIDEO, kind_of
from blurdm_cli.pipeline.clip import plan_clip
from blurdm_cli.pipeline.options import RunOptions, VideoOptions
from blurdm_cli.pipeline.planning import is_moving, plan_jobs
from tests.clips import deblurred, make_clip, seconds

LATE = tuple(range(9 * 3600 * 25, 9 * 3600 * 25 + 12))
"""Frames of a clock that has run for nine hours."""


def span(path: Path, kind: str = "video") -> tuple[float, float, int]:
    """Time of the first and the last packet in seconds, and how many there are."""
    with av.open(str(path)) as file:
        stream = next(stream for stream in file.streams if stream.type == kind)
        times = [p.pts * p.time_base for p in file.demux(stream) if p.size and p.pts is not None]
    return float(min(times)), float(max(times)), len(times)


def remux(source: Path, target: Path, format: str | None = None, cover: bytes = b"") -> None:
    """Copy a clip's pictures into another container, with a cover as an attachment."""
    with av.open(str(source)) as given, av.open(str(target), "w", format=format) as file:
        if cover:
            file.add_attachment("cover.jpg", "image/jpeg", cover)
        copy = file.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.size:
                packet.stream = copy
                file.mux(packet)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_clock_of_nine_hours_becomes_a_clip_of_its_own_length(
    tmp_path: Path, suffix: str
) -> None:
    source = make_clip(tmp_path / "a.ts", times=LATE)
    assert span(source)[0] > 9 * 3600 - 1
    deblurred(source, tmp_path / f"b.{suffix}")
    first, last, count = span(tmp_path / f"b.{suffix}")
    assert (round(first, 1), count) == (0.0, 12)
    assert last == pytest.approx(11 / 25, abs=0.02)
    with av.open(str(tmp_path / f"b.{suffix}")) as file:
        assert (file.duration or 0) < 1e6


def test_sound_goes_on_where_a_recorders_clock_starts_anew(tmp_path: Path) -> None:
    one = make_clip(tmp_path / "one.ts", times=tuple(range(50)), audio=["mp2"])
    twice = tmp_path / "twice.ts"
    twice.write_bytes(one.read_bytes() * 2)
    result = deblurred(twice, tmp_path / "b.mkv")
    before = span(one, "audio")
    first, last, count = span(tmp_path / "b.mkv", "audio")
    assert count == 2 * before[2]
    assert last - first == pytest.approx(2 * (before[1] - before[0]), abs=0.1)
    assert not any("left out" in note for note in result.notes)


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_hevc_is_tagged_as_apples_players_ask(tmp_path: Path, suffix: str) -> None:
    source = make_clip(tmp_path / "a.mp4", size=(64, 96))
    deblurred(source, tmp_path / f"b.{suffix}", codec="hevc")
    assert b"hvc1" in (tmp_path / f"b.{suffix}").read_bytes()
    with av.open(str(tmp_path / f"b.{suffix}")) as file:
        assert sum(1 for _ in file.decode(video=0)) == 12


def test_transparency_that_is_lost_is_said_and_no_longer_claimed(tmp_path: Path) -> None:
    source = tmp_path / "a.webm"
    with av.open(str(source), "w") as file:
        stream = file.add_stream("libvpx-vp9", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuva420p"
        for _ in range(3):
            half = np.full((48, 64, 4), 128, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(half, format="rgba")))
        file.mux(stream.encode(None))
    result = deblurred(source, tmp_path / "b.webm")
    assert any("transparency" in note for note in result.notes)
    with av.open(str(tmp_path / "b.webm")) as file:
        assert "alpha_mode" not in {name.lower() for name in file.streams.video[0].metadata}


@pytest.mark.parametrize(("suffix", "said"), [("avi", "chapters"), ("ts", "title"), ("mkv", "")])
def test_chapters_and_tags_that_a_container_does_not_store_are_named(
    tmp_path: Path, suffix: str, said: str
) -> None:
    source = make_clip(tmp_path / "a.mkv", chapters=True, tags={"title": "Mine"})
    notes = " ".join(plan_clip(source, tmp_path / f"b.{suffix}", VideoOptions()))
    assert (said in notes) if said else not notes


def test_a_cover_of_matroska_stays_a_cover(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv")
    covered = tmp_path / "covered.mkv"
    picture = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
    coder = av.CodecContext.create("mjpeg", "w")
    coder.width, coder.height, coder.pix_fmt, coder.time_base = 16, 16, "yuvj420p", 1
    [packet] = coder.encode(picture.reformat(format="yuvj420p"))
    remux(source, covered, cover=bytes(packet))
    deblurred(covered, tmp_path / "b.mkv")
    with av.open(str(tmp_path / "b.mkv")) as file:
        covers = [s for s in file.streams if s.disposition & av.stream.Disposition.attached_pic]
        assert len(covers) == 1
        assert covers[0].metadata["filename"] == "cover.jpg"
        assert len(file.streams.video) == 2


def test_streams_cut_in_the_middle_of_a_packet_and_raw_streams_are_videos(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "a.ts").read_bytes()
    assert kind_of(whole[100:4196]) == VIDEO
    assert kind_of(b"\0\0\0\1\x67" + bytes(50)) == VIDEO
    assert kind_of(b"\0\0\1\x40\1" + bytes(50)) == VIDEO
    assert kind_of(b"\0\0\0\1" + bytes(50)) != VIDEO
    assert kind_of(b"GGG" + bytes(5000)) != VIDEO


def test_a_raw_stream_has_the_length_of_its_frames(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv")
    raw = tmp_path / "a.h264"
    remux(source, raw, format="h264")
    deblurred(raw, tmp_path / "b.mp4")
    with av.open(str(tmp_path / "b.mp4")) as file:
        assert file.duration == pytest.approx(12 / 25 * 1e6, rel=0.05)


@pytest.mark.parametrize("format", ["gif", "png"])
def test_an_animation_becomes_a_video_if_one_is_asked_for(tmp_path: Path, format: str) -> None:
    first, *others = (Image.fromarray(np.full((48, 64, 3), v, np.uint8)) for v in (50, 100, 150))
    source = tmp_path / f"a.{format}"
    first.save(source, save_all=True, append_images=others, duration=[40, 200, 80])
    moving = {
        suffix: is_moving(
            *plan_jobs(RunOptions((str(source),), output=str(tmp_path / f"b.{suffix}")))
        )
        for suffix in ("mp4", "mkv", "png")
    }
    assert moving == {"mp4": True, "mkv": True, "png": False}
    deblurred(source, tmp_path / "b.mp4")
    assert seconds(tmp_path / "b.mp4") == [0, Fraction(4, 100), Fraction(24, 100)]
    with av.open(str(tmp_path / "b.mp4")) as file:
        means = [frame.to_ndarray(format="rgb24").mean() for frame in file.decode(video=0)]
    assert means == pytest.approx([50, 100, 150], abs=3)


def test_only_tags_of_the_old_container_are_dropped(tmp_path: Path) -> None:
    tags = {"MAJOR_BRAND": "isom", "COMPATIBLE_BRANDS": "isomiso2", "COMMENT": "mine"}
    source = make_clip(tmp_path / "a.mkv", times=range(2), tags=tags)
    result = deblurred(source, tmp_path / "b.mkv")
    with av.open(str(source)) as given, av.open(str(tmp_path / "b.mkv")) as made:
        assert {**given.metadata, "ENCODER": ""}.keys() == {*tags, "ENCODER"}
        assert made.metadata.keys() - {"ENCODER"} == {"COMMENT"}
    assert result.notes == ()
