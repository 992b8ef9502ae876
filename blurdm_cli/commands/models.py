"""blurdm models: what is in the zoo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from blurdm_cli.commands.console import print_data, print_json

if TYPE_CHECKING:
    from blurdm_cli.zoo import Model

app = typer.Typer(no_args_is_help=True, help="Show the models that are installed.")

AsJson = Annotated[bool, typer.Option("--json", help="An array on stdout, one object a model.")]


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List all models."""
    from blurdm_cli import zoo

    found = [_facts(model) for model in zoo.every()]
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
            f"{facts['parameters']:,}",
            f"{facts['bytes'] / 1e6:.1f}",
            facts["licence"],
        )
    print_data(table)


@app.command()
def show(
    model: Annotated[str, typer.Argument(help="A model's name, or the path of its folder.")],
    as_json: AsJson = False,
) -> None:
    """Show one model: its facts, and its model card."""
    from blurdm_cli import zoo

    found = zoo.find(model)
    if as_json:
        print_json([_facts(found)])
        return
    from rich.markdown import Markdown

    for name, value in (_facts(found) | {"path": found.folder}).items():
        print_data(f"{name:<12}{value}")
    print_data(Markdown(found.card()))


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
