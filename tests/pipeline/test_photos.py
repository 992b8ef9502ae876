"""The run over photos, with a deblurrer that does to the files what the world does."""

import errno
import json
import os
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from blurdm_cli.engine.restored import Restored
from blurdm_cli.files.inputs import gather
from blurdm_cli.files.naming import plan_outputs
from blurdm_cli.photo import photo as image
from blurdm_cli.pipeline.destinations import Destinations
from blurdm_cli.pipeline.options import PhotoOptions, RunOptions
from blurdm_cli.pipeline.outcome import Outcome
from blurdm_cli.pipeline.photos import PhotoRun
from blurdm_cli.pipeline.reporter import Silent
from blurdm_cli.pipeline.run import Run
from tests.clips import fake_deblurrer
from tests.pipeline.photo_runs import run, statuses


def written(folder: Path) -> dict[str, int]:
    """The green of each file, also of what should not be there."""
    out = folder.parent / "out"
    names = sorted(path.name for path in out.iterdir() if path.name != ".blurdm")
    return {name: Image.open(out / name).getpixel((0, 0))[1] for name in names}  # type: ignore[index]


ALL = dict.fromkeys((f"{name}.png" for name in "abcdef"), 107)


def test_each_photo_is_restored_once_in_order_and_then_known_to_be_done(colours: Path) -> None:
    outcomes = run(colours)
    assert [Path(outcome.input).name for outcome in outcomes] == list(ALL)
    assert statuses(outcomes) == "dddddd"
    assert written(colours) == ALL
    again = run(colours)
    assert statuses(again) == "ssssss"
    assert {outcome.reason for outcome in again} == {"done-before"}


def test_a_photo_that_vanishes_is_told_and_the_others_go_on(colours: Path) -> None:
    outcomes = run(colours, lambda number: number == 0 and (colours / "e.png").unlink())
    assert statuses(outcomes) == "ddddfd"
    assert "e.png" in outcomes[4].message
    assert list(written(colours)) == [name for name in ALL if name != "e.png"]


def test_a_photo_that_changes_after_it_was_read_is_done_again_in_the_next_run(
    colours: Path,
) -> None:
    def change(number: int) -> None:
        if number == 2:
            Image.new("RGB", (8, 6), (1, 50, 3)).save(colours / "c.png")

    run(colours, change)
    assert written(colours) == ALL
    assert statuses(run(colours)) == "ssdsss"
    assert written(colours) == ALL | {"c.png": 57}


NO_MEMORY = (MemoryError("1 GiB"), cv2.error("(-4:Insufficient memory) Failed to allocate 9 bytes"))


@pytest.mark.parametrize("error", NO_MEMORY, ids=["python", "opencv"])
@pytest.mark.parametrize("step", ["decode", "restore", "encode"])
def test_a_photo_that_does_not_fit_in_memory_is_told_and_the_others_go_on(
    colours: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, step: str
) -> None:
    def fail(number: int) -> None:
        if number == 2:
            raise error

    def fails(*words: Any, **options: Any) -> Any:
        fail(next(calls))
        return whole(*words, **options)

    calls, whole = iter(range(9)), getattr(image, step, None)
    if whole:
        monkeypatch.setattr(image, step, fails)
    outcomes = run(colours, lambda number: None if whole else fail(number))
    assert statuses(outcomes) == "ddfddd"
    assert outcomes[2].exit_code == 8
    assert "does not fit in memory" in outcomes[2].message
    assert list(written(colours)) == [name for name in ALL if name != "c.png"]


def test_a_full_disk_ends_the_run_with_nothing_partial_and_the_next_one_goes_on(
    colours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(number: int) -> None:
        if number == 2:
            monkeypatch.setattr(os, "fsync", full)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    outcomes = run(colours, fill)
    assert outcomes[-1].status == "failed"
    assert "space" in outcomes[-1].hint
    assert len(outcomes) <= 3
    assert set(written(colours)) <= {"a.png", "b.png"}
    monkeypatch.undo()
    assert statuses(run(colours))[-4:] == "dddd"
    assert written(colours) == ALL


def test_fail_fast_ends_with_the_first_failure(colours: Path) -> None:
    (colours / "b.png").write_bytes(b"no photo")
    outcomes = run(colours, fail_fast=True)
    assert statuses(outcomes) == "df"
    assert statuses(run(colours)) == "sfdddd"


def test_a_file_of_the_users_at_the_output_is_kept(colours: Path) -> None:
    out = colours.parent / "out"
    out.mkdir()
    (out / "a.png").write_bytes(b"mine")
    outcomes = run(colours)
    assert statuses(outcomes) == "sddddd"
    assert outcomes[0].reason == "exists"
    assert (out / "a.png").read_bytes() == b"mine"
    assert statuses(run(colours, on_exists="rename")) == "dsssss"
    assert (out / "a.png").read_bytes() == b"mine"
    assert Image.open(out / "a-2.png").getpixel((0, 0)) == (7, 107, 207)
    again = run(colours, on_exists="rename")
    assert statuses(again) == "ssssss"
    assert again[0].output == str(out / "a-2.png")
    assert statuses(run(colours, on_exists="overwrite")) == "dsssss"
    (out / "a-2.png").unlink()
    assert written(colours) == ALL


def test_renaming_never_takes_the_place_of_another_result(colours: Path) -> None:
    for name in ("b", "c", "d", "e", "f"):
        (colours / f"{name}.png").unlink()
    Image.new("RGB", (8, 6), (0, 20, 0)).save(colours / "a-2.png")
    out = colours.parent / "out"
    out.mkdir()
    (out / "a.png").write_bytes(b"mine")
    run(colours, on_exists="rename")
    (out / "a.png").unlink()
    assert written(colours) == {"a-2.png": 27, "a-3.png": 107}


def test_in_place_keeps_the_original_and_is_done_once(colours: Path) -> None:
    before = (colours / "a.png").read_bytes()
    assert statuses(run(colours, in_place=True)) == "dddddd"
    kept = colours / "a.png.orig"
    assert kept.read_bytes() == before
    assert Image.open(colours / "a.png").getpixel((0, 0)) == (0 + 7, 107, 207)
    assert statuses(run(colours, in_place=True)) == "ssssss"
    assert statuses(run(colours, in_place=True, resume=False)) == "dddddd"
    assert kept.read_bytes() == before
    assert Image.open(colours / "a.png").getpixel((0, 0)) == (7, 107, 207)  # once, not twice


def test_in_place_a_photo_whose_original_is_gone_is_not_restored_twice(colours: Path) -> None:
    run(colours, in_place=True)
    once = (colours / "a.png").read_bytes()
    (colours / "a.png.orig").unlink()
    Image.new("RGB", (8, 6), (0, 50, 200)).save(colours / "g.png")
    outcomes = run(colours, in_place=True)
    assert statuses(outcomes) == "ssssssd"
    assert "original, a.png.orig, is gone" in outcomes[0].message
    assert statuses(run(colours, in_place=True, resume=False)) == "sdddddd"
    assert (colours / "a.png").read_bytes() == once
    Image.new("RGB", (8, 6), (0, 50, 200)).save(colours / "a.png")  # another photo in its place
    assert statuses(run(colours, in_place=True)) == "dssssss"


def test_in_place_a_run_that_was_killed_between_keeping_and_writing_goes_on(colours: Path) -> None:
    os.link(colours / "a.png", colours / "a.png.orig")
    assert statuses(run(colours, in_place=True)) == "dddddd"
    assert Image.open(colours / "a.png").getpixel((0, 0)) == (7, 107, 207)


def test_in_place_without_links_the_original_is_copied(
    colours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    before = (colours / "a.png").read_bytes()
    monkeypatch.setattr(os, "link", no_links)
    assert statuses(run(colours, in_place=True)) == "dddddd"
    assert (colours / "a.png.orig").read_bytes() == before
    assert statuses(run(colours, in_place=True)) == "ssssss"


def test_a_dry_run_writes_nothing(colours: Path) -> None:
    outcomes = run(colours, dry_run=True)
    assert statuses(outcomes) == "pppppp"
    assert outcomes[0].output == str(colours.parent / "out" / "a.png")
    assert written(colours) == {}


def test_a_blurred_photo_that_hardly_changes_is_marked_and_a_sharp_one_is_not(
    colours: Path,
) -> None:
    noise = np.random.default_rng(0).integers(0, 200, (40, 40), dtype=np.uint8)
    for name, size in (("sharp", (160, 160)), ("soft", (1600, 1600))):
        way = Image.Resampling.NEAREST if name == "sharp" else Image.Resampling.BICUBIC
        Image.fromarray(noise).resize(size, way).save(colours / f"{name}.png")
    restored = {Path(o.input).stem: o for o in run_unchanged(colours)}
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


def test_the_journal_tells_which_bytes_were_read_and_written(colours: Path) -> None:
    run(colours)
    lines = (colours.parent / "out" / ".blurdm" / "run.ndjson").read_text().splitlines()
    last = {row["input"]: row for row in map(json.loads, lines)}
    assert set(last) == {f"../in/{name}" for name in ALL}
    for row in last.values():
        assert row["status"] == "done"
        assert row["source"]["size"] == (colours / Path(row["input"]).name).stat().st_size
        assert len(row["result"]["sha256"]) == 64


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_a_photo_in_place_keeps_its_permissions_and_times(colours: Path) -> None:
    for number, name in enumerate("abcdef"):
        (colours / f"{name}.png").chmod(0o640 - number)
        os.utime(colours / f"{name}.png", ns=(10**18, 10**18 + number))
    assert statuses(run(colours, in_place=True)) == "dddddd"
    for number, name in enumerate("abcdef"):
        status = (colours / f"{name}.png").stat()
        assert (status.st_mode & 0o777, status.st_mtime_ns) == (0o640 - number, 10**18 + number)
    assert statuses(run(colours, in_place=True)) == "ssssss"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_a_result_is_no_more_open_than_its_photo(colours: Path) -> None:
    (colours / "a.png").chmod(0o600)
    run(colours)
    out = colours.parent / "out"
    assert (out / "a.png").stat().st_mode & 0o777 == 0o600
    assert (out / "b.png").stat().st_mode & 0o077 != 0
