"""blurdm models: list, show and import models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from blurdm_cli.commands.console import print_data, print_json, warn
from blurdm_cli.commands.import_model import import_model
from blurdm_cli.errors import ModelError

if TYPE_CHECKING:
    from blurdm_cli.zoo import Model

app = typer.Typer(no_args_is_help=True, help="List, show and import models.")


app.command("import")(import_model)

AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON array, one object per model.")]


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List all models."""
    from blurdm_cli import zoo

    found = []
    for folder in zoo.every():
        try:
            found.append(_facts(zoo.find(str(folder))))
        except ModelError as error:
            warn(str(error))
    if as_json:
        print_json(found)
        return
    from rich.table import Table

    table = Table("model", "backbone", "prior", "parameters", "MB", "licence")
    for facts in found:
        table.add_row(
            facts["name"] + (" (default)" if facts["default"] else ""),
            facts["backbone"],
            facts["prior"],
            _count(facts["parameters"]),
            f"{facts['bytes'] / 1e6:.1f}",
            facts["licence"],
        )
    print_data(table)


@app.command()
def show(
    model: Annotated[str, typer.Argument(help="Name or folder of a model.")],
    as_json: AsJson = False,
) -> None:
    """Show one model: facts and model card."""
    from blurdm_cli import zoo

    found = zoo.find(model)
    if as_json:
        print_json([_facts(found)])
        return
    from rich.markdown import Markdown

    facts = _facts(found)
    said = {"parameters": _count(facts["parameters"]), "path": found.folder}
    for name, value in (facts | said).items():
        print_data(f"{name:<12}{value}")
    print_data(Markdown(found.card()))


def _count(parameters: int) -> str:
    """The number of parameters, for people."""
    return f"{parameters:,}" if parameters else "in the graph"


def _facts(model: Model) -> dict[str, Any]:
    from blurdm_cli.zoo import DEFAULT

    spec = model.spec
    return {
        "name": spec.name,
        "default": spec.name == DEFAULT,
        "backbone": spec.backbone.kind,
        "prior": spec.prior.kind,
        "parameters": model.parameters,
        "bytes": model.size_bytes,
        "licence": spec.licence,
    }
