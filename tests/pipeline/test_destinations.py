"""Places in place: no photo is lost that only took the name of one restored before."""

from pathlib import Path
from typing import get_args

import pytest
from PIL import Image

from blurdm_cli.choices import OnExists
from tests.pipeline.photo_runs import run, statuses


@pytest.fixture
def restored(tmp_path: Path) -> Path:
    """A photo that was restored in place, a.png, with its original beside it."""
    path = tmp_path / "in" / "a.png"
    path.parent.mkdir()
    Image.new("RGB", (8, 6), (0, 100, 200)).save(path)
    assert statuses(run(path.parent, in_place=True)) == "d"
    return path


@pytest.mark.parametrize("on_exists", get_args(OnExists))
@pytest.mark.parametrize("journal", ["kept", "lost"])
def test_a_new_photo_under_an_old_name_stays_whatever_the_policy(
    restored: Path, journal: str, on_exists: OnExists
) -> None:
    Image.new("RGB", (8, 6), (1, 2, 3)).save(restored)
    if journal == "lost":
        (restored.parent / ".blurdm" / "run.ndjson").unlink()
    kept = restored.with_name("a.png.orig")
    before = restored.read_bytes(), kept.read_bytes()
    for resume in (True, False):
        (outcome,) = run(restored.parent, in_place=True, on_exists=on_exists, resume=resume)
        assert outcome.status == ("skipped" if on_exists in ("skip", "rename") else "failed")
        assert "a.png.orig" in outcome.message + outcome.hint
    assert (restored.read_bytes(), kept.read_bytes()) == before


@pytest.mark.parametrize("on_exists", get_args(OnExists))
def test_a_result_that_the_journal_knows_is_made_anew_from_its_original(
    restored: Path, on_exists: OnExists
) -> None:
    options = {"in_place": True, "on_exists": on_exists, "resume": False}
    assert statuses(run(restored.parent, **options)) == "d"
    assert Image.open(restored).getpixel((0, 0)) == (7, 107, 207)


def test_a_photo_moved_back_over_its_result_is_restored_again(restored: Path) -> None:
    (restored.parent / ".blurdm" / "run.ndjson").unlink()
    restored.with_name("a.png.orig").replace(restored)
    assert statuses(run(restored.parent, in_place=True)) == "d"
    assert Image.open(restored).getpixel((0, 0)) == (7, 107, 207)
