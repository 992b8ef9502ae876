"""The comparison beside a result: it replaces nothing unasked, and tells no more than that."""

import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from blurdm_cli.choices import OnExists
from blurdm_cli.photo.encode import LARGEST_SIDE
from blurdm_cli.pipeline.outcome import Outcome
from tests.pipeline.photo_runs import run, statuses

PLACE = b"48,8.2N"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One photo of one colour, a.png, in a folder of its own."""
    path = tmp_path / "in"
    path.mkdir()
    add(path / "a.png")
    return path


def add(path: Path) -> Path:
    """A photo whose size, 8 x 6, tells it from a comparison, and with a place in it."""
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", f'<a exif:GPSLatitude="{PLACE.decode()}">')
    Image.new("RGB", (8, 6), (0, 100, 200)).save(path, pnginfo=info)
    return path


def compared(folder: Path, **options: Any) -> list[Outcome]:
    return run(folder, compare=True, **options)


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


@pytest.mark.parametrize("on_exists", ["skip", "overwrite", "rename"])
@pytest.mark.parametrize("in_place", [True, False])
def test_a_comparison_never_takes_the_place_of_an_input_or_a_result(
    folder: Path, in_place: bool, on_exists: OnExists
) -> None:
    add(folder / "a.compare.png")
    assert statuses(compared(folder, in_place=in_place, on_exists=on_exists)) == "dd"
    out = folder if in_place else folder.parent / "out"
    assert size(out / "a.compare.png") == (8, 6)
    assert size(out / "a.compare-2.png") == size(out / "a.compare.compare.png") == (16, 6)
    if in_place:
        assert size(out / "a.compare.png.orig") == (8, 6)


def test_a_comparison_is_no_photo_of_the_next_run_in_place(folder: Path) -> None:
    assert statuses(compared(folder, in_place=True)) == "d"
    assert statuses(compared(folder, in_place=True)) == "s"
    assert statuses(compared(folder, in_place=True, resume=False)) == "d"
    assert {path.name for path in folder.iterdir()} == {
        ".blurdm",
        "a.png",
        "a.png.orig",
        "a.compare.png",
    }
    add(folder / "a.compare.png")  # the user's own in its place
    assert statuses(run(folder, in_place=True)) == "ds"


def test_an_input_that_a_link_stands_for_keeps_its_place(folder: Path) -> None:
    photo = add(folder.parent / "b.png")
    out = folder.parent / "out"
    out.mkdir()
    os.symlink(photo, folder / "b.png")
    os.symlink(photo, out / "a.compare.png")
    compared(folder, on_exists="overwrite")
    assert (out / "a.compare.png").is_symlink()
    assert size(out / "a.compare-2.png") == (16, 6)


@pytest.mark.parametrize(
    ("on_exists", "status", "names"),
    [
        ("skip", "d", {"a.png", "a.compare.png"}),
        ("error", "f", {"a.compare.png"}),
        ("overwrite", "d", {"a.png", "a.compare.png"}),
        ("rename", "d", {"a.png", "a.compare.png", "a.compare-2.png"}),
    ],
)
def test_what_happens_to_a_file_at_its_place_is_what_was_asked_for(
    folder: Path, on_exists: OnExists, status: str, names: set[str]
) -> None:
    out = folder.parent / "out"
    out.mkdir()
    theirs = out / "a.compare.png"
    theirs.write_bytes(b"mine")
    (outcome,) = compared(folder, on_exists=on_exists)
    assert outcome.status[0] == status
    assert {path.name for path in out.iterdir()} - {".blurdm"} == names
    assert (theirs.read_bytes() == b"mine") == (on_exists != "overwrite")
    assert ("--overwrite" in "".join(outcome.notes)) == (on_exists == "skip")


def test_a_comparison_of_an_earlier_run_is_made_anew_with_its_result(folder: Path) -> None:
    sheet = folder.parent / "out" / "a.compare.png"
    for _ in range(2):
        (outcome,) = compared(folder, resume=False, on_exists="error")
        assert (outcome.status, outcome.notes, size(sheet)) == ("done", (), (16, 6))


def test_a_dry_run_tells_of_a_file_at_its_place_too(folder: Path) -> None:
    out = folder.parent / "out"
    out.mkdir()
    (out / "a.compare.png").write_bytes(b"mine")
    assert statuses(compared(folder, dry_run=True, on_exists="error")) == "f"
    assert statuses(compared(folder, dry_run=True)) == "p"


@pytest.mark.parametrize("metadata", ["keep", "strip", "strip-gps"])
def test_a_comparison_tells_as_much_of_the_photo_as_its_result(folder: Path, metadata: str) -> None:
    assert statuses(compared(folder, metadata=metadata)) == "d"
    for name in ("a.png", "a.compare.png"):
        written = (folder.parent / "out" / name).read_bytes()
        assert (PLACE in written) == (metadata == "keep")


def test_a_comparison_that_cannot_be_written_leaves_the_result_done_with_a_note(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LARGEST_SIDE, "webp", 99)
    (folder / "a.png").unlink()
    Image.new("RGB", (60, 40)).save(folder / "wide.webp")
    (outcome,) = compared(folder)
    assert (outcome.status, outcome.exit_code) == ("done", 0)
    assert outcome.output == str(folder.parent / "out" / "wide.webp")
    assert any("comparison" in note and "99 pixels" in note for note in outcome.notes)
    assert size(folder.parent / "out" / "wide.webp") == (60, 40)
    assert not (folder.parent / "out" / "wide.compare.webp").exists()
    assert compared(folder)[0].reason == "done-before"


def test_a_comparison_in_place_has_the_photos_own_format_whatever_its_name(folder: Path) -> None:
    (folder / "a.png").rename(folder / "a.jpg")
    assert compared(folder, in_place=True)[0].notes == ()
    for name in ("a.jpg", "a.compare.jpg"):
        with Image.open(folder / name) as image:
            assert image.format == "PNG"
