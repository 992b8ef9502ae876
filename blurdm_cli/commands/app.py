"""The `blurdm` command, assembled from one module per subcommand."""

import os
import shlex
import signal
import sys
from contextlib import AbstractContextManager, nullcontext, redirect_stderr
from io import TextIOWrapper
from mmap import mmap
from typing import Annotated, TextIO, cast

import typer

from blurdm_cli.commands import export, models
from blurdm_cli.commands.bench import bench
from blurdm_cli.commands.compare import compare
from blurdm_cli.commands.console import Stderr, print_data, report
from blurdm_cli.commands.deblur import deblur
from blurdm_cli.commands.doctor import doctor
from blurdm_cli.commands.ending import ending_in_time
from blurdm_cli.commands.evaluate import evaluate
from blurdm_cli.commands.motion import motion
from blurdm_cli.commands.score import score
from blurdm_cli.commands.serve import serve
from blurdm_cli.commands.synth import synth
from blurdm_cli.commands.train import train
from blurdm_cli.commands.watch import watch
from blurdm_cli.errors import BlurdmError, InputError, RuntimeMissing, UsageError
from blurdm_cli.machine import tune_allocator, within_memory
from blurdm_cli.version import __version__

RESERVE = 2**24
"""Bytes of addresses that are set free before an error is reported; no memory is behind them."""

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(deblur)
app.command()(compare)
app.command()(motion)
app.command()(score)
app.command()(serve)
app.command()(watch)
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
        typer.Option(
            "--version", "-v", callback=_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Remove motion blur from photos and videos."""


def _check_command(words: list[str]) -> None:
    """Suggest `blurdm deblur` if the first word is a file instead of a command.

    Raises:
        UsageError: it is a file.
    """
    first = words[0] if words else "-h"
    if first.startswith("-") or not os.path.exists(first):
        return
    if first not in typer.main.get_group(app).commands:
        raise UsageError(
            f"{first} is a file, not a command", hint=f"blurdm deblur {shlex.join(words)}"
        )


def main() -> None:
    """Run the command line; a `BlurdmError` becomes one line, a hint and an exit code.

    SIGTERM is treated as an interruption (SIGINT). Training and the server have no deadline to
    exit: they finish what they are doing first.
    """
    tune_allocator()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may hold any bytes
    talk = cast(TextIO, Stderr(sys.stderr)) if sys.stderr else None
    with redirect_stderr(talk):
        _run(sys.argv[1:])


def _run(words: list[str]) -> None:
    try:
        _check_command(words)
        with within_memory("The program"), mmap(-1, RESERVE), _surroundings(words[:1]):
            app(words)
    except BlurdmError as error:
        sys.exit(report(error))
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        hint = "pip install torch"
        sys.exit(report(RuntimeMissing("PyTorch is not installed", hint=hint)))
    except FileNotFoundError:
        if _current_folder_exists():
            raise
        hint = "Change to another folder: cd"
        sys.exit(report(InputError("The current folder no longer exists", hint=hint)))


def _surroundings(command: list[str]) -> AbstractContextManager[None]:
    """Give a command its surroundings: a deadline to exit, or the other processes of a training."""
    if command == ["train"] and "TORCHELASTIC_RUN_ID" in os.environ:
        from blurdm_cli.training.ranks import joined

        return joined()
    return nullcontext() if command in (["train"], ["serve"]) else ending_in_time()


def _current_folder_exists() -> bool:
    try:
        return bool(os.getcwd())
    except FileNotFoundError:
        return False
