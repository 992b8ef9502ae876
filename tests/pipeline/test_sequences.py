"""What is kept of numbered pictures, and that none of the user's is replaced."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from blurdm_cli.errors import InputError
from blurdm_cli.photo.photo import read_photo
from tests import clips
from tests.cli import TINY, Blurdm
from tests.clips import make_clip, shown
from tests.pipeline.sequences import hashes, interrupt, make, names

deblurred = partial(clips.deblurred, gain=0.25)


@pytest.mark.parametrize("policy", ["skip", "overwrite", "rename", "error"])
@pytest.mark.parametrize("source", ["%04d.png", ""])
def test_pictures_are_not_replaced_by_their_results(
    blurdm: Blurdm, tmp_path: Path, policy: str, source: str
) -> None:
    pattern = tmp_path / "shot" / "%04d.png"
    before = make(pattern, range(5, 9))
    words = ("--on-exists", policy, "--dry-run")
    result = blurdm("deblur", tmp_path / "shot" / source, "-o", pattern, *words, *TINY)
    assert result.code == 2
    assert "0005.png is an input" in result.err
    assert "fix" in result.err
    assert hashes(tmp_path / "shot") == before


@pytest.mark.parametrize(
    ("policy", "code", "made"),
    [("skip", 0, []), ("error", 5, []), ("rename", 0, ["0001-2.png", "0002-2.png", "0003-2.png"])],
)
def test_a_picture_that_is_there_already_is_not_replaced(
    blurdm: Blurdm, tmp_path: Path, policy: str, code: int, made: list[str]
) -> None:
    source, pattern = make_clip(tmp_path / "a.mp4"), tmp_path / "out" / "%04d.png"
    before = make(pattern, [2])
    words = ("--frames", 3, "--on-exists", policy)
    result = blurdm("deblur", source, "-o", pattern, *words, *TINY)
    assert result.code == code, result.err
    assert ("0002.png exists already" in result.err) is (policy != "rename")
    assert hashes(tmp_path / "out").items() >= before.items()
    assert names(tmp_path / "out") == sorted(["0002.png", *made])


def test_pictures_are_replaced_where_that_is_asked_for(blurdm: Blurdm, tmp_path: Path) -> None:
    source, pattern = make_clip(tmp_path / "a.mp4"), tmp_path / "out" / "%04d.png"
    before = make(pattern, [2, 9])
    words = ("--frames", 3, "--on-exists", "overwrite")
    result = blurdm("deblur", source, "-o", pattern, *words, *TINY)
    assert result.code == 0, result.err
    after = hashes(tmp_path / "out")
    assert after["0002.png"] != before["0002.png"]
    assert after["0009.png"] == before["0009.png"]


def test_what_an_interrupted_run_wrote_is_gone_on_with_by_the_same_run_alone(
    blurdm: Blurdm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = make_clip(tmp_path / "a.mp4")
    other = make_clip(tmp_path / "b.mp4", size=(48, 80))
    pattern = tmp_path / "f" / "%d.png"
    end = interrupt(monkeypatch, at=4)
    assert blurdm("deblur", one, "-o", pattern, *TINY).code == 130
    end()
    before = hashes(tmp_path / "f")
    assert sorted(before) == ["1.png", "2.png", "3.png"]

    for words in ((other,), (one, "--strength", "0.5"), (one, "--metadata", "strip")):
        result = blurdm("deblur", *words, "-o", pattern, *TINY)
        assert (result.code, "1.png exists already" in result.err) == (5, True)
        assert hashes(tmp_path / "f") == before

    result = blurdm("deblur", one, "-o", pattern, *TINY)
    assert result.code == 0, result.err
    assert names(tmp_path / "f") == sorted(f"{number}.png" for number in range(1, 13))


def test_pictures_that_were_taken_away_meanwhile_are_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from blurdm_cli.pipeline import clip_job

    monkeypatch.setattr(clip_job, "SECONDS", 0.08)  # two frames
    source, pattern = make_clip(tmp_path / "a.mp4"), tmp_path / "f" / "%d.png"
    end = interrupt(monkeypatch, at=6)
    with pytest.raises(KeyboardInterrupt):
        deblurred(source, pattern)
    end()
    (tmp_path / "f" / "2.png").unlink()
    deblurred(source, pattern)
    assert names(tmp_path / "f") == sorted(f"{number}.png" for number in range(1, 13))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [1001, 1002, 1004, 1007]),
        ({"every": 2}, [1001, 1004]),
        ({"frames": 3}, [1001, 1002, 1004]),
        ({"every": 3, "frames": 2}, [1001, 1007]),
    ],
)
def test_pictures_keep_their_numbers(
    tmp_path: Path, options: dict[str, int], expected: list[int]
) -> None:
    make(tmp_path / "in" / "sh.%04d.png", [1001, 1002, 1004, 1007])
    for source in (tmp_path / "in" / "sh.%04d.png", tmp_path / "in"):
        folder = tmp_path / f"out{len(source.parts)}"
        deblurred(source, folder / "x.%d.png", gain=0.0, **options)
        assert names(folder) == [f"x.{number}.png" for number in expected]
        for number in expected:
            given = read_photo(tmp_path / "in" / f"sh.{number}.png").pixels
            made = read_photo(folder / f"x.{number}.png").pixels
            np.testing.assert_array_equal(made, given)


def test_a_video_of_pictures_closes_gaps_and_says_so(tmp_path: Path) -> None:
    pattern = tmp_path / "in" / "%d.png"
    make(pattern, [3, 4, 6, 9])
    gapped = deblurred(pattern, tmp_path / "a.mp4")
    assert len(shown(tmp_path / "a.mp4")) == 4
    assert [note for note in gapped.notes if "3 numbers are missing from 3 to 9" in note]
    whole = deblurred(pattern, tmp_path / "b.mp4", frames=2)
    assert not [note for note in whole.notes if "missing" in note]


@pytest.mark.parametrize("target", ["out.mp4", "%d.png"])
def test_a_folder_of_videos_does_not_go_into_one_file(
    blurdm: Blurdm, tmp_path: Path, target: str
) -> None:
    (tmp_path / "clips").mkdir()
    make_clip(tmp_path / "clips" / "a.mp4")
    result = blurdm("deblur", tmp_path / "clips", "-o", tmp_path / target, *TINY)
    assert result.code == 2
    assert "cannot go into one file" in result.err
    assert "Name a folder" in result.err


def test_each_video_of_a_folder_becomes_pictures_in_a_folder_of_its_own(
    blurdm: Blurdm, tmp_path: Path
) -> None:
    (tmp_path / "clips").mkdir()
    for name in ("a.mp4", "b.mp4"):
        make_clip(tmp_path / "clips" / name, times=range(2))
    words = ("-o", tmp_path / "out", "--name", "{stem}/%d.png")
    result = blurdm("deblur", tmp_path / "clips", *words, *TINY)
    assert result.code == 0, result.err
    for name in ("a", "b"):
        assert names(tmp_path / "out" / name) == ["1.png", "2.png"]


def test_pictures_have_no_place_of_one_file(blurdm: Blurdm, tmp_path: Path) -> None:
    pattern = tmp_path / "in" / "%d.png"
    before = make(pattern, [1])
    result = blurdm("deblur", pattern, "-o", tmp_path / "a.mp4", "--in-place", *TINY)
    assert result.code == 2
    assert hashes(tmp_path / "in") == before


def test_a_pattern_that_nothing_fits_is_an_error(blurdm: Blurdm, tmp_path: Path) -> None:
    result = blurdm("deblur", tmp_path / "%d.png", "-o", tmp_path / "a.mp4", *TINY)
    assert result.code == 3
    with pytest.raises(InputError):
        deblurred(tmp_path / "%d.png", tmp_path / "a.mp4")
