"""Coordinates in clips: they go where that is asked for."""

from pathlib import Path

import av
import pytest

from tests import clips
from tests.clips import deblurred, make_clip

pytestmark = pytest.mark.usefixtures("short_segments")


PLACE = "+48.2000+016.3700/"
WHERE = {
    "title": "mine",
    "creation_time": "2024-01-01T00:00:00.000000Z",
    "com.apple.quicktime.make": "Apple",
    "location": PLACE,
    "location-eng": PLACE,
    "com.apple.quicktime.location.ISO6709": PLACE,
    "com.apple.quicktime.GPS": PLACE,
}


@pytest.mark.parametrize("ending", ["mov", "mp4", "mkv", "webm"])
def test_without_coordinates_the_other_tags_stay(tmp_path: Path, ending: str) -> None:
    webm = ending == "webm"
    source = make_clip(
        tmp_path / f"a.{ending}",
        codec="libvpx-vp9" if webm else "libx264",
        audio=("libopus",) if webm else ("aac",),
        chapters=not webm,
        tags=WHERE,
        movflags="use_metadata_tags" if ending == "mov" else "",
    )
    with av.open(str(source)) as given:
        before = dict(given.metadata)
    assert PLACE in before.values()
    for metadata, kept in (("strip-gps", {"title", "creation_time"}), ("strip", set())):
        target = tmp_path / f"{metadata}.{ending}"
        assert deblurred(source, target, metadata=metadata).notes == ()
        assert PLACE.encode() not in target.read_bytes()
        with av.open(str(target)) as made:
            assert kept == made.metadata.keys() & {"title", "creation_time"}
            assert made.metadata.keys() <= before.keys()
            assert [s.language for s in made.streams if s.type == "audio"] == ["eng"]
            titles = [chapter["metadata"]["title"] for chapter in made.chapters()]
        assert titles == ([] if webm else ["One", "b"])


@pytest.mark.parametrize(
    ("text", "goes"),
    [
        ("F/2.8, ISO 100, GPS (16.37,48.2,20)", True),
        ("[latitude: 48.2] [longitude: 16.37]", True),
        ("What a location!", False),
    ],
)
def test_subtitles_that_drones_write_the_place_into_go_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, goes: bool
) -> None:
    monkeypatch.setattr(clips, "TEXTS", ((0, text),))
    source = make_clip(tmp_path / "a.mkv", subtitles=True)
    for metadata in ("keep", "strip-gps", "strip"):
        assert_gone(source, metadata, text.encode(), goes=goes and metadata != "keep")


def test_data_that_cameras_may_write_the_place_into_goes_with_it(tmp_path: Path) -> None:
    source, place = tmp_path / "a.ts", b"48.2 16.37"
    with av.open(str(make_clip(tmp_path / "b.ts"))) as given, av.open(str(source), "w") as out:
        pictures = out.add_stream_from_template(given.streams.video[0])
        data = out.add_data_stream("klv")
        for packet in given.demux(given.streams.video[0]):
            if packet.size:
                told = av.Packet(place)
                told.stream, told.time_base, told.pts = data, packet.time_base, packet.dts
                told.dts, packet.stream = packet.dts, pictures
                out.mux([told, packet])
    for metadata in ("keep", "strip-gps", "strip"):
        assert_gone(source, metadata, place, goes=metadata != "keep")


def assert_gone(source: Path, metadata: str, place: bytes, *, goes: bool) -> None:
    """The place is in the result, or a note says why not."""
    target = source.with_stem(metadata)
    notes = deblurred(source, target, metadata=metadata).notes
    assert ["may reveal where" in note for note in notes] == [True] * goes
    assert (place in target.read_bytes()) != goes
