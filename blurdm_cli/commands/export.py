"""blurdm export: export models for other runtimes and programs."""

import typer

from blurdm_cli.commands.export_onnx import onnx
from blurdm_cli.commands.export_picture import picture

app = typer.Typer(no_args_is_help=True, help="Export models for other runtimes and programs.")
app.command()(onnx)
app.command()(picture)
