from pathlib import Path

import pytest

from blurdm_cli.errors import UsageError
from blurdm_cli.pipeline.options import VideoOptions
from tests.cli import TINY, Blurdm
from tests.clips import make_clip, packets, seconds, shown


def test_a_video_is_deblurred_beside_itself_and_its_sound_kept(
    blurdm: Blurdm, tmp_path: Path
) -> None:
    source = make_clip(tmp_path / "clip.mp4", audio=("aac",))

    result = blurdm("deblur", source, *TINY, "--all-frames")

    target = tmp_path / "clip.deblurred.mp4"
    assert result.code == 0, result.err
    assert seconds(target) == seconds(source)
    assert packets(target, "audio") == packets(source, "audio")
    assert "64 x 48" in result.err


def test_a_video_is_known_by_its_bytes(blurdm: Blurdm, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "clip.mkv").rename(tmp_path / "clip.jpg")
    result = blurdm("deblur", source, "-o", tmp_path / "out.mkv", *TINY)
    assert result.code == 0, result.err
    assert len(shown(tmp_path / "out.mkv")) == 12


def test_a_video_of_any_suffix_is_done_the_plain_way(blurdm: Blurdm, tmp_path: Path) -> None:
    stream = make_clip(tmp_path / "a.ts")
    tape = make_clip(tmp_path / "b.mpg", codec="mpeg2video", audio=("mp2",))
    for words, made in (
        ((stream,), "a.deblurred.ts"),
        ((stream, "--format", "png", "-o", tmp_path / "out"), "out/a.ts"),
        ((tape,), "b.deblurred.mkv"),
        ((tape, "-o", tmp_path / "c.ts"), "c.ts"),
    ):
        result = blurdm("deblur", *words, *TINY)
        assert result.code == 0, result.err
        assert len(shown(tmp_path / made)) == 12
    assert packets(tmp_path / "b.deblurred.mkv", "audio")


def test_a_video_may_have_a_percent_sign_in_its_name(blurdm: Blurdm, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "50%done.mp4")
    result = blurdm("deblur", source, *TINY)
    assert result.code == 0, result.err
    assert len(shown(tmp_path / "50%done.deblurred.mp4")) == 12


def test_a_video_under_a_photo_s_name_is_refused_where_nobody_named_the_result(
    blurdm: Blurdm, tmp_path: Path
) -> None:
    make_clip(tmp_path / "clip.mkv").rename(tmp_path / "clip.heic")
    result = blurdm("deblur", tmp_path / "clip.heic", "-o", tmp_path / "out", *TINY)
    assert result.code == 3
    assert "photo's name" in result.err
    assert ".mp4" in result.err


def test_photos_and_videos_of_a_folder_go_into_one(
    blurdm: Blurdm, tmp_path: Path, photo: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    make_clip(folder / "clip.mp4")
    photo.rename(folder / "photo.jpg")
    result = blurdm("deblur", folder, "-o", tmp_path / "out", *TINY)
    assert result.code == 0, result.err
    made = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert made == [".blurdm", "clip.mp4", "photo.jpg"]
    before = (tmp_path / "out" / "clip.mp4").stat().st_mtime_ns
    again = blurdm("deblur", folder, "-o", tmp_path / "out", *TINY)
    assert (again.code, (tmp_path / "out" / "clip.mp4").stat().st_mtime_ns) == (0, before)


def test_a_truncated_video_ends_with_4_and_says_how_much_is_there(
    blurdm: Blurdm, tmp_path: Path
) -> None:
    source = make_clip(tmp_path / "clip.mkv", codec="ffv1", times=range(50))
    source.write_bytes(source.read_bytes()[: source.stat().st_size * 6 // 10])
    result = blurdm("deblur", source, "-o", tmp_path / "out.mkv", *TINY)
    assert result.code == 4
    assert "of 50 frames" in result.err
    assert 20 < len(shown(tmp_path / "out.mkv")) < 40


@pytest.mark.parametrize("content", [b"\0\0\0\x18ftypisom" + bytes(100), b"\x1a\x45\xdf\xa3" * 9])
def test_what_only_begins_as_a_video_is_no_readable_one(
    blurdm: Blurdm, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    result = blurdm("deblur", path, *TINY)
    assert result.code == 3
    assert "Traceback" not in result.err


def test_options_of_videos_are_heeded(blurdm: Blurdm, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "clip.mp4", audio=("aac",))
    target = tmp_path / "out.mkv"
    words = ("--codec", "ffv1", "--audio", "none", "--start", "0.08", "--frames", 4, "--every", 2)
    result = blurdm("deblur", source, "-o", target, *words, *TINY)
    assert result.code == 0, result.err
    assert len(shown(target)) == 4
    assert packets(target, "video")
    with pytest.raises(IndexError):
        packets(target, "audio")


def test_numbered_pictures_become_a_video_and_a_video_numbered_pictures(
    blurdm: Blurdm, tmp_path: Path
) -> None:
    source = make_clip(tmp_path / "clip.mp4")
    result = blurdm("deblur", source, "-o", tmp_path / "p" / "%03d.png", *TINY)
    assert result.code == 0, result.err
    assert len(list((tmp_path / "p").iterdir())) == 12
    for number, named in enumerate((tmp_path / "p" / "%03d.png", tmp_path / "p")):
        target = tmp_path / f"{number}.mp4"
        result = blurdm("deblur", named, "-o", target, "--fps", 12, *TINY)
        assert result.code == 0, result.err
        assert len(shown(target)) == 12
    again = blurdm("deblur", source, "-o", tmp_path / "p" / "%03d.png", *TINY)
    assert (again.code, "exists already" in again.err) == (5, True)
    result = blurdm("deblur", tmp_path / "p" / "%03d.png", "-o", tmp_path / "q", *TINY)
    assert result.code == 0, result.err
    names = [path.name for path in sorted((tmp_path / "q").glob("*.png"))]
    assert names == [f"{number:03}.png" for number in range(1, 13)]


def test_what_cannot_be_done_is_said_with_a_hint(blurdm: Blurdm, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "clip.mp4")
    photo = ("-o", tmp_path / "clip.jpg")
    for words in (("--codec", "nonsense"), ("--start", "x"), ("--start", "3", "--end", "2"), photo):
        result = blurdm("deblur", source, *words, *TINY)
        assert result.code == 2
        assert "fix" in result.err
    assert list(tmp_path.iterdir()) == [source]


def test_a_dry_run_says_what_would_be_lost(blurdm: Blurdm, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "clip.mkv", subtitles=True)
    result = blurdm("deblur", source, "-o", tmp_path / "out.mp4", "--dry-run", *TINY)
    assert result.code == 0, result.err
    assert "mov_text" in result.err
    assert not (tmp_path / "out.mp4").exists()


def test_a_video_in_place_keeps_the_original(blurdm: Blurdm, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "clip.mp4")
    before = source.read_bytes()
    result = blurdm("deblur", source, "--in-place", "--all-frames", *TINY)
    assert result.code == 0, result.err
    assert (tmp_path / "clip.mp4.orig").read_bytes() == before
    assert source.read_bytes() != before


def test_a_video_in_place_is_named_as_it_was_typed(
    blurdm: Blurdm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(Path("clip.mp4"))
    result = blurdm("deblur", "clip.mp4", "--in-place", *TINY)
    assert result.code == 0, result.err
    assert "clip.mp4 -> clip.mp4" in result.err


def test_options_of_photos_that_videos_do_not_have_are_said_once(
    blurdm: Blurdm, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4"):
        make_clip(folder / name)
    words = ("--compare", "--only-blurry", "--dry-run")
    result = blurdm("deblur", folder, "-o", tmp_path / "out", *words, *TINY)
    assert result.code == 0, result.err
    assert result.err.count("--compare and --only-blurry") == 1
    result = blurdm("deblur", folder, "-o", tmp_path / "out", "--dry-run", *TINY)
    assert "--compare" not in result.err


@pytest.mark.parametrize(
    ("name", "codec", "words"),
    [("a.mpg", "mpeg2video", ()), ("a.mp4", "libx264", ("--codec", "nonsense"))],
)
def test_a_video_that_cannot_be_written_in_place_is_left_alone(
    blurdm: Blurdm, tmp_path: Path, name: str, codec: str, words: tuple[str, ...]
) -> None:
    make_clip(tmp_path / name, codec=codec)
    result = blurdm("deblur", tmp_path / name, "--in-place", *words, *TINY)
    assert result.code == 2
    assert "fix" in result.err
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("rate", ["inf", "1e300", "nan", "0", "1001"])
def test_a_frame_rate_that_no_clip_has_is_refused(
    blurdm: Blurdm, tmp_path: Path, photo: Path, rate: str
) -> None:
    photo.rename(tmp_path / "f1.jpg")
    result = blurdm("deblur", tmp_path / "f%d.jpg", "-o", tmp_path / "a.mp4", "--fps", rate, *TINY)
    assert result.code == 2
    assert not (tmp_path / "a.mp4").exists()


@pytest.mark.parametrize(
    ("text", "expected"), [("90", 90), ("1:30", 90), ("0:01:30.5", 90.5), ("0", 0), ("1.25", 1.25)]
)
def test_times_are_seconds_or_clock_times(text: str, expected: float) -> None:
    assert VideoOptions.read(start=text).start == expected


@pytest.mark.parametrize("text", ["", "-1", "1:2:3:4", "abc", "1e3", "1:", "٣"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        VideoOptions.read(end=text)
