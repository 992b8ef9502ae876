"""Watching a folder with the small model."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from threading import Event, Timer
from typing import Any

import pytest

from blurdm_cli import deblur_file
from blurdm_cli.errors import InputError, UsageError
from blurdm_cli.files.inputs import Search
from blurdm_cli.files.journal import open_journal
from blurdm_cli.pipeline import arrivals, watching
from blurdm_cli.pipeline.options import ModelOptions, PhotoOptions, RunOptions, VideoOptions
from blurdm_cli.pipeline.outcome import Outcome
from blurdm_cli.pipeline.reporter import Silent
from blurdm_cli.pipeline.watching import Watching, is_network, wake, watch_folder

MODEL = ModelOptions("blurdm-tiny", precision="fp32")

Steps = list[Callable[[], object]]


class Heard(Silent):
    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self.meanwhile = meanwhile
        self.rows: list[Outcome] = []
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def finished(self, outcome: Outcome, facts: Mapping[str, Any]) -> None:
        self.rows.append(outcome)
        self.meanwhile()

    @property
    def names(self) -> list[tuple[str, str]]:
        return [(Path(row.input).name, row.status) for row in self.rows]


def watched(
    folder: Path, *steps: Callable[[], object], meanwhile: Callable[[], object] = lambda: None
) -> Heard:
    """Watch a folder; each step is done before another wake, `meanwhile` after each file."""

    def wakes(*_: object) -> Iterator[None]:
        yield
        for step in steps:
            step()
            yield

    heard = Heard(meanwhile)
    options = RunOptions(output=str(folder.parent / "out"), search=Search())
    watch_folder(
        Watching(folder, settle=0),
        options,
        MODEL,
        PhotoOptions(),
        VideoOptions(),
        heard,
        Event(),
        wakes,
    )
    return heard


@pytest.fixture
def folder(photo: Path) -> Path:
    """A folder with one photo in a sub-folder."""
    inside = photo.parent / "in" / "day 1"
    inside.mkdir(parents=True)
    shutil.move(photo, inside / "a.jpg")
    return inside.parent


def test_what_is_there_and_what_arrives_is_done_once_and_mirrored(
    folder: Path, tmp_path: Path
) -> None:
    source = folder / "day 1" / "a.jpg"
    heard = watched(
        folder,
        lambda: shutil.copy(source, folder / "b.jpg"),
        lambda: (folder / "c.jpg").write_bytes(source.read_bytes()[:300]),
        lambda: None,
        lambda: shutil.copy(source, folder / "c.jpg"),
    )
    assert heard.names[:2] == [("a.jpg", "done"), ("b.jpg", "done")]
    assert heard.names[2:] == [("c.jpg", "failed"), ("c.jpg", "done")]
    wanted = deblur_file(source, tmp_path / "wanted.jpg", model=MODEL.model, precision="fp32")
    for name in ("day 1/a.jpg", "b.jpg", "c.jpg"):
        assert (tmp_path / "out" / name).read_bytes() == wanted.read_bytes()


def test_a_file_that_changes_while_it_waits_for_others_is_done_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "MOST", 1)
    late = folder / "day 1" / "b.jpg"
    shutil.copy(folder / "day 1" / "a.jpg", late)
    changes = iter([lambda: late.write_bytes(late.read_bytes() + b"more")])
    heard = watched(folder, lambda: None, meanwhile=lambda: next(changes, str)())
    assert heard.names == [("a.jpg", "done"), ("b.jpg", "done")]


def test_a_restart_does_nothing_again_even_if_results_were_moved_elsewhere(
    folder: Path, tmp_path: Path
) -> None:
    watched(folder)
    result = tmp_path / "out" / "day 1" / "a.jpg"
    result.unlink()
    source = folder / "day 1" / "a.jpg"
    assert watched(folder, lambda: shutil.copy(source, folder / "b.jpg")).names == [
        ("b.jpg", "done")
    ]
    assert not result.exists()


def test_a_file_of_somebody_else_at_the_output_stays_and_the_result_gets_a_number(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "out" / "day 1").mkdir(parents=True)
    own = tmp_path / "out" / "day 1" / "a.jpg"
    own.write_bytes(b"mine")
    heard = watched(folder)
    assert heard.names == [("a.jpg", "done")]
    assert own.read_bytes() == b"mine"
    assert own.with_name("a-2.jpg").exists()
    assert watched(folder).names == []


def test_while_another_run_holds_the_output_files_wait(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "RETRY", 0.0)
    held = open_journal(tmp_path / "out", "")
    held.__enter__()
    heard = watched(folder, lambda: held.__exit__(None, None, None))
    assert heard.names == [("a.jpg", "done")]
    assert len(heard.warnings) == 1
    assert "Another run" in heard.warnings[0]


def test_folders_that_cannot_be_watched_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a file, not a folder"):
        watched(folder / "day 1" / "a.jpg")
    with pytest.raises(InputError, match="There is no"):
        watched(tmp_path / "none")
    (tmp_path / "out").mkdir()
    with pytest.raises(UsageError, match="the watched folder itself"):
        watched(tmp_path / "out")


def test_a_report_of_the_system_wakes_at_once(tmp_path: Path) -> None:
    stop = Event()
    guard = Timer(5, stop.set)
    guard.start()
    wakes = wake(Watching(tmp_path, settle=0.01), lambda: None, stop)
    next(wakes)
    next(wakes)  # what arrived before the system was asked
    (tmp_path / "a.jpg").write_bytes(b"1")
    assert next(wakes, "stopped") is None
    guard.cancel()
    stop.set()
    assert next(wakes, "stopped") == "stopped"


def test_polling_wakes_by_the_clock_and_needs_no_report(tmp_path: Path) -> None:
    stop = Event()
    wakes = wake(Watching(tmp_path, poll=0.01), lambda: None, stop)
    assert [next(wakes) for _ in range(3)] == [None] * 3
    stop.set()
    assert next(wakes, "stopped") == "stopped"


@pytest.mark.parametrize(("kind", "network"), [("nfs4", True), ("ext4", False)])
def test_a_network_drive_is_known_by_its_mount(tmp_path: Path, kind: str, network: bool) -> None:
    folder = tmp_path / "Größe 1" / "new"
    folder.mkdir(parents=True)
    mounts = tmp_path / "mounts"
    own = str(folder.parent.resolve()).replace(" ", "\\040")
    mounts.write_text(f"rootfs / ext4 rw 0 0\nnas:/photos {own} {kind} rw 0 0\n", encoding="utf-8")
    assert is_network(folder, mounts) == network


def test_this_machine_s_own_disk_is_no_network_drive(tmp_path: Path) -> None:
    assert not is_network(tmp_path)
