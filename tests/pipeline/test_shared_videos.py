"""A video whose segments are shared among workers."""

from collections import Counter
from pathlib import Path

import pytest

from blurdm_cli.errors import OutOfMemory
from blurdm_cli.files.inputs import Search
from blurdm_cli.pipeline import clip
from blurdm_cli.pipeline.messages import Task
from blurdm_cli.pipeline.outcome import Outcome, exit_code
from blurdm_cli.video.segments import SegmentStore
from tests.clips import make_clip
from tests.pipeline.mortals import Fate, lives, shared

AVI = Search(suffixes={".avi"})
SEGMENTS = 5


@pytest.fixture
def film(tmp_path: Path, short_segments: None) -> Path:
    """The folder of a film of five segments, in a lossless codec."""
    (tmp_path / "in").mkdir()
    make_clip(tmp_path / "in" / "film.avi", codec="ffv1", times=range(22))
    return tmp_path / "in"


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The segments that are written, and by whom."""
    numbers = list[int]()
    writer = SegmentStore.writer

    def counted(self: SegmentStore, number: int, *words: object) -> object:
        numbers.append(number)
        return writer(self, number, *words)  # type: ignore[arg-type]

    monkeypatch.setattr(SegmentStore, "writer", counted)
    return numbers


def dies(moment: str, *, helps: bool, times: int = 1, after: int = 0) -> Fate:
    """The owner, or a helper, ends at such a moment; so often, and not the first times."""
    seen = Counter[str]()

    def fate(task: Task, kind: str) -> bool:
        if task.helps == helps and kind == moment:
            seen[kind] += 1
            return after < seen[kind] <= after + times
        return False

    return fate


def film_of(folder: Path, fate: Fate, **options: object) -> tuple[Outcome, bytes]:
    """Restore the film; its outcome and its bytes."""
    [outcome] = shared(folder, fate, search=AVI, **options)  # type: ignore[arg-type]
    path = folder.parent / "out" / "film.avi"
    content = path.read_bytes() if path.exists() else b""
    path.unlink(missing_ok=True)
    assert not [each for each in path.parent.rglob("*") if each.suffix == ".segment"]
    return outcome, content


@pytest.fixture
def alone(film: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Outcome, bytes]:
    """Return the result of one worker."""
    with monkeypatch.context() as patch:
        patch.setattr("blurdm_cli.pipeline.sharing.SharedRun._have_helped", lambda self: None)
        return film_of(film, lives)


@pytest.mark.parametrize("at_once", [1, 2])
def test_workers_share_a_film_and_each_segment_is_restored_once(
    film: Path, alone: tuple[Outcome, bytes], written: list[int], at_once: int
) -> None:
    tasks = list[Task]()

    def fate(task: Task, kind: str) -> bool:
        tasks.extend([task] * (kind == "claim"))
        return False

    outcome, content = film_of(film, fate, at_once=at_once)
    assert sorted(written) == list(range(SEGMENTS))
    assert {task.helps for task in tasks} == {True, False}
    assert content == alone[1]
    assert outcome.message == alone[0].message == "22 frames"


def test_a_process_with_a_film_has_no_other_file(colours: Path, short_segments: None) -> None:
    make_clip(colours / "film.avi", codec="ffv1", times=range(22))
    tasks = list[Task]()

    def fate(task: Task, kind: str) -> bool:
        tasks.append(task)
        return False

    both = Search(suffixes={".avi", ".png"})
    shared(colours, fate, search=both, processes=1, at_once=2)
    films = [task.moving for task in tasks]
    assert films == sorted(films, reverse=True)
    assert films.count(True) > SEGMENTS
    assert not any(task.helps for task in tasks)


@pytest.mark.parametrize("helps", [True, False])
@pytest.mark.parametrize(
    ("moment", "after", "resume"), [("claim", 0, True), ("claim", 3, False), ("wait", 0, True)]
)
def test_a_killed_worker_costs_its_segment(
    film: Path,
    alone: tuple[Outcome, bytes],
    written: list[int],
    moment: str,
    after: int,
    resume: bool,
    helps: bool,
) -> None:
    fate = dies(moment, helps=helps, after=after)
    outcome, content = film_of(film, fate, resume=resume)
    assert outcome.status == "done"
    assert content == alone[1]
    assert len(written) <= SEGMENTS + 2  # one in work, and one read ahead


def test_helpers_that_end_again_and_again_leave_the_film_to_its_owner(
    film: Path, alone: tuple[Outcome, bytes]
) -> None:
    outcome, content = film_of(film, dies("claim", helps=True, times=99))
    assert (outcome.status, content) == ("done", alone[1])
    outcome, _ = film_of(film, lambda task, kind: kind == "claim")
    assert exit_code([outcome]) == 7
    assert "3 workers ended" in outcome.message


def test_a_helper_that_fails_is_not_asked_again(
    film: Path, alone: tuple[Outcome, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = list[str]()

    def refuse(job: object) -> None:
        failures.append("helper")
        raise OutOfMemory("fake", 64)

    monkeypatch.setattr("blurdm_cli.pipeline.videos.help_clip", refuse)
    outcome, content = film_of(film, lives)
    assert (outcome.status, content) == ("done", alone[1])
    assert len(failures) == 1


def test_a_film_that_fails_takes_its_helpers_with_it(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*words: object, **options: object) -> None:
        raise OutOfMemory("fake", 64)

    monkeypatch.setattr(clip, "mux", refuse)
    [outcome] = shared(film, lives, search=AVI)
    assert isinstance(outcome.error, OutOfMemory)
