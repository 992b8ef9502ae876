"""Export of a model to an ONNX graph: the same modules, traced.

    networks ── trace ── fp16 or int8, if requested ── metadata ── write beside the output
      ── verify ── move into place

The graph takes `blurred` (n, 3, h, w) and, with a prior, `noise` (n, c), and returns
`restored`. Padding, tiles and clipping are not part of it. The sampler's loop is unrolled.
"""

import json
import logging
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from jaxtyping import Float32
from onnx import TensorProto, helper, numpy_helper

from blurdm_cli.engine.graph import INPUTS, OUTPUT, describe
from blurdm_cli.errors import ModelError, UsageError
from blurdm_cli.export.fp16 import halve
from blurdm_cli.export.int8 import quantise
from blurdm_cli.networks.build import build
from blurdm_cli.zoo import Model

OPSETS = range(18, 24)
"""Below 18 PyTorch's exporter may write an invalid file without an error."""

DEFAULT_OPSET = 18


@dataclass(frozen=True)
class Options:
    """Export options."""

    precision: str = "fp32"
    """fp32, fp16 or int8."""
    size: tuple[int, int] | None = None
    """Fixed height and width in pixels, with a batch of 1; None leaves them free."""
    opset: int = DEFAULT_OPSET
    slim: bool = False
    """Simplify the graph with onnxslim."""
    calibration: Sequence[Float32[np.ndarray, "1 3 h w"]] = ()
    """Blurred tiles in [0, 1], for int8."""


def make_graph(model: Model, options: Options) -> onnx.ModelProto:
    """Trace a model.

    Raises:
        UsageError: the options contradict each other or the model.
        ModelError: the model cannot be read, or the exporter wrote an invalid graph.
    """
    check_options(model, options)
    graph = _trace(model, options)
    if options.slim:
        import onnxslim

        graph = onnxslim.slim(graph)
    if options.precision == "fp16":
        with silence():
            graph = halve(graph)
    if options.precision == "int8":
        graph = quantise(graph, options.calibration, model.spec.prior_channels)
    _clean(graph)
    helper.set_model_props(graph, describe(model.spec, options.precision))
    check(graph)
    return graph


def check(graph: onnx.ModelProto) -> None:
    """Check a graph's form.

    Raises:
        ModelError: it is invalid.
    """
    try:
        onnx.checker.check_model(graph, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError(f"The exporter wrote an invalid graph: {error}") from error


def share_weights(graph: onnx.ModelProto, model: Model) -> onnx.ModelProto:
    """Make a graph read its weights from the files of the model folder.

    A tensor that is stored there becomes a reference to the file, with a cast to fp32 if it is
    stored in another precision. Such a graph works only in that folder.
    """
    shared = onnx.ModelProto()
    shared.CopyFrom(graph)
    stored, casts = _stored(model), []
    for tensor in shared.graph.initializer:
        if tensor.name not in stored or tensor.data_type != TensorProto.FLOAT:
            continue
        file, begin, end, dtype, values = stored[tensor.name]
        if not np.array_equal(numpy_helper.to_array(tensor), values.astype(np.float32)):
            continue
        wanted = tensor.name
        if dtype != TensorProto.FLOAT:
            tensor.name = f"{wanted}.stored"
            casts.append(helper.make_node("Cast", [tensor.name], [wanted], to=TensorProto.FLOAT))
        tensor.ClearField("raw_data")
        tensor.data_type, tensor.data_location = dtype, TensorProto.EXTERNAL
        for key, value in (("location", file), ("offset", begin), ("length", end - begin)):
            tensor.external_data.add(key=key, value=str(value))
    nodes = [*casts, *shared.graph.node]
    del shared.graph.node[:]
    shared.graph.node.extend(nodes)
    return shared


def check_options(model: Model, options: Options) -> None:
    """Check that a model can be exported with these options.

    Raises:
        UsageError: it cannot.
    """
    multiple_of, prior = model.spec.multiple_of, model.spec.prior
    if prior.kind != "none" and prior.scope == "image":
        raise UsageError(
            f"The model {model.spec.name!r} takes one prior per photo; a graph sees single tiles",
            hint="Import it again with --prior-scope tile, and compare the two",
        )
    if options.opset not in OPSETS:
        raise UsageError(
            f"The opset {options.opset} is not supported",
            hint=f"Use {OPSETS[0]} to {OPSETS[-1]}; {DEFAULT_OPSET} works in most programs",
        )
    if options.size and any(side < 1 or side % multiple_of for side in options.size):
        height, width = (-(-max(side, 1) // multiple_of) * multiple_of for side in options.size)
        raise UsageError(
            f"The model {model.spec.name!r} takes sizes that are multiples of {multiple_of}",
            hint=f"Try --size {height}x{width}",
        )
    if options.precision == "int8" and not options.calibration:
        raise UsageError("int8 needs photos for calibration", hint="--int8 PHOTOS names a folder")


def _trace(model: Model, options: Options) -> onnx.ModelProto:
    spec = model.spec
    network = build(spec, model.weights()).eval().requires_grad_(False)
    height, width = options.size or (8 * spec.multiple_of, 10 * spec.multiple_of)
    count = 1 if options.size else 2
    given = [torch.rand(count, spec.planes, height, width)]
    if spec.prior_channels:
        given.append(torch.randn(count, spec.prior_channels))
    shapes: Any = None
    if not options.size:
        axes = ({0: "batch", 2: "height", 3: "width"}, {0: "batch"})
        shapes = dict(zip(INPUTS, axes[: len(given)], strict=False))
    ends = list(INPUTS[: len(given)]), [OUTPUT]
    return trace(network, tuple(given), ends, shapes, options.opset)


def trace(
    module: torch.nn.Module,
    given: tuple[torch.Tensor, ...],
    ends: tuple[list[str], list[str]],
    shapes: Any,
    opset: int,
) -> onnx.ModelProto:
    """Trace a module.

    Args:
        module: the module.
        given: its inputs.
        ends: names of the inputs and of the outputs.
        shapes: names of the axes that are free; see `torch.export.export`.
        opset: version of ONNX's operations.
    """
    inputs, outputs = ends
    with silence():
        program = torch.onnx.export(
            module,
            given,
            input_names=inputs,
            output_names=outputs,
            opset_version=opset,
            dynamic_shapes=shapes,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    graph = program.model_proto
    del graph.graph.value_info[:]  # inner shapes: some hold only for the traced size
    return graph


def _clean(graph: onnx.ModelProto) -> None:
    """Remove what tracing reveals of this machine: paths, and the names of Python objects."""
    graph.doc_string = ""
    graph.graph.doc_string = ""
    del graph.graph.metadata_props[:]
    for part in (graph.graph.node, graph.graph.initializer):
        for entry in part:
            entry.doc_string = ""
            del entry.metadata_props[:]
    for entry in (*graph.graph.input, *graph.graph.output):
        del entry.metadata_props[:]


def _stored(model: Model) -> dict[str, tuple[str, int, int, int, np.ndarray]]:
    """Locate each tensor in the weight files: file, first byte, end, ONNX type, values."""
    kinds = {"F16": TensorProto.FLOAT16, "F32": TensorProto.FLOAT}
    weights = model.weights()
    found: dict[str, tuple[str, int, int, int, np.ndarray]] = {}
    for file in model.shards:
        with (model.folder / file).open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(length))
        for name, entry in header.items():
            if name != "__metadata__" and entry["dtype"] in kinds:
                begin, end = (8 + length + offset for offset in entry["data_offsets"])
                found[name] = (file, begin, end, kinds[entry["dtype"]], weights[name])
    return found


@contextmanager
def silence() -> Iterator[None]:
    """Suppress the exporter's messages about PyTorch's internals."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logger.setLevel(level)
