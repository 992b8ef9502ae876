import io
import os
import signal
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from tests.cli import TINY, Blurdm
from tests.pipeline.album import MAIN, ROOT, results


def call(*words: object, **options: object) -> subprocess.CompletedProcess[bytes]:
    command = [*MAIN, *map(str, words), *TINY]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False, **options)  # type: ignore[call-overload,no-any-return]


def test_a_photo_goes_from_stdin_to_stdout_and_talk_goes_to_stderr(
    blurdm: Blurdm, photo: Path, tmp_path: Path
) -> None:
    done = call("-", input=photo.read_bytes())
    assert done.returncode == 0
    assert Image.open(io.BytesIO(done.stdout)).size == (90, 70)
    assert b"- -> -" in done.stderr
    assert b"\x1b" not in done.stderr  # no terminal: no colours, no bars
    blurdm("deblur", photo, "-o", tmp_path / "out.jpg", *TINY)
    assert (tmp_path / "out.jpg").read_bytes() == done.stdout


def test_a_photo_that_is_sharp_enough_goes_through_a_pipe_as_it_is(photo: Path) -> None:
    done = call("-", "--only-blurry", "--blur-threshold", "1", input=photo.read_bytes())
    assert done.returncode == 0
    assert done.stdout == photo.read_bytes()


def test_stdout_takes_one_photo_and_no_more(blurdm: Blurdm, album: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"{album / 'a.jpg'}\n{album / 'b.jpg'}\n")
    one = album / "a.jpg"
    for words in ([f"{album}/*.jpg"], [f"@{tmp_path / 'list.txt'}"], [one, "--compare"]):
        result = blurdm("deblur", *words, "-o", "-", *TINY)
        assert (result.code, result.out) == (2, "")
        assert "stdout" in result.err
        assert "fix" in result.err
    found = call(f"{album}/[a].jpg", "-o", "-")
    assert Image.open(io.BytesIO(found.stdout)).size == (90, 70)


@pytest.mark.skipif(os.name != "posix", reason="pipes and signals of POSIX")
def test_a_reader_that_goes_away_is_an_interruption_and_one_of_talk_is_none(
    album: Path, tmp_path: Path
) -> None:
    for stream, code in (("stdout", 130), ("stderr", 0)):
        out = tmp_path / stream
        gone, end = os.pipe()
        os.close(gone)
        words = [*MAIN, str(album), "-o", str(out), "--json", *TINY]
        streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: end}
        done = subprocess.run(words, cwd=ROOT, check=False, **streams)  # type: ignore[call-overload]
        os.close(end)
        assert done.returncode == code
        assert not [name for name in results(out) if name.endswith(".part")]


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_at_any_moment_leaves_whole_files_and_goes_on(
    blurdm: Blurdm, album: Path, tmp_path: Path, number: signal.Signals
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert blurdm("deblur", album, "-o", whole, *TINY).code == 0
    words = [*MAIN, str(album), "-o", str(out), "--json", *TINY]
    with subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.readline()  # the first photo is done
        process.send_signal(number)
        process.stdout.close()
        talk = process.stderr.read() if process.stderr else b""
    if number != signal.SIGKILL:
        assert process.returncode == 130
        assert b"Traceback" not in talk
    found = [name for name in results(out) if not Path(name).name.startswith(".")]
    assert "a.jpg" in found
    assert all((out / name).read_bytes() == (whole / name).read_bytes() for name in found)
    assert blurdm("deblur", album, "-o", out, *TINY).code == 0
    assert results(out) == results(whole)
    assert all((out / n).read_bytes() == (whole / n).read_bytes() for n in results(whole))
