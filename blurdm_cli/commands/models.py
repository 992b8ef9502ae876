"""blurdm models: list, show and import models."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from blurdm_cli.commands.console import print_data, print_json, say, warn
from blurdm_cli.errors import ModelError, UsageError

if TYPE_CHECKING:
    from blurdm_cli.zoo import Model

app = typer.Typer(no_args_is_help=True, help="List, show and import models.")


class Scope(StrEnum):
    """Region that one prior covers."""

    tile = "tile"
    region = "region"
    image = "image"


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
            f"{facts['parameters']:,}",
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

    for name, value in (_facts(found) | {"path": found.folder}).items():
        print_data(f"{name:<12}{value}")
    print_data(Markdown(found.card()))


@app.command("import")
def import_model(
    files: Annotated[
        list[Path],
        typer.Argument(help="Checkpoint of the backbone: .pth, .pkl, .ckpt or .safetensors."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the new model.")],
    backbone: Annotated[
        str | None,
        typer.Option(
            help="mimo_unet, stripformer, fftformer, loformer or nafnet.",
            show_default="the one that fits",
        ),
    ] = None,
    prior: Annotated[
        Path | None, typer.Option(help="BlurDM checkpoint, if the backbone was trained with one.")
    ] = None,
    prior_scope: Annotated[
        Scope | None,
        typer.Option(
            help="One prior per tile, per region of 384 pixels, or per photo (as in the paper)."
        ),
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="Size of the backbone.", show_default="the one that fits")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the new model.", show_default="the folder's name")
    ] = None,
    licence: Annotated[str, typer.Option(help="Licence of the weights.")] = "unknown",
) -> None:
    """Convert a checkpoint from a backbone's authors into a model folder.

    No code in the checkpoint is run: a checkpoint that holds anything but tensors is refused.
    """
    from blurdm_cli import importing, zoo

    if output.exists():
        raise UsageError(f"{output} exists already", hint="Choose another --output")
    spec, weights = importing.import_model(
        files,
        backbone,
        name=name or output.name,
        prior_file=prior,
        size=size,
        scope=prior_scope.value if prior_scope else None,
        licence=licence,
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    model = zoo.write(output, spec, weights, importing.card(spec))
    count = sum(array.size for array in weights.values())
    say(f"{model.folder}: {spec.backbone.kind}, prior {spec.prior.kind}, {count:,} parameters")
    say(f"try it: blurdm deblur PHOTO --model {model.folder}")


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
