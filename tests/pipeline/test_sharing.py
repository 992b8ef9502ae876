"""A run shared among workers that end while they work."""

from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from blurdm_cli.errors import ComputeError, DiskFull
from blurdm_cli.files.atomic import part_of
from blurdm_cli.files.journal import Journal
from blurdm_cli.files.locks import locked
from blurdm_cli.pipeline.messages import Task
from blurdm_cli.pipeline.outcome import exit_code
from blurdm_cli.pipeline.pool import Member
from tests.pipeline.album import results
from tests.pipeline.mortals import Fate, Mortals, lives, once, shared


@pytest.mark.parametrize("moment", ["start", "seal", "end", "outcome"])
@pytest.mark.parametrize("policy", ["skip", "rename"])
def test_a_file_whose_worker_ends_is_done_again_once(
    colours: Path, tmp_path: Path, moment: str, policy: str
) -> None:
    theirs = tmp_path / "out" / "c.png"
    theirs.parent.mkdir()
    theirs.write_bytes(b"somebody's")
    starts: list[str] = []
    ends = once(moment, set())

    def fate(task: Task, kind: str) -> bool:
        starts.extend([task.job.input.name] * (kind == "start"))
        return ends(task, kind)

    outcomes = shared(colours, fate, on_exists=policy, compare=True)
    done = [outcome for outcome in outcomes if outcome.status == "done"]
    wanted = sorted("abcdef" if policy == "rename" else "abdef")
    assert sorted(Path(outcome.input).stem for outcome in done) == wanted
    names = [f"{stem}-2" if stem == "c" else stem for stem in wanted]
    sheets = [f"{name}.compare" for name in names]
    assert results(tmp_path / "out") == sorted(f"{n}.png" for n in {*names, *sheets, "c"})
    assert theirs.read_bytes() == b"somebody's"
    again = {"start": 1, "seal": 1, "end": 2, "outcome": 2}[
        moment
    ]  # the sheet ends before the photo
    assert len(starts) == (2 + again) * len(wanted)
    repeated = shared(colours, lives, on_exists=policy, compare=True)
    assert {outcome.status for outcome in repeated} == {"skipped"}


def test_a_file_that_ends_three_workers_fails_alone(colours: Path, tmp_path: Path) -> None:
    ended: list[str] = []

    def fate(task: Task, kind: str) -> bool:
        ended.extend([task.job.input.name] * (task.job.input.name == "d.png"))
        return task.job.input.name == "d.png"

    outcomes = shared(colours, fate)
    assert len(ended) == 3
    assert exit_code(outcomes) == 4
    [lost] = [outcome for outcome in outcomes if outcome.status == "failed"]
    assert lost.input.endswith("d.png")
    assert "given up" in lost.message
    assert results(tmp_path / "out") == [f"{stem}.png" for stem in "abcef"]


def started(starts: list[str], ends: Fate) -> Fate:
    """The same fate, and the names of files in the order in which they are written."""

    def fate(task: Task, kind: str) -> bool:
        starts.extend([task.job.input.stem] * (kind == "start"))
        return ends(task, kind)

    return fate


def test_a_file_that_ends_three_workers_costs_the_one_in_work_beside_it_nothing(
    colours: Path, tmp_path: Path
) -> None:
    starts = list[str]()
    fate = started(starts, lambda task, kind: task.job.input.name == "d.png")
    outcomes = shared(colours, fate, processes=1, at_once=2)
    assert [outcome.input for outcome in outcomes if outcome.error] == [str(colours / "d.png")]
    assert exit_code(outcomes) == 4
    assert results(tmp_path / "out") == [f"{stem}.png" for stem in "abcef"]
    times = Counter(starts)
    assert times.pop("d") == 4  # once beside another, and three times alone
    assert sorted(times.values()) == [1, 1, 1, 1, 2]


def test_files_are_in_work_in_different_processes_if_there_are_enough(colours: Path) -> None:
    for stem in "abcd":
        (colours / f"{stem}.png").unlink()
    starts = list[str]()
    ends = once("start", {"e.png"})
    assert exit_code(shared(colours, started(starts, ends), at_once=2)) == 0
    assert sorted(starts) == ["e", "f", "f"]


def test_a_file_is_not_blamed_for_workers_that_ended_with_their_machine(colours: Path) -> None:
    ended: list[str] = []

    def fate(task: Task, kind: str) -> bool:
        ends = task.job.input.name == "d.png" and len(ended) < 6
        ended.extend(["d"] * ends)
        return ends

    assert exit_code(shared(colours, fate, blame=False)) == 0
    assert len(ended) == 6


def test_a_file_of_the_user_s_that_comes_between_is_kept(colours: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "out" / "d.png"
    ends = once("seal", set())

    def fate(task: Task, kind: str) -> bool:
        if ended := ends(task, kind) and task.job.input.name == "d.png":
            theirs.write_bytes(b"somebody's")
        return ended

    outcomes = shared(colours, fate)
    assert theirs.read_bytes() == b"somebody's"
    assert [o.reason for o in outcomes if o.input.endswith("d.png")] == ["exists"]


def test_a_lost_worker_may_hold_its_lock_for_a_while(colours: Path, tmp_path: Path) -> None:
    output = tmp_path / "out" / "d.png"
    ends, held, starts = once("start", set()), ExitStack(), list[str]()

    def fate(task: Task, kind: str) -> bool:
        if task.job.input.name != "d.png" or kind != "start":
            return False
        starts.append(task.job.input.name)
        if len(starts) == 3:
            held.close()
        if ended := ends(task, kind):
            held.enter_context(locked(part_of(output).with_suffix(".lock"), output))
        return ended

    assert exit_code(shared(colours, fate)) == 0
    assert len(starts) == 3


def test_a_full_disk_ends_the_run_when_the_journal_meets_it(
    colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise DiskFull("full")

    monkeypatch.setattr(Journal, "seal", refuse)
    outcomes = shared(colours, lives)
    assert 1 <= len(outcomes) <= 2  # those that the two workers had
    assert {outcome.status for outcome in outcomes} == {"failed"}
    assert results(tmp_path / "out") == []


def test_fail_fast_gives_out_no_further_file(colours: Path) -> None:
    for path in colours.iterdir():
        path.write_bytes(b"\x89PNG\r\n\x1a\n")
    assert 1 <= len(shared(colours, lives, fail_fast=True)) <= 2


def test_a_run_without_workers_ends(colours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def joined(self: Mortals) -> list[Member]:
        raise ComputeError("none is left")

    monkeypatch.setattr(Mortals, "joined", joined)
    with pytest.raises(ComputeError, match="none is left"):
        shared(colours, lives)


def test_a_dry_run_writes_nothing(colours: Path, tmp_path: Path) -> None:
    outcomes = shared(colours, lives, dry_run=True)
    assert {outcome.status for outcome in outcomes} == {"planned"}
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("at_once", [1, 2])
def test_the_fates_of_workers_do_not_change_the_bytes(
    colours: Path, tmp_path: Path, at_once: int
) -> None:
    shared(colours, lives)
    whole = {name: (tmp_path / "out" / name).read_bytes() for name in results(tmp_path / "out")}
    shared(colours, once("end", set()), resume=False, at_once=at_once)
    again = {name: (tmp_path / "out" / name).read_bytes() for name in whole}
    assert again == whole
