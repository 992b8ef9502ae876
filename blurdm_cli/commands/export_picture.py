"""blurdm export picture: export models as graphs that take and return pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blurdm_cli.commands.console import hold_progress, say, warn
from blurdm_cli.commands.export_options import (
    GraphPrecision,
    check_installed,
    check_networks,
    parse_size,
    photo_to_verify_with,
    print_agreements,
)
from blurdm_cli.commands.options import check_output
from blurdm_cli.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from blurdm_cli.export.onnx import Options
    from blurdm_cli.zoo import Model


NEEDED: dict[str, tuple[str, ...]] = {
    ".onnx": (),
    ".xml": ("openvino",),
    ".mlpackage": ("coremltools",),
    ".dtmodel": (),
}
"""Packages that each kind of file needs."""

COREML_SIZE = (512, 512)


def picture(
    model: Annotated[str, typer.Argument(help="Name or folder of a model.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="File to write: .onnx, .xml (OpenVINO, with a .bin beside it), .mlpackage"
            " (Core ML) or .dtmodel (darktable).",
            show_default="MODEL-picture.onnx",
        ),
    ] = None,
    precision: Annotated[
        GraphPrecision,
        typer.Option(help="Numeric precision; fp32 for .mlpackage."),
    ] = GraphPrecision.fp32,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="HxW",
            help="Fix the size in pixels; a .mlpackage always has one.",
            show_default="any size; 512x512 for .mlpackage",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Seed of the diffusion noise, which is part of the graph.")
    ] = 0,
    opset: Annotated[int, typer.Option(help="ONNX opset version.")] = 18,
    photo: Annotated[
        Path | None, typer.Option(help="Photo to verify with.", show_default="an example photo")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an output that exists.")
    ] = False,
) -> None:
    """Export a model as a graph for other programs: picture in, picture out.

    Input and output: (n, 3, height, width), RGB, sRGB in [0, 1]; images of 8 bits for Core ML. The
    graph does not estimate the motion of a photo: it gives what `blurdm deblur --motion off` gives.
    """
    from blurdm_cli import zoo
    from blurdm_cli.engine.option_checks import check_seed
    from blurdm_cli.export.onnx import Options

    fixed = parse_size(size)
    check_seed(seed)
    kind = output.suffix.lower() if output else ".onnx"
    if kind not in NEEDED:
        raise UsageError(f"{output} has none of the suffixes {', '.join(NEEDED)}")
    if kind == ".mlpackage" and precision != GraphPrecision.fp32:
        raise UsageError("Core ML packages are fp32", hint="Leave out --precision")
    if kind == ".dtmodel" and fixed and fixed[0] != fixed[1]:
        raise UsageError("darktable's tiles are squares", hint=f"Try --size {fixed[0]}x{fixed[0]}")
    check_installed(*NEEDED[kind])
    found = zoo.find(model)
    check_networks(found)
    target = output or Path(f"{found.spec.name}-picture.onnx")
    for file in _files(target):
        check_output(file, (), overwrite, instead="--output")
    options = Options(precision.value, fixed, opset)
    if kind == ".mlpackage":
        _publish_coreml(found, target, fixed or COREML_SIZE, seed)
    else:
        _publish(found, options, target, photo_to_verify_with(photo), seed)
    say(f"{found.spec.name} -> {target}")


def _publish(found: Model, options: Options, target: Path, photo: np.ndarray, seed: int) -> None:
    """Make the graph of pictures, verify it, and move it to its path only if it passes."""
    from tempfile import TemporaryDirectory

    import onnx as onnx_package

    from blurdm_cli.export.picture import make_picture_graph
    from blurdm_cli.export.verify_picture import verify_picture
    from blurdm_cli.files.atomic import atomic_output

    with TemporaryDirectory() as folder, hold_progress(target.name) as advance:
        made = Path(folder) / "graph.onnx"
        onnx_package.save(make_picture_graph(found, options, seed), made)
        if target.suffix.lower() == ".xml":
            made = _as_openvino(made)
        advance(0.5, "verify")
        agreements = verify_picture(found, made, photo, options.precision, options.size, seed)
        if target.suffix.lower() == ".dtmodel":
            made = _as_darktable(found, made, options.size)
        for file in _files(target):
            with atomic_output(file) as part:
                part.write_bytes(made.with_suffix(file.suffix.lower()).read_bytes())
    print_agreements(agreements)


def _files(target: Path) -> list[Path]:
    """The files of a graph; OpenVINO's .xml has its weights in a .bin."""
    is_openvino = target.suffix.lower() == ".xml"
    return [target.with_suffix(".bin"), target] if is_openvino else [target]


def _as_openvino(graph: Path) -> Path:
    """Convert a graph to OpenVINO's files, .xml and .bin, beside it, and return the .xml."""
    import openvino as ov

    from blurdm_cli.engine.openvino_runtime import core

    ov.save_model(core().read_model(graph), graph.with_suffix(".xml"), compress_to_fp16=False)
    return graph.with_suffix(".xml")


def _as_darktable(found: Model, graph: Path, size: tuple[int, int] | None) -> Path:
    """Write a package of darktable beside a graph, and return it."""
    from blurdm_cli.export.darktable import write_package

    package = graph.with_suffix(".dtmodel")
    write_package(package, graph, found.spec, size)
    return package


def _publish_coreml(found: Model, target: Path, size: tuple[int, int], seed: int) -> None:
    """Write a package of Core ML beside its path, and move it there when it is complete."""
    import shutil
    from contextlib import redirect_stderr
    from io import StringIO

    from blurdm_cli.files.atomic import output_error

    with hold_progress(target.name), redirect_stderr(StringIO()):  # coremltools draws bars
        from blurdm_cli.export.coreml import write_coreml

        part = target.with_name(f".{target.stem}.part.mlpackage")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_coreml(found, part, size, seed)
            if target.exists():
                shutil.rmtree(target)
            part.rename(target)
        except OSError as error:
            raise output_error(target, error) from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
    warn("Not verified: Core ML runs on macOS only")
