"""The `blurdm` command: one module per subcommand, put together here."""

import sys

import typer

from blurdm_cli.commands.console import report
from blurdm_cli.commands.train import train
from blurdm_cli.errors import BlurdmError

app = typer.Typer(no_args_is_help=True, pretty_exceptions_show_locals=False)
app.command()(train)


@app.callback()
def blurdm() -> None:
    """Remove motion blur from photos."""


def main() -> None:
    """Run the command line; a `BlurdmError` becomes one line, a hint and an exit code."""
    try:
        app()
    except BlurdmError as error:
        sys.exit(report(error))
