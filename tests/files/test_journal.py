import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blurdm_cli.errors import InputError, OutputError
from blurdm_cli.files.journal import FOLDER, Past, open_journal
from blurdm_cli.files.stamp import Stamp

from .conftest import touch


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A folder of results, an input and an output."""
    source, output = touch(tmp_path / "in" / "é.jpg", tmp_path / "out" / "é.jpg")
    return output.parent, source, output


def note(home: Path, source: Path, output: Path, settings: str = "s") -> None:
    with open_journal(home, settings) as journal:
        journal.begin(source, output)
        journal.end(source, output, Stamp.of(source))


def states(home: Path, source: Path, output: Path, settings: str = "s") -> tuple[bool, bool]:
    with open_journal(home, settings) as journal:
        return journal.is_done(source, output), journal.is_own(source, output)


def test_a_file_that_is_merely_there_is_neither_done_nor_own(files):
    assert states(*files) == (False, False)


def test_what_was_done_is_done_in_the_next_run(files):
    note(*files)
    assert states(*files) == (True, True)
    os.utime(files[1], ns=(1, 1))  # touched, but the same bytes
    assert states(*files) == (True, True)


@pytest.mark.parametrize("which", [1, 2])
@pytest.mark.parametrize("content", [b"other", b"longer than before"])
def test_a_changed_input_or_output_is_not_done(files, which, content):
    note(*files)
    files[which].write_bytes(content)
    os.utime(files[which], ns=(1, 1))
    done, own = states(*files)
    assert not done
    assert own == (which == 1)  # an output that somebody changed is theirs now


def test_other_settings_are_not_done_but_the_output_is_own(files):
    note(*files)
    assert states(*files, "t") == (False, True)


def test_a_missing_output_is_not_done(files):
    note(*files)
    files[2].unlink()
    assert states(*files)[0] is False


def test_what_a_killed_run_left_is_own_and_what_somebody_put_there_is_not(files):
    home, source, output = files
    output.unlink()
    with open_journal(home, "s") as journal:
        seal = journal.begin(source, output)
        output.write_bytes(b"somebody's")
        assert not journal.is_own(source, output)
        output.unlink()
        part = output.with_name("part")
        part.write_bytes(b"finished")
        seal(part)
        part.replace(output)
    assert states(*files) == (False, True)
    output.write_bytes(b"somebody's")
    assert states(*files) == (False, False)


def test_a_run_killed_while_it_makes_a_result_anew_knows_the_earlier_one(files):
    home, source, output = files
    note(*files)
    with open_journal(home, "t") as journal:
        seal = journal.begin(source, output)
        assert journal.is_own(source, output)
        part = output.with_name("part")
        part.write_bytes(b"finished")
        seal(part)
        assert journal.is_own(source, output)
    assert states(*files, "t") == (False, True)


def test_the_folder_may_be_moved_with_its_inputs(files, tmp_path):
    note(*files)
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("in", "out"):
        (tmp_path / name).rename(moved / name)
    assert states(*(moved / path.relative_to(tmp_path) for path in files)) == (True, True)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_journal_cut_anywhere_is_read_as_far_as_it_goes(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("run")
    names = [f"{number}.jpg" for number in range(4)]
    inputs = touch(*(folder / "in" / name for name in names))
    outputs = touch(*(folder / "out" / name for name in names))
    for source, output in zip(inputs, outputs, strict=True):
        note(folder / "out", source, output)
    path = folder / "out" / FOLDER / "run.ndjson"
    whole = path.read_bytes()
    length = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:length])
    kept = [
        json.loads(line) for line in whole[:length].splitlines(keepends=True) if line[-1:] == b"\n"
    ]
    done = {line["input"] for line in kept if line["status"] == "done"}
    with open_journal(folder / "out", "s") as journal:
        for source, output in zip(inputs, outputs, strict=True):
            is_done = journal.is_done(source, output)
            # a line of which only the end of the line is missing is whole all the same
            assert is_done or f"../in/{source.name}" not in done
            if not is_done:
                journal.begin(source, output)
                journal.end(source, output, Stamp.of(source))
    assert all(
        states(folder / "out", source, output)[0]
        for source, output in zip(inputs, outputs, strict=True)
    )


def test_a_second_run_on_the_folder_is_told_so(files):
    with open_journal(files[0], "s"):
        with pytest.raises(OutputError, match="Another run") as caught:
            open_journal(files[0], "s").__enter__()
        assert caught.value.hint
    assert states(*files) == (False, False)


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path):
    (file,) = touch(tmp_path / "file")
    with pytest.raises(OutputError):
        open_journal(file / "out", "s").__enter__()


def test_a_stamp_of_a_missing_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError):
        Stamp.of(tmp_path / "missing.jpg")


def test_a_line_of_nested_brackets_is_passed_over(files):
    home, _, _ = files
    note(*files)
    with (home / FOLDER / "run.ndjson").open("ab") as file:
        file.write(b"[" * 100_000 + b"\n")
    assert states(*files) == (True, True)


@pytest.mark.parametrize("link", [FOLDER, f"{FOLDER}/run.ndjson"])
def test_a_journal_that_is_a_link_is_not_followed(files, tmp_path, link):
    home, _, _ = files
    (elsewhere,) = touch(tmp_path / "elsewhere" / "run.ndjson")
    linked = home / link
    linked.parent.mkdir(exist_ok=True)
    linked.symlink_to(elsewhere if linked.suffix else elsewhere.parent)
    with pytest.raises(OutputError, match="is a link") as caught:
        open_journal(home, "s").__enter__()
    assert str(linked) in caught.value.hint
    assert elsewhere.read_bytes() == b"photo"
    assert list(elsewhere.parent.iterdir()) == [elsewhere]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes")
def test_a_pipe_in_the_place_of_a_journal_does_not_block(tmp_path):
    (tmp_path / FOLDER).mkdir()
    os.mkfifo(tmp_path / FOLDER / "run.ndjson")
    assert not Past().journal_of(tmp_path / "a.jpg", tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="locks of POSIX")
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_on_a_disk_without_locks_a_file_stands_for_the_lock(files, monkeypatch, number):
    def flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    said = []
    with open_journal(files[0], "s", said.append):
        with pytest.raises(OutputError, match="Another run") as caught:
            open_journal(files[0], "s").__enter__()
        assert "lock.held" in caught.value.hint
    assert ["without locks" in line for line in said] == [True]
    note(*files)
    assert {path.name for path in (files[0] / FOLDER).iterdir()} == {"run.ndjson"}
