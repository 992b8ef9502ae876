"""A file of the user's that comes to an output, during a run or between two, is kept."""

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from blurdm_cli.errors import OutputError
from blurdm_cli.files.naming import FileJob
from blurdm_cli.files.numbered import frame_path
from blurdm_cli.photo.photo import Photo, read_photo, write_photo
from blurdm_cli.pipeline import clip_job, sequences
from blurdm_cli.pipeline.destinations import Destinations
from blurdm_cli.pipeline.options import RunOptions, VideoOptions
from blurdm_cli.pipeline.outcome import Outcome
from blurdm_cli.pipeline.reporter import Silent
from blurdm_cli.pipeline.run import Run
from blurdm_cli.pipeline.sequences import find_other
from blurdm_cli.pipeline.videos import VideoRun
from blurdm_cli.video.segments import open_state
from tests import clips
from tests.clips import make_clip
from tests.pipeline.photo_runs import run, statuses
from tests.pipeline.sequences import interrupt, names

deblurred = partial(clips.deblurred, gain=0.25)


@pytest.mark.parametrize("journal", [True, False])
@pytest.mark.parametrize(("name", "expected"), [("b.png", "dfdddd"), ("b.compare.png", "dddddd")])
def test_a_file_that_the_user_puts_there_while_a_photo_is_restored_is_kept(
    colours: Path, name: str, expected: str, journal: bool
) -> None:
    theirs = colours.parent / "out" / name

    def put(number: int) -> None:
        if number == 1:
            theirs.parent.mkdir(exist_ok=True)
            theirs.write_bytes(b"mine")

    outcomes = run(colours, put, journal=journal, compare=True)
    assert statuses(outcomes) == expected
    assert "changed by somebody else" in " ".join([outcomes[1].message, *outcomes[1].notes])
    assert theirs.read_bytes() == b"mine"


def test_in_place_a_photo_that_comes_while_the_old_one_is_restored_is_kept(colours: Path) -> None:
    run(colours, in_place=True)

    def put(number: int) -> None:
        if number == 1:
            (colours / "b.png").write_bytes(b"new")

    outcomes = run(colours, put, in_place=True, resume=False)
    assert statuses(outcomes) == "dfdddd"
    assert (colours / "b.png").read_bytes() == b"new"
    assert Image.open(colours / "b.png.orig").getpixel((0, 0)) == (10, 100, 200)


def test_a_file_that_the_user_puts_there_during_the_work_is_kept(tmp_path: Path) -> None:
    source, target = make_clip(tmp_path / "a.mkv", codec="ffv1"), tmp_path / "b.mkv"

    def put(done: float, note: str) -> None:
        target.write_bytes(b"mine")

    reporter = Silent()
    reporter.progress = lambda what: nullcontext(put)  # type: ignore[method-assign]
    outcomes: list[Outcome] = []
    places = Destinations([FileJob(source, target)], {})
    options = VideoOptions(all_frames=True)
    run = Run(clips.fake_deblurrer(), RunOptions(), places, {}, reporter, outcomes.append)
    VideoRun(run, options, "")([FileJob(source, target)])
    assert [outcome.status for outcome in outcomes] == ["failed"]
    assert "changed by somebody else" in outcomes[0].message
    assert target.read_bytes() == b"mine"


@pytest.mark.parametrize("number", [2, 8], ids=["written", "to come"])
def test_a_picture_of_the_users_between_two_runs_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(clip_job, "SECONDS", 0.08)  # two frames
    source, pattern = make_clip(tmp_path / "a.mp4"), tmp_path / "f" / "%d.png"
    end = interrupt(monkeypatch, at=4)
    with pytest.raises(KeyboardInterrupt):
        deblurred(source, pattern)
    end()
    options = VideoOptions(all_frames=True), RunOptions(), ""
    assert find_other(source, pattern, *options) is None
    theirs = frame_path(pattern, number)
    theirs.write_bytes(b"mine")
    assert find_other(source, pattern, *options) == theirs
    with pytest.raises(OutputError, match=f"{number}.png exists already"):
        deblurred(source, pattern)
    assert theirs.read_bytes() == b"mine"
    deblurred(source, pattern, on_exists="overwrite")
    assert read_photo(theirs).pixels.shape == (48, 64, 3)


@pytest.mark.parametrize("number", [4, 5], ids=["being written", "next"])
def test_a_picture_of_the_users_that_comes_during_the_run_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def write(photo: Photo, path: Path, **options: Any) -> list[str]:
        if path.stem == "4":
            path.with_stem(str(number)).write_bytes(b"mine")
        return write_photo(photo, path, **options)

    monkeypatch.setattr(sequences, "write_photo", write)
    source, pattern = make_clip(tmp_path / "a.mp4"), tmp_path / "f" / "%d.png"
    with pytest.raises(OutputError, match=f"{number}.png"):
        deblurred(source, pattern)
    assert frame_path(pattern, number).read_bytes() == b"mine"


def test_two_runs_do_not_write_the_same_pictures_at_once(tmp_path: Path) -> None:
    source, pattern = make_clip(tmp_path / "a.mp4"), tmp_path / "f" / "%d.png"
    with open_state(pattern), pytest.raises(OutputError, match="Another run"):
        deblurred(source, pattern)
    deblurred(source, pattern)
    assert names(tmp_path / "f") == sorted(f"{number}.png" for number in range(1, 13))
