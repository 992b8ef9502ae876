"""blurdm export onnx: export models as ONNX graphs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blurdm_cli.commands.console import hold_progress, say
from blurdm_cli.commands.export_options import (
    GraphPrecision,
    check_installed,
    check_networks,
    parse_size,
    photo_to_verify_with,
    print_agreements,
    read_8_bit,
)
from blurdm_cli.errors import InputError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from blurdm_cli.export.onnx import Options
    from blurdm_cli.zoo import Model

CALIBRATION_TILES = 64


def onnx(
    model: Annotated[str, typer.Argument(help="Name or folder of a model.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write.", show_default="MODEL.onnx"),
    ] = None,
    precision: Annotated[
        GraphPrecision,
        typer.Option(
            help="Numeric precision. fp16 keeps inputs, output, norms and the prior in fp32."
        ),
    ] = GraphPrecision.fp32,
    int8: Annotated[
        Path | None,
        typer.Option(help="Quantise to int8, calibrated with the blurred photos of this folder."),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="HxW",
            help="Fix the tile size in pixels, and the batch to 1.",
        ),
    ] = None,
    opset: Annotated[int, typer.Option(help="ONNX opset version.")] = 18,
    slim: Annotated[bool, typer.Option("--slim", help="Simplify the graph.")] = False,
    photo: Annotated[
        Path | None, typer.Option(help="Photo to verify with.", show_default="an example photo")
    ] = None,
    into_model: Annotated[
        bool,
        typer.Option(
            "--into-model",
            help="Write graph.onnx into the model's folder. It shares the folder's weights, and"
            " the model then runs without PyTorch.",
        ),
    ] = False,
) -> None:
    """Export a model as an ONNX graph, and verify that both give the same results.

    Inputs: blurred (n, 3, height, width), sRGB in [0, 1], and noise (n, prior channels) if the
    model has a prior. Output: restored.
    """
    if into_model and (output or int8 or size or precision != GraphPrecision.fp32):
        raise UsageError(
            "--into-model only writes one kind of graph", hint="Leave out the other options"
        )
    if int8 and precision != GraphPrecision.fp32:
        raise UsageError("A graph is int8 or fp16, not both", hint="Leave out --precision")
    fixed = parse_size(size)
    check_installed()
    from blurdm_cli import zoo
    from blurdm_cli.engine.candidates import with_candidates
    from blurdm_cli.export.onnx import Options
    from blurdm_cli.export.verify import middle

    found = zoo.find(model)
    check_networks(found)
    tiles = [middle(pixels, *fixed or (256, 256)) for pixels in _photos(int8)] if int8 else []
    if found.spec.candidates:
        tiles = [with_candidates(tile) for tile in tiles]
    options = Options("int8" if int8 else precision.value, fixed, opset, slim, tuple(tiles))
    target = found.folder / "new.onnx" if into_model else output or Path(f"{found.spec.name}.onnx")
    _publish(found, options, target, photo_to_verify_with(photo), into_model=into_model)
    say(f"{found.spec.name} -> {found.folder / zoo.GRAPH if into_model else target}")


def _publish(
    found: Model, options: Options, target: Path, photo: np.ndarray, *, into_model: bool
) -> None:
    """Make the graph, verify it, and move it to its path only if it passes."""
    import onnx as onnx_package

    from blurdm_cli import zoo
    from blurdm_cli.export.onnx import make_graph, share_weights
    from blurdm_cli.export.verify import verify
    from blurdm_cli.files.atomic import atomic_output

    with atomic_output(target) as part, hold_progress(target.name) as advance:
        graph = make_graph(found, options)
        advance(0.5, "verify")
        if into_model:
            graph = share_weights(graph, found)
        part.write_bytes(onnx_package.ModelProto.SerializeToString(graph))
        agreements = verify(found, part, photo, options.size)
    print_agreements(agreements)
    if into_model:
        zoo.add_graph(found, target)


def _photos(folder: Path) -> Iterator[np.ndarray]:
    from blurdm_cli.files.inputs import find_files

    found = find_files(folder)
    if not found:
        raise InputError(f"There is no photo in {folder}", hint="Choose another folder for --int8")
    step = max(len(found) // CALIBRATION_TILES, 1)
    return (read_8_bit(path) for path in found[::step][:CALIBRATION_TILES])
