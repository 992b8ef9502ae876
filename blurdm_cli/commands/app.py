"""The `blurdm` command: one module per subcommand, put together here."""

import os
import signal
import sys
from contextlib import nullcontext
from io import TextIOWrapper
from itertools import pairwise
from typing import Annotated

import typer

from blurdm_cli import __version__
from blurdm_cli.commands import export, models
from blurdm_cli.commands.bench import bench
from blurdm_cli.commands.compare import compare
from blurdm_cli.commands.console import print_data, report
from blurdm_cli.commands.deblur import deblur
from blurdm_cli.commands.doctor import doctor
from blurdm_cli.commands.ending import ending_in_time
from blurdm_cli.commands.evaluate import evaluate
from blurdm_cli.commands.motion import motion
from blurdm_cli.commands.score import score
from blurdm_cli.commands.synth import synth
from blurdm_cli.commands.train import train
from blurdm_cli.errors import BlurdmError, RuntimeMissing
from blurdm_cli.machine import tune_allocator

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
app.command()(deblur)
app.command()(compare)
app.command()(motion)
app.command()(score)
app.add_typer(models.app, name="models")
app.command()(train)
app.command("eval")(evaluate)
app.command()(synth)
app.add_typer(export.app, name="export")
app.command()(bench)
app.command()(doctor)


def _version(asked: bool) -> bool:
    if asked:
        print_data(f"blurdm {__version__}")
        raise typer.Exit
    return asked


@app.callback()
def blurdm(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Remove motion blur from photos."""


def _words(words: list[str]) -> list[str]:
    """The command line with values for options that may go without one: Typer knows none."""
    option, said = "--only-blurry", list[str]()
    for before, word in pairwise(["", *words]):
        if before == option and _is_score(word):
            said[-1] = f"{option}={word}"
        else:
            said.append(f"{option}=auto" if word == option else word)
    return said


def _is_score(word: str) -> bool:
    """Whether a word is a blur score, from 0 to 1, and not a file's name."""
    try:
        return 0 <= float(word) <= 1 and not os.path.exists(word)
    except ValueError:
        return False


def main() -> None:
    """Run the command line; a `BlurdmError` becomes one line, a hint and an exit code.

    A polite end (SIGTERM) is treated as an interruption (SIGINT). Training comes to its end in its
    own time: it keeps its state first.
    """
    tune_allocator()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be any bytes
    words = _words(sys.argv[1:])
    try:
        with nullcontext() if words[:1] == ["train"] else ending_in_time():
            app(words)
    except BlurdmError as error:
        sys.exit(report(error))
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        hint = "pip install 'blurdm-cli[train]'"
        sys.exit(report(RuntimeMissing("PyTorch is not installed", hint=hint)))
