"""Conversion of an fp32 graph to one whose backbone computes in fp16.

Everything before the backbone stays in fp32, in particular the prior network with its spectrum.
It costs little, and the power of a spectrum exceeds the range of fp16.
"""

from collections.abc import Iterable

import onnx
from onnx import helper
from onnxconverter_common.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

from blurdm_cli.export.names import BACKBONE

SENSITIVE = ("ReduceMean", "CumSum", "Pow", "Sqrt", "Reciprocal", "Div")
"""Operations of a backbone that stay in fp32: norms, pooling and sums."""

UNTOUCHED = (*DEFAULT_OP_BLOCK_LIST, "ConstantOfShape")
"""Operations that the converter cannot convert. ConstantOfShape gives fp32 zeros by default."""


def halve(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Convert a graph; its inputs and its output stay in fp32.

    The converter sees only the backbone, with inputs in place of everything before it. Otherwise
    it might round to fp16 between two operations that it was told to leave in fp32.
    """
    whole = onnx.shape_inference.infer_shapes(graph).graph
    before, backbone = _split(whole)
    read = {name for node in before for name in node.input}
    constants = [tensor for tensor in whole.initializer if tensor.name in read]
    others = [tensor for tensor in whole.initializer if tensor.name not in read]
    values = {value.name: value for value in whole.value_info}
    for tensor in constants:
        name = tensor.name
        values[name] = helper.make_tensor_value_info(name, tensor.data_type, tensor.dims)
    made = {name for node in before for name in node.output}.union(t.name for t in constants)
    given = sorted(made.intersection(name for node in backbone for name in node.input))

    half = onnx.ModelProto()
    half.CopyFrom(graph)
    _fill(half.graph, [*whole.input, *(values[name] for name in given)], others, backbone)
    kept = [*UNTOUCHED, *SENSITIVE]
    half = convert_float_to_float16(half, keep_io_types=True, op_block_list=kept)
    joined = [*before, *half.graph.node]
    _fill(half.graph, whole.input, [*constants, *half.graph.initializer], joined)
    del half.graph.value_info[:]  # it lists all values as fp16
    return half


def _split(graph: onnx.GraphProto) -> tuple[list[onnx.NodeProto], list[onnx.NodeProto]]:
    """Split operations into those that use no parameter of the backbone, and the others."""
    reached = {tensor.name for tensor in graph.initializer if tensor.name.startswith(BACKBONE)}
    before, backbone = [], []
    for node in graph.node:
        if reached.isdisjoint(node.input):
            before.append(node)
        else:
            backbone.append(node)
            reached.update(node.output)
    return before, backbone


def _fill(
    graph: onnx.GraphProto,
    inputs: Iterable[onnx.ValueInfoProto],
    initializers: Iterable[onnx.TensorProto],
    nodes: Iterable[onnx.NodeProto],
) -> None:
    """Replace a graph's inputs, initializers and operations."""
    for field, entries in (
        (graph.input, list(inputs)),
        (graph.initializer, list(initializers)),
        (graph.node, list(nodes)),
    ):
        del field[:]
        field.extend(entries)
