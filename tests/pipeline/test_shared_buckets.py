"""Workers that read from a bucket and write to it."""

import shutil
from pathlib import Path

import pytest

from blurdm_cli.errors import BlurdmError, InputError
from blurdm_cli.files.inputs import Search
from blurdm_cli.files.objects import Store
from blurdm_cli.pipeline.outcome import Outcome
from tests.buckets import Server
from tests.clips import make_clip, shown
from tests.pipeline.album import results
from tests.pipeline.mortals import lives, once, shared


@pytest.fixture
def whole(uploaded: Path) -> dict[str, bytes]:
    """The results over files."""
    assert {outcome.status for outcome in shared(uploaded, lives)} == {"done"}
    out = uploaded.parent / "out"
    made = {name: (out / name).read_bytes() for name in results(out)}
    shutil.rmtree(out)
    return made


def told(outcomes: list[Outcome]) -> list[tuple[str, str, str | None]]:
    return sorted((each.input, each.status, each.output) for each in outcomes)


def test_workers_share_a_bucket_and_give_the_bytes_of_files(
    server: Server, whole: dict[str, bytes]
) -> None:
    urls = ("s3://photos/in", "s3://photos/out/")
    first, second = (shared(urls[0], lives, output=urls[1]) for _ in range(2))
    assert told(first) == [(f"{urls[0]}/{n}", "done", f"{urls[1]}{n}") for n in sorted(whole)]
    assert {outcome.reason for outcome in second} == {"done-before"}
    assert server.contents(urls[1]) == whole


def test_a_worker_that_ends_after_it_has_sent_a_result_costs_nothing(
    server: Server, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = list[str]()
    send = Store.send

    def counted(self: Store, path: Path, url: str, *words: object) -> None:
        sent.append(url)
        send(self, path, url, *words)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "send", counted)
    outcomes = shared("s3://photos/in", once("outcome", set()), output="s3://photos/out/")
    assert {outcome.reason for outcome in outcomes} == {"done-before"}
    assert sorted(sent) == [f"s3://photos/out/{name}" for name in sorted(whole)]
    assert server.contents("s3://photos/out/") == whole


@pytest.mark.parametrize("moment", ["start", "seal", "end", "outcome"])
def test_objects_go_to_a_folder_whose_journal_the_run_writes(
    server: Server, whole: dict[str, bytes], tmp_path: Path, moment: str
) -> None:
    folder = tmp_path / "back"
    outcomes = shared("s3://photos/in", once(moment, set()), output=folder)
    assert {outcome.status for outcome in outcomes} == {"done"}
    assert {name: (folder / name).read_bytes() for name in results(folder)} == whole
    again = shared("s3://photos/in", lives, output=folder)
    assert {outcome.reason for outcome in again} == {"done-before"}


def test_a_video_in_a_bucket_is_restored_by_one_worker(
    server: Server, tmp_path: Path, short_segments: None
) -> None:
    film = make_clip(tmp_path / "film.mkv", codec="ffv1")
    server.put("s3://photos/in/film.mkv", film.read_bytes())
    search = Search(suffixes={".mkv"})
    [outcome] = shared("s3://photos/in/", lives, output="s3://photos/out/", search=search)
    assert outcome.status == "done", outcome.message
    (tmp_path / "made.mkv").write_bytes(server.contents("s3://photos/out/")["film.mkv"])
    assert len(shown(tmp_path / "made.mkv")) == len(shown(film))


def test_an_error_of_the_server_is_that_of_one_file(
    server: Server, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = Store.fetch

    def refuse(self: Store, url: str, path: Path) -> None:
        if url.endswith("b.png"):
            raise InputError(f"{path} cannot be read")
        fetch(self, url, path)

    monkeypatch.setattr(Store, "fetch", refuse)
    outcomes = shared("s3://photos/in", lives, output="s3://photos/out/")
    [failed] = [outcome for outcome in outcomes if outcome.status == "failed"]
    assert failed.message == "s3://photos/in/b.png cannot be read"
    assert isinstance(failed.error, BlurdmError)
    assert len(server.contents("s3://photos/out/")) == len(whole) - 1
