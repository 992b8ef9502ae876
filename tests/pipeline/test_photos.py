"""The run over photos, with a deblurrer that does to the files what the world does."""

import errno
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blurdm_cli.engine.deblur import Restored
from blurdm_cli.files.inputs import gather
from blurdm_cli.files.naming import plan_outputs
from blurdm_cli.pipeline.destinations import Destinations
from blurdm_cli.pipeline.options import PhotoOptions, RunOptions
from blurdm_cli.pipeline.outcome import Outcome
from blurdm_cli.pipeline.photos import PhotoRun
from blurdm_cli.pipeline.reporter import Silent
from blurdm_cli.pipeline.run import Run
from tests.clips import fake_deblurrer
from tests.pipeline.photo_runs import run, statuses


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Six photos of one colour each, a.png to f.png."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number, name in enumerate("abcdef"):
        Image.new("RGB", (8, 6), (10 * number, 100, 200)).save(folder / f"{name}.png")
    return folder


def written(folder: Path) -> dict[str, int]:
    """The green of each file, also of what should not be there."""
    out = folder.parent / "out"
    names = sorted(path.name for path in out.iterdir() if path.name != ".blurdm")
    return {name: Image.open(out / name).getpixel((0, 0))[1] for name in names}  # type: ignore[index]


ALL = dict.fromkeys((f"{name}.png" for name in "abcdef"), 107)


def test_each_photo_is_restored_once_in_order_and_then_known_to_be_done(album: Path) -> None:
    outcomes = run(album)
    assert [Path(outcome.input).name for outcome in outcomes] == list(ALL)
    assert statuses(outcomes) == "dddddd"
    assert written(album) == ALL
    again = run(album)
    assert statuses(again) == "ssssss"
    assert {outcome.reason for outcome in again} == {"done-before"}


def test_a_photo_that_vanishes_is_told_and_the_others_go_on(album: Path) -> None:
    outcomes = run(album, lambda number: number == 0 and (album / "e.png").unlink())
    assert statuses(outcomes) == "ddddfd"
    assert "e.png" in outcomes[4].message
    assert list(written(album)) == [name for name in ALL if name != "e.png"]


def test_a_photo_that_changes_after_it_was_read_is_done_again_in_the_next_run(album: Path) -> None:
    def change(number: int) -> None:
        if number == 2:
            Image.new("RGB", (8, 6), (1, 50, 3)).save(album / "c.png")

    run(album, change)
    assert written(album) == ALL
    assert statuses(run(album)) == "ssdsss"
    assert written(album) == ALL | {"c.png": 57}


def test_a_full_disk_ends_the_run_with_nothing_partial_and_the_next_one_goes_on(
    album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(number: int) -> None:
        if number == 2:
            monkeypatch.setattr(os, "fsync", full)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    outcomes = run(album, fill)
    assert outcomes[-1].status == "failed"
    assert "space" in outcomes[-1].hint
    assert len(outcomes) <= 3
    assert set(written(album)) <= {"a.png", "b.png"}
    monkeypatch.undo()
    assert statuses(run(album))[-4:] == "dddd"
    assert written(album) == ALL


def test_fail_fast_ends_with_the_first_failure(album: Path) -> None:
    (album / "b.png").write_bytes(b"no photo")
    outcomes = run(album, fail_fast=True)
    assert statuses(outcomes) == "df"
    assert statuses(run(album)) == "sfdddd"


def test_a_file_of_the_users_at_the_output_is_kept(album: Path) -> None:
    out = album.parent / "out"
    out.mkdir()
    (out / "a.png").write_bytes(b"mine")
    outcomes = run(album)
    assert statuses(outcomes) == "sddddd"
    assert outcomes[0].reason == "exists"
    assert (out / "a.png").read_bytes() == b"mine"
    assert statuses(run(album, on_exists="rename")) == "dsssss"
    assert (out / "a.png").read_bytes() == b"mine"
    assert Image.open(out / "a-2.png").getpixel((0, 0)) == (7, 107, 207)
    again = run(album, on_exists="rename")
    assert statuses(again) == "ssssss"
    assert again[0].output == str(out / "a-2.png")
    assert statuses(run(album, on_exists="overwrite")) == "dsssss"
    (out / "a-2.png").unlink()
    assert written(album) == ALL


def test_renaming_never_takes_the_place_of_another_result(album: Path) -> None:
    for name in ("b", "c", "d", "e", "f"):
        (album / f"{name}.png").unlink()
    Image.new("RGB", (8, 6), (0, 20, 0)).save(album / "a-2.png")
    out = album.parent / "out"
    out.mkdir()
    (out / "a.png").write_bytes(b"mine")
    run(album, on_exists="rename")
    (out / "a.png").unlink()
    assert written(album) == {"a-2.png": 27, "a-3.png": 107}


def test_in_place_keeps_the_original_and_is_done_once(album: Path) -> None:
    before = (album / "a.png").read_bytes()
    assert statuses(run(album, in_place=True)) == "dddddd"
    kept = album / "a.png.orig"
    assert kept.read_bytes() == before
    assert Image.open(album / "a.png").getpixel((0, 0)) == (0 + 7, 107, 207)
    assert statuses(run(album, in_place=True)) == "ssssss"
    assert statuses(run(album, in_place=True, resume=False)) == "dddddd"
    assert kept.read_bytes() == before
    assert Image.open(album / "a.png").getpixel((0, 0)) == (7, 107, 207)  # once, not twice


def test_in_place_a_photo_whose_original_is_gone_is_not_restored_twice(album: Path) -> None:
    run(album, in_place=True)
    once = (album / "a.png").read_bytes()
    (album / "a.png.orig").unlink()
    Image.new("RGB", (8, 6), (0, 50, 200)).save(album / "g.png")
    outcomes = run(album, in_place=True)
    assert statuses(outcomes) == "ssssssd"
    assert "original, a.png.orig, is gone" in outcomes[0].message
    assert statuses(run(album, in_place=True, resume=False)) == "sdddddd"
    assert (album / "a.png").read_bytes() == once
    Image.new("RGB", (8, 6), (0, 50, 200)).save(album / "a.png")  # another photo in its place
    assert statuses(run(album, in_place=True)) == "dssssss"


def test_in_place_a_run_that_was_killed_between_keeping_and_writing_goes_on(album: Path) -> None:
    os.link(album / "a.png", album / "a.png.orig")
    assert statuses(run(album, in_place=True)) == "dddddd"
    assert Image.open(album / "a.png").getpixel((0, 0)) == (7, 107, 207)


def test_in_place_without_links_the_original_is_copied(
    album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    before = (album / "a.png").read_bytes()
    monkeypatch.setattr(os, "link", no_links)
    assert statuses(run(album, in_place=True)) == "dddddd"
    assert (album / "a.png.orig").read_bytes() == before
    assert statuses(run(album, in_place=True)) == "ssssss"


def test_a_dry_run_writes_nothing(album: Path) -> None:
    outcomes = run(album, dry_run=True)
    assert statuses(outcomes) == "pppppp"
    assert outcomes[0].output == str(album.parent / "out" / "a.png")
    assert written(album) == {}


def test_a_blurred_photo_that_hardly_changes_is_marked_and_a_sharp_one_is_not(
    album: Path,
) -> None:
    noise = np.random.default_rng(0).integers(0, 200, (40, 40), dtype=np.uint8)
    for name, size in (("sharp", (160, 160)), ("soft", (1600, 1600))):
        way = Image.Resampling.NEAREST if name == "sharp" else Image.Resampling.BICUBIC
        Image.fromarray(noise).resize(size, way).save(album / f"{name}.png")
    restored = {Path(o.input).stem: o for o in run_unchanged(album)}
    assert restored["soft"].hardly_changed
    assert not restored["sharp"].hardly_changed


def run_unchanged(folder: Path) -> list[Outcome]:
    deblurrer = fake_deblurrer()
    deblurrer.restore = lambda pixels, *_: Restored(pixels)  # type: ignore[method-assign]
    jobs = plan_outputs(gather([folder]), folder.parent / "out")
    outcomes: list[Outcome] = []
    run = Run(deblurrer, RunOptions(), Destinations(jobs, {}), {}, Silent(), outcomes.append)
    PhotoRun(run, PhotoOptions())(jobs)
    return outcomes


def test_the_journal_tells_which_bytes_were_read_and_written(album: Path) -> None:
    run(album)
    lines = (album.parent / "out" / ".blurdm" / "run.ndjson").read_text().splitlines()
    last = {row["input"]: row for row in map(json.loads, lines)}
    assert set(last) == {f"../in/{name}" for name in ALL}
    for row in last.values():
        assert row["status"] == "done"
        assert row["source"]["size"] == (album / Path(row["input"]).name).stat().st_size
        assert len(row["result"]["sha256"]) == 64


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_a_photo_in_place_keeps_its_permissions_and_times(album: Path) -> None:
    for number, name in enumerate("abcdef"):
        (album / f"{name}.png").chmod(0o640 - number)
        os.utime(album / f"{name}.png", ns=(10**18, 10**18 + number))
    assert statuses(run(album, in_place=True)) == "dddddd"
    for number, name in enumerate("abcdef"):
        status = (album / f"{name}.png").stat()
        assert (status.st_mode & 0o777, status.st_mtime_ns) == (0o640 - number, 10**18 + number)
    assert statuses(run(album, in_place=True)) == "ssssss"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_a_result_is_no_more_open_than_its_photo(album: Path) -> None:
    (album / "a.png").chmod(0o600)
    run(album)
    out = album.parent / "out"
    assert (out / "a.png").stat().st_mode & 0o777 == 0o600
    assert (out / "b.png").stat().st_mode & 0o077 != 0
