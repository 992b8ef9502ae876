"""Builder of ONNX graphs: names, stored constants, and layouts that are changed only once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

OPSET = 20
"""The first version with Gelu."""

IR_VERSION = 9

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Value:
    """An output of a node of the new graph."""

    name: str
    shape: Shape
    order: Shape | None = None
    """For a transposition: the order of the axes of `source`."""
    source: "Value | None" = None
    """For a transposition or a new shape: what was transposed, or had another shape."""


class Builder:
    """A graph with one input and one output, both float32."""

    def __init__(self, name: str, shape: Shape) -> None:
        """Start a graph.

        Args:
            name: name of the input.
            shape: its shape.
        """
        self.input = Value(name, shape)
        self._nodes: list[onnx.NodeProto] = []
        self._stored: dict[str, onnx.TensorProto] = {}
        self._names: dict[tuple[str, Shape, bytes], str] = {}

    def finish(self, result: Value, name: str) -> onnx.ModelProto:
        """The graph that computes a value, which is the output of this name."""
        self._nodes.append(helper.make_node("Identity", [result.name], [name]))
        nodes, used = _needed(self._nodes, name)
        kind = onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            nodes,
            "graph",
            [helper.make_tensor_value_info(self.input.name, kind, self.input.shape)],
            [helper.make_tensor_value_info(name, kind, result.shape)],
            [tensor for each, tensor in self._stored.items() if each in used],
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        made.ir_version = IR_VERSION
        return made

    def store(self, array: np.ndarray) -> Value:
        """Store a constant; equal ones are stored once, and so is what repeats along an axis."""
        shape = array.shape
        array = array[tuple(slice(0, 1) if step == 0 else slice(None) for step in array.strides)]
        array = np.ascontiguousarray(array)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._names:
            self._names[key] = f"constant_{len(self._names)}"
            self._stored[self._names[key]] = numpy_helper.from_array(array, self._names[key])
        return Value(self._names[key], shape)

    def integers(self, numbers: Sequence[int]) -> Value:
        """Store a list of integers."""
        return self.store(np.array(numbers, np.int64))

    def add(self, op: str, inputs: Sequence[Value], shape: Sequence[int], **facts: Any) -> Value:
        """Add a node, and return its output."""
        name = f"value_{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, [each.name for each in inputs], [name], **facts))
        return Value(name, tuple(map(int, shape)))

    def transpose(self, x: Value, order: Sequence[int]) -> Value:
        """Change the order of axes."""
        if x.order and x.source:
            order = [x.order[axis] for axis in order]
            x = x.source
        if list(order) == sorted(order):
            return x
        shape = tuple(x.shape[axis] for axis in order)
        wide = [axis for axis in order if x.shape[axis] != 1]
        if wide == sorted(wide):
            return self.reshape(x, shape)
        made = self.add("Transpose", [x], shape, perm=list(order))
        return Value(made.name, shape, tuple(order), x)

    def reshape(self, x: Value, shape: Sequence[int]) -> Value:
        """Change the shape; one side may be -1."""
        known = math.prod(side for side in shape if side != -1)
        shape = tuple(math.prod(x.shape) // known if side == -1 else int(side) for side in shape)
        if x.source and not x.order:
            x = x.source
        if shape == x.shape:
            return x
        made = self.add("Reshape", [x, self.integers(shape)], shape)
        return Value(made.name, shape, source=x)


def _needed(nodes: Sequence[onnx.NodeProto], output: str) -> tuple[list[onnx.NodeProto], set[str]]:
    """The nodes that an output depends on, in their order, and the names of their inputs."""
    used, kept = {output}, []
    for node in reversed(nodes):
        if used.intersection(node.output):
            kept.append(node)
            used.update(node.input)
    return kept[::-1], used
