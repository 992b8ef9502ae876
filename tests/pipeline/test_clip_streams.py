"""Sound, subtitles and tags of a clip that is deblurred."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from blurdm_cli.choices import Audio
from blurdm_cli.errors import UsageError
from blurdm_cli.pipeline import clip as module
from blurdm_cli.pipeline.options import VideoOptions
from tests import clips
from tests.clips import CHAPTERS, TEXTS, deblurred, make_clip, packets, seconds, shown

pytestmark = pytest.mark.usefixtures("short_segments")


TAGS = {"title": "Ärger", "comment": "mine"}


@pytest.mark.parametrize(
    ("ending", "codec", "rate", "expected"),
    [
        ("mov", "pcm_s16le", 48000, ()),
        ("mov", "pcm_s16le", 44100, ("pcm_s24le at 48000 Hz",)),
        ("mp4", "aac", 48000, ("pcm_s24le",)),
    ],
)
def test_mxf_has_sound_at_48_khz_and_says_only_what_changes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ending: str,
    codec: str,
    rate: int,
    expected: tuple[str, ...],
) -> None:
    monkeypatch.setattr(clips, "SAMPLES", rate)
    source = make_clip(tmp_path / f"a.{ending}", audio=(codec,), options={"bf": "2"})
    target = tmp_path / "b.mxf"
    said = module.plan_clip(source, target, VideoOptions())
    assert said == list(deblurred(source, target).notes)
    assert len(said) == len(expected)
    assert all(note.endswith(f"it becomes {how}") for note, how in zip(said, expected, strict=True))
    assert seconds(target) == seconds(source)
    with av.open(str(target)) as made:
        assert made.streams.audio[0].sample_rate == 48000


def test_a_frame_rate_that_mxf_does_not_take_is_refused_before_any_work(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", times=[0, 77, 154], time_base=Fraction(1, 1000))
    with pytest.raises(UsageError, match="frames per second"):
        module.plan_clip(source, tmp_path / "b.mxf", VideoOptions())


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov"])
def test_sound_subtitles_chapters_and_tags_stay(tmp_path: Path, ending: str) -> None:
    source = make_clip(
        tmp_path / f"a.{ending}",
        audio=("aac", "flac" if ending == "mkv" else "aac"),
        audio_begin=0.2,
        subtitles=True,
        chapters=True,
        tags=TAGS,
    )
    target = tmp_path / f"b.{ending}"

    result = deblurred(source, target)

    assert result.notes == ()
    for kind, number in (("audio", 0), ("audio", 1), ("subtitle", 0)):
        assert packets(target, kind, number) == packets(source, kind, number)
    with av.open(str(target)) as made, av.open(str(source)) as given:
        assert [s.type for s in made.streams] == [s.type for s in given.streams]
        assert [s.language for s in made.streams] == [s.language for s in given.streams]
        assert [s.disposition for s in made.streams] == [s.disposition for s in given.streams]
        for key in given.metadata.keys() - {"encoder", "ENCODER"}:
            assert made.metadata[key] == given.metadata[key]
        assert set(TAGS.values()) <= set(made.metadata.values())
        kept = [(c["start"] * c["time_base"], c["metadata"]) for c in made.chapters()]
    assert kept == [(c["start"] * c["time_base"], c["metadata"]) for c in CHAPTERS]
    assert seconds(target) == seconds(source)


def test_what_a_container_does_not_take_is_written_in_another_codec_and_said(
    tmp_path: Path,
) -> None:
    source = make_clip(tmp_path / "a.mkv", audio=("flac", "aac"), subtitles=True)
    target = tmp_path / "b.webm"

    result = deblurred(source, target)

    with av.open(str(target)) as made:
        names = [stream.codec_context.codec.canonical_name for stream in made.streams]
        sound = sum(frame.samples for frame in made.decode(audio=0))
    assert names == ["vp9", "opus", "opus", "webvtt"]
    assert sound == pytest.approx(24 * 1024 * 4.5, rel=0.2)  # FLAC's frames are longer
    assert [text.decode() for _, text in packets(target, "subtitle")] == [t for _, t in TEXTS]
    assert len(result.notes) == 4
    assert all("webm" in note for note in result.notes)


def test_subtitles_become_those_of_mp4_and_back(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", subtitles=True)
    deblurred(source, tmp_path / "b.mp4")
    deblurred(tmp_path / "b.mp4", tmp_path / "c.mkv")
    found = [
        (time, text.decode().strip()) for time, text in packets(tmp_path / "c.mkv", "subtitle")
    ]
    assert found == [(Fraction(begin, 1000), text) for begin, text in TEXTS]


def test_sound_can_be_left_out(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", audio=("aac",))
    deblurred(source, tmp_path / "b.mp4", audio=Audio.none)
    with av.open(str(tmp_path / "b.mp4")) as made:
        assert [stream.type for stream in made.streams] == ["video"]


def stereo(source: Path, codec: str, begin: int = 0) -> Path:
    """Add stereo sound whose file, Matroska, does not say where its channels are heard."""
    target = source.with_name(f"stereo-{source.name}")
    with av.open(str(source)) as given, av.open(str(target), "w") as out:
        pictures = out.add_stream_from_template(given.streams.video[0])
        sound = out.add_stream(codec, rate=48000)
        sound.codec_context.layout = "stereo"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 19200), np.int16), "s16", "stereo")
        frame.sample_rate, frame.pts = 48000, begin
        frame.time_base = Fraction(1, 48000)
        out.mux([*sound.encode(frame), *sound.encode(None)])
        for packet in given.demux(given.streams.video[0]):
            if packet.size:
                packet.stream = pictures
                out.mux(packet)
    return target


def test_sound_of_which_only_the_number_of_channels_is_known_goes_anywhere(tmp_path: Path) -> None:
    source = stereo(make_clip(tmp_path / "a.mkv"), "pcm_s16le")
    with av.open(str(source)) as given:
        assert given.streams.audio[0].codec_context.layout.name == "2 channels"
    for ending, codec in (("mp4", "pcm_s16le"), ("ts", "aac"), ("webm", "opus")):
        target = tmp_path / f"b.{ending}"
        deblurred(source, target)
        with av.open(str(target)) as made:
            context = made.streams.audio[0].codec_context
            assert (context.codec.canonical_name, context.channels) == (codec, 2)


def test_mpeg_ts_gets_no_pictures_that_no_player_would_know(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", codec="ffv1")
    (note,) = deblurred(source, tmp_path / "b.ts").notes
    assert "mpegts does not support ffv1" in note
    assert len(shown(tmp_path / "b.ts")) == 12


def test_late_sound_in_a_container_without_timestamps_is_said(tmp_path: Path) -> None:
    source = stereo(make_clip(tmp_path / "a.mkv"), "pcm_s16le", begin=9600)
    (note,) = module.plan_clip(source, tmp_path / "b.avi", VideoOptions())
    assert "starts 0.20 s late" in note
    assert module.plan_clip(source, tmp_path / "b.mkv", VideoOptions()) == []
