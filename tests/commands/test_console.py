import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from blurdm_cli.commands import console
from blurdm_cli.commands.console import report, say
from blurdm_cli.errors import BlurdmError, InputError
from tests.cli import Blurdm

EXAMPLE = Path(__file__).parents[2] / "examples" / "market.jpg"
MAIN = "from blurdm_cli.commands.app import main; main()"


def test_a_name_that_is_no_text_is_data_all_the_same(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    shutil.copy(EXAMPLE, tmp_path / name)
    words = [sys.executable, "-c", MAIN, "score", "--json", str(tmp_path)]
    strict = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=strict)
    assert name in done.stdout.encode().decode("unicode_escape")


def test_training_without_pytorch_names_the_extra_to_install(tmp_path: Path) -> None:
    script = f"import sys; sys.modules['torch'] = None; {MAIN}"
    words = [sys.executable, "-c", script, "eval", "blurdm-tiny", "--data", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 7
    assert "pip install torch" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_and_version_import_neither_torch_nor_numpy_nor_opencv() -> None:
    script = (
        "import sys; from blurdm_cli.commands.app import app\n"
        "for words in (['--help'], ['deblur', '--help'], ['--version']):\n"
        "    app(words, standalone_mode=False)\n"
        "print(sorted({'torch', 'numpy', 'cv2', 'PIL'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_error_is_said_whatever_is_kept_quiet_and_nothing_else_after_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console.console, "quiet", True)
    report(BlurdmError("it went wrong", hint="mend it"))
    say("all is well")
    told = capsys.readouterr().err
    assert "it went wrong" in told
    assert "mend it" in told
    assert "well" not in told


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is full is Linux's own")
@pytest.mark.parametrize("words", [["models", "list"], ["models", "list", "--json"]])
def test_data_that_cannot_be_written_is_an_error_in_one_line(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", MAIN, *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 5
    assert "stdout cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is full is Linux's own")
@pytest.mark.parametrize(("words", "code"), [(["score", "none.jpg"], 3), (["score", "--what"], 2)])
def test_a_full_stderr_changes_no_exit_code(
    blurdm: Blurdm, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int
) -> None:
    with open("/dev/full", "w", buffering=1) as full:
        monkeypatch.setattr(sys, "stderr", full)
        assert blurdm(*words).code == code


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps a folder that is in use")
def test_a_current_folder_that_is_gone_is_said(
    blurdm: Blurdm, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert blurdm("score", photo).code == 0
    result = blurdm("score", "photo.jpg")
    assert (result.code, "folder no longer exists" in result.err) == (3, True)


def test_names_cannot_steer_the_terminal_nor_forge_a_line(capsys):
    name = "a\x1b[31m\nerror: forged\u202e\udcff.jpg"
    console.say(f"{name} is done")
    console.warn(name)
    console.report(InputError(f"{name} is missing", hint=name))
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 4
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert r"a\x1b[31m\nerror: forged\u202e\udcff.jpg" in said


def test_a_line_of_json_is_whole_in_any_encoding(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, "ascii"))
    row = {"input": "caf\u00e9 \U0001f338 \udcff.jpg"}
    console.print_line(json.dumps(row, ensure_ascii=False))
    assert json.loads(written.getvalue()) == row
