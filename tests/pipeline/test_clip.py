"""What is kept of a clip that is deblurred, on clips that are hard to keep."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from blurdm_cli.video.reader import open_clip
from tests.clips import CONSTANT, VARIABLE, deblurred, make_clip, packets, seconds, shown

TURNED = (0, -65536, 0, 65536, 0, 0, 0, 0, 1 << 30)
"""A phone held upright."""


pytestmark = pytest.mark.usefixtures("short_segments")


@pytest.mark.parametrize("times", [CONSTANT, VARIABLE, (0,), (3, 4, 6, 7, 9, 10)])
@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov", "ts", "webm"])
def test_every_frame_is_there_at_its_time(
    tmp_path: Path, ending: str, times: Sequence[int]
) -> None:
    codec, options = ("libvpx-vp9", {}) if ending == "webm" else ("libx264", {"bf": "2"})
    source = make_clip(tmp_path / f"a.{ending}", codec=codec, times=times, options=options)
    target = tmp_path / f"b.{ending}"

    result = deblurred(source, target)

    assert seconds(target) == seconds(source)
    assert result.frames == len(times)
    assert (result.notes, result.loss) == ((), None)
    assert sorted(path.name for path in tmp_path.iterdir()) == [source.name, target.name]


@pytest.mark.parametrize(
    ("ending", "codec", "pix_fmt", "family"),
    [
        ("mp4", "libx264", "yuv420p", "h264"),
        ("mp4", "libx264", "yuv444p10le", "h264"),
        ("mp4", "libx265", "yuv420p10le", "hevc"),
        ("mp4", "libsvtav1", "yuv420p10le", "av1"),
        ("webm", "libvpx-vp9", "yuv444p", "vp9"),
        ("mov", "prores_ks", "yuv422p10le", "prores"),
        ("mkv", "ffv1", "yuv422p12le", "ffv1"),
        ("avi", "libx264", "yuv420p", "h264"),
    ],
)
def test_codec_depth_and_subsampling_stay(
    tmp_path: Path, ending: str, codec: str, pix_fmt: str, family: str
) -> None:
    quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    source = make_clip(tmp_path / f"a.{ending}", codec=codec, pix_fmt=pix_fmt, options=quiet)
    target = tmp_path / f"b.{ending}"

    result = deblurred(source, target)

    with av.open(str(target)) as made, av.open(str(source)) as given:
        assert made.streams.video[0].codec_context.codec.canonical_name == family
        assert made.streams.video[0].profile == given.streams.video[0].profile
    assert [frame.format.name for frame in shown(target)] == [shown(source)[0].format.name] * 12
    assert result.notes == ()


@pytest.mark.parametrize("size", [(47, 63), (48, 63), (1, 1), (50, 18)])
@pytest.mark.parametrize(
    ("ending", "codec", "pix_fmt"),
    [("mkv", "ffv1", "yuv420p"), ("webm", "libvpx-vp9", "yuv420p"), ("mp4", "libx264", "yuv444p")],
)
def test_any_size_stays(
    tmp_path: Path, ending: str, codec: str, pix_fmt: str, size: tuple[int, int]
) -> None:
    source = make_clip(tmp_path / f"a.{ending}", codec=codec, pix_fmt=pix_fmt, size=size)
    target = tmp_path / f"b.{ending}"
    deblurred(source, target)
    assert {(frame.height, frame.width) for frame in shown(target)} == {size}


def test_an_odd_size_that_a_codec_does_not_take_subsampled_is_kept_without(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", codec="ffv1", size=(47, 63))
    result = deblurred(source, tmp_path / "b.mp4", codec="h264")
    assert {(f.height, f.width, f.format.name) for f in shown(tmp_path / "b.mp4")} == {
        (47, 63, "yuv444p")
    }
    assert "odd sizes" in result.notes[0]


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov"])
def test_rotation_pixel_shape_and_colour_tags_stay(tmp_path: Path, ending: str) -> None:
    hlg = (1, 9, 9, 18)
    source = make_clip(
        tmp_path / f"a.{ending}",
        codec="libx265",
        pix_fmt="yuv420p10le",
        colour=hlg,
        aspect=Fraction(4, 3),
        matrix=TURNED,
        options={"x265-params": "log-level=none"},
    )
    target = tmp_path / f"b.{ending}"

    deblurred(source, target)

    frame = shown(target)[0]
    tags = (frame.color_range, frame.colorspace, frame.color_primaries, frame.color_trc)
    assert tags == hlg
    assert np.frombuffer(frame.side_data["DISPLAYMATRIX"], np.int32).tolist() == list(TURNED)
    with av.open(str(target)) as made:
        assert made.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


def test_how_bright_a_clip_was_mastered_stays(tmp_path: Path) -> None:
    display = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
    source = make_clip(
        tmp_path / "a.mp4",
        codec="libx265",
        pix_fmt="yuv420p10le",
        colour=(1, 9, 9, 16),
        options={"x265-params": f"log-level=none:master-display={display}:max-cll=1000,400"},
    )
    deblurred(source, tmp_path / "b.mp4")
    given, made = (open_clip(tmp_path / name).hdr for name in ("a.mp4", "b.mp4"))
    assert given.keys() == {"MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"}
    assert made == given


def test_avi_which_has_no_timestamps_keeps_the_order(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.avi", options={"bf": "2"})
    deblurred(source, tmp_path / "b.avi", codec="ffv1")
    deblurred(source, tmp_path / "c.avi")
    times = seconds(tmp_path / "c.avi")
    assert {later - earlier for earlier, later in pairwise(times)} == {Fraction(1, 25)}
    given = make_clip(tmp_path / "d.mp4", options={"bf": "2"})
    for one, other in zip(shown(tmp_path / "b.avi"), shown(given), strict=True):
        np.testing.assert_array_equal(one.to_ndarray(), other.to_ndarray())


@pytest.mark.parametrize("times", [CONSTANT, VARIABLE])
@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
def test_avi_has_the_frames_at_their_times_by_number(
    tmp_path: Path, ending: str, times: Sequence[int]
) -> None:
    source = make_clip(
        tmp_path / f"a.{ending}",
        times=[number * 512 for number in times],
        time_base=Fraction(1, 12800),
        audio=("aac",),
        options={"bf": "2"},
    )
    target = tmp_path / "b.avi"
    result = deblurred(source, target)
    assert [note for note in result.notes if "frame" in note] == []
    with av.open(str(target)) as made:
        assert made.streams.video[0].average_rate == 25
        assert [p.dts for p in made.demux(video=0) if p.size] == list(times)


def test_a_frame_rate_that_avi_cannot_keep_is_said(tmp_path: Path) -> None:
    times = [0, 33, 67, 110, 133, 170, 200, 290, 300, 310, 320, 400]
    source = make_clip(tmp_path / "a.mp4", times=times, time_base=Fraction(1, 1000))
    (note,) = deblurred(source, tmp_path / "b.avi").notes
    assert "avi has one frame rate" in note
    kept = seconds(tmp_path / "b.avi")
    assert len(kept) == len(times)
    assert kept[-1] == pytest.approx(0.4, abs=0.1)


def test_a_part_of_a_clip_begins_with_its_first_frame_in_avi(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", audio=("pcm_s16le",))
    deblurred(source, tmp_path / "b.avi", start=Fraction(1, 10), frames=4)
    assert len(shown(tmp_path / "b.avi")) == 4
    assert packets(tmp_path / "b.avi", "audio")[-1][0] < Fraction(4, 25)


@pytest.mark.parametrize(
    ("colour", "size", "pix_fmt"),
    [
        ((1, 1, 1, 1), (48, 64), "yuv420p"),
        ((2, 1, 1, 1), (48, 64), "yuv420p"),
        ((1, 6, 6, 6), (48, 64), "yuv420p"),
        ((1, 9, 9, 18), (48, 64), "yuv420p10le"),
        ((0, 2, 2, 2), (48, 64), "yuv420p"),
        ((0, 2, 2, 2), (720, 16), "yuv444p"),
    ],
)
def test_pure_green_comes_back(
    tmp_path: Path, colour: tuple[int, int, int, int], size: tuple[int, int], pix_fmt: str
) -> None:
    from blurdm_cli.video.yuv import to_rgb

    green = np.zeros((*size, 3), np.float32)
    green[..., 1] = 1
    source = make_clip(
        tmp_path / "a.mp4", frames=[green] * 12, colour=colour, size=size, pix_fmt=pix_fmt
    )
    deblurred(source, tmp_path / "b.mp4")
    before, after = (to_rgb(shown(path)[6]) for path in (source, tmp_path / "b.mp4"))
    assert np.abs(after - before).max() * 255 <= 2
    if colour[0]:
        assert np.abs(after - green).max() * 255 <= 2


def test_what_the_model_makes_of_a_frame_is_written_into_it(tmp_path: Path) -> None:
    from blurdm_cli.video.yuv import to_rgb

    source = make_clip(tmp_path / "a.mkv", codec="ffv1", pix_fmt="yuv444p10le")
    deblurred(source, tmp_path / "b.mkv", gain=0.25)
    for before, after in zip(shown(source), shown(tmp_path / "b.mkv"), strict=True):
        expected = to_rgb(before) * 0.75 + 0.25
        assert np.abs(to_rgb(after) - expected).max() < 0.004


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "bgr0", "yuva444p", "gray"])
def test_a_frame_that_is_not_changed_keeps_every_value(tmp_path: Path, pix_fmt: str) -> None:
    source = make_clip(tmp_path / "a.mkv", codec="ffv1", pix_fmt=pix_fmt)
    deblurred(source, tmp_path / "b.mkv")
    for before, after in zip(shown(source), shown(tmp_path / "b.mkv"), strict=True):
        assert before.format.name == after.format.name
        for plane, kept in zip(before.planes, after.planes, strict=True):
            assert bytes(plane) == bytes(kept)
