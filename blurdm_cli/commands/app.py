"""The `blurdm` command: one module per subcommand, put together here."""

import signal
import sys
from typing import Annotated

import typer

from blurdm_cli import __version__
from blurdm_cli.commands import export, models
from blurdm_cli.commands.bench import bench
from blurdm_cli.commands.compare import compare
from blurdm_cli.commands.console import print_data, report
from blurdm_cli.commands.deblur import deblur
from blurdm_cli.commands.doctor import doctor
from blurdm_cli.commands.evaluate import evaluate
from blurdm_cli.commands.score import score
from blurdm_cli.commands.synth import synth
from blurdm_cli.commands.train import train
from blurdm_cli.errors import BlurdmError
from blurdm_cli.memory import keep_freed

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
app.command()(deblur)
app.command()(compare)
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
    return ["--only-blurry=auto" if word == "--only-blurry" else word for word in words]


def main() -> None:
    """Run the command line; a `BlurdmError` becomes one line, a hint and an exit code.

    A polite end (SIGTERM) is treated as an interruption (SIGINT).
    """
    keep_freed()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app(_words(sys.argv[1:]))
    except BlurdmError as error:
        sys.exit(report(error))
