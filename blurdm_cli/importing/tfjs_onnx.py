"""A TensorFlow.js graph model as an ONNX graph of one size.

Layer norms, GELUs, leaky ReLUs and sigmoids become single operations, convolutions of one pixel
become matrix products, and transpositions that undo each other disappear.
"""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import onnx

from blurdm_cli.errors import ModelError
from blurdm_cli.importing.onnx_builder import Builder, Shape, Value
from blurdm_cli.importing.tfjs import GraphModel, Node
from blurdm_cli.importing.tfjs_constants import Array, compute, slices, unknown
from blurdm_cli.importing.tfjs_fusions import Fused, find_fused

INPUT, OUTPUT = "blurred", "restored"
PLAIN = {
    "Abs": "Abs",
    "AddV2": "Add",
    "Exp": "Exp",
    "Floor": "Floor",
    "Greater": "Greater",
    "GreaterEqual": "GreaterOrEqual",
    "Less": "Less",
    "LessEqual": "LessOrEqual",
    "Maximum": "Max",
    "Minimum": "Min",
    "Mul": "Mul",
    "Neg": "Neg",
    "RealDiv": "Div",
    "Reciprocal": "Reciprocal",
    "SelectV2": "Where",
    "Sub": "Sub",
    "Tanh": "Tanh",
}
"""Elementwise operations, and their names in ONNX."""

TO_CHANNELS_FIRST = (0, 3, 1, 2)
TO_CHANNELS_LAST = (0, 2, 3, 1)


def convert(model: GraphModel, height: int, width: int, *, fuse: bool = True) -> onnx.ModelProto:
    """Convert a graph model that takes and returns a picture (1, height, width, 3).

    Args:
        model: the graph model.
        height: height of the picture in pixels.
        width: width of the picture in pixels.
        fuse: whether groups of nodes become single operations.

    Raises:
        ModelError: the graph has an operation that is not known, or does not take this size.
    """
    try:
        fused = find_fused(model) if fuse else {}
        return _Conversion(model, (1, height, width, 3), fused).run()
    except (KeyError, ValueError, IndexError, TypeError, ArithmeticError) as error:
        raise ModelError(
            f"The graph cannot be converted at {height}x{width} pixels: {error}",
            hint="Try --tile with a multiple of 64",
        ) from error


class _Conversion:
    """Walks through a graph from its input to its output, and builds the new graph."""

    def __init__(self, model: GraphModel, shape: Shape, fused: dict[str, Fused]) -> None:
        self.model, self.fused = model, fused
        self.constants: dict[str, Array] = {}
        self.build = Builder(INPUT, shape)
        self.values = {model.input: self.build.input}
        self.special: dict[str, Callable[[Node], Value]] = {
            "BroadcastTo": self.broadcast,
            "ConcatV2": self.concatenate,
            "Conv2D": self.convolve,
            "Conv2DBackpropInput": self.enlarge,
            "Einsum": self.contract,
            "GatherV2": self.gather,
            "Identity": lambda node: self.value(node.inputs[0]),
            "Reshape": lambda node: self.build.reshape(
                self.value(node.inputs[0]), self.constants[node.inputs[1]].tolist()
            ),
            "Rsqrt": self.inverse_root,
            "Square": lambda node: self.multiply(*[self.value(node.inputs[0])] * 2),
            "StridedSlice": self.slice,
            "Sum": self.sum,
            "Transpose": lambda node: self.build.transpose(
                self.value(node.inputs[0]), self.constants[node.inputs[1]].tolist()
            ),
        }

    def run(self) -> onnx.ModelProto:
        for node in self.in_order():
            self.take(node)
        if self.model.output not in self.values:
            raise ModelError("The graph's output does not depend on its input")
        return self.build.finish(self.value(self.model.output), OUTPUT)

    def in_order(self) -> Iterator[Node]:
        """The nodes that the output needs, each after its inputs."""
        done: set[str] = set()
        entered: set[str] = set()
        waiting = [(self.model.output, False)]
        while waiting:
            name, ready = waiting.pop()
            if name in done:
                continue
            if ready:
                done.add(name)
                yield self.model.nodes[name]
                continue
            if name in entered:
                raise ModelError(f"The graph is damaged: the node {name} depends on itself")
            entered.add(name)
            waiting.append((name, True))
            waiting += [(needed, False) for needed in self.needs(name) if needed not in done]

    def needs(self, name: str) -> Sequence[str]:
        """The nodes whose output a node takes, or the group of nodes that it ends."""
        fused = self.fused.get(name)
        return (fused.input, *fused.parameters) if fused else self.model.nodes[name].inputs

    def take(self, node: Node) -> None:
        """Convert one node, or compute it if its inputs are constants."""
        name, needed = node.name, self.needs(node.name)
        if name in self.values:
            return
        if node.op == "Const":
            self.constants[name] = self.model.weights[name]
        elif node.op == "Shape":
            self.constants[name] = np.array(self.value(node.inputs[0]).shape, np.int32)
        elif all(each in self.constants for each in needed):
            self.constants[name] = compute(node, [self.constants[each] for each in needed])
        elif name in self.fused:
            self.values[name] = self.fuse(self.fused[name])
        elif node.op in PLAIN:
            inputs = [self.value(each) for each in needed]
            shape = np.broadcast_shapes(*(each.shape for each in inputs))
            self.values[name] = self.build.add(PLAIN[node.op], inputs, shape)
        elif node.op in self.special:
            self.values[name] = self.special[node.op](node)
        else:
            raise unknown(node)

    def value(self, name: str) -> Value:
        """The output of a node; constants are stored in the new graph."""
        if name in self.values:
            return self.values[name]
        return self.build.store(self.constants[name])

    def fuse(self, fused: Fused) -> Value:
        x = self.value(fused.input)
        parameters = [self.constants[name] for name in fused.parameters]
        if fused.op == "LayerNormalization":
            *both, epsilon = parameters
            vectors = [
                self.build.store(np.broadcast_to(each.ravel(), x.shape[-1:])) for each in both
            ]
            return self.build.add(
                fused.op, [x, *vectors], x.shape, axis=-1, epsilon=float(epsilon.item())
            )
        if fused.op == "LeakyRelu":
            return self.build.add(fused.op, [x], x.shape, alpha=float(parameters[0].item()))
        facts = {"approximate": "tanh"} if fused.op == "Gelu" else {}
        return self.build.add(fused.op, [x], x.shape, **facts)

    def multiply(self, a: Value, b: Value) -> Value:
        return self.build.add("Mul", [a, b], a.shape)

    def inverse_root(self, node: Node) -> Value:
        x = self.value(node.inputs[0])
        return self.build.add("Reciprocal", [self.build.add("Sqrt", [x], x.shape)], x.shape)

    def broadcast(self, node: Node) -> Value:
        x, shape = self.value(node.inputs[0]), self.constants[node.inputs[1]].tolist()
        return (
            x
            if tuple(shape) == x.shape
            else self.build.add("Expand", [x, self.build.integers(shape)], shape)
        )

    def sum(self, node: Node) -> Value:
        x = self.value(node.inputs[0])
        axes = sorted(int(a) % len(x.shape) for a in np.atleast_1d(self.constants[node.inputs[1]]))
        keep = node.number("keep_dims")
        shape = [1 if a in axes else n for a, n in enumerate(x.shape) if keep or a not in axes]
        return self.build.add("ReduceSum", [x, self.build.integers(axes)], shape, keepdims=keep)

    def slice(self, node: Node) -> Value:
        x = self.value(node.inputs[0])
        bounds = slices(node, *(self.constants[each] for each in node.inputs[1:]))
        if node.number("shrink_axis_mask"):
            raise unknown(node)
        shape = [len(range(n)[each]) for n, each in zip(x.shape, bounds, strict=True)]
        wholes = map(range, x.shape)
        axes = [a for a, n in enumerate(wholes) if n[bounds[a]] != n]
        if not axes:
            return x
        parts = ([getattr(bounds[axis], end) for axis in axes] for end in ("start", "stop"))
        steps = [bounds[axis].step for axis in axes]
        return self.build.add("Slice", [x, *map(self.build.integers, (*parts, axes, steps))], shape)

    def concatenate(self, node: Node) -> Value:
        parts = [self.value(each) for each in node.inputs[:-1]]
        shape = list(parts[0].shape)
        axis = int(self.constants[node.inputs[-1]]) % len(shape)
        shape[axis] = sum(part.shape[axis] for part in parts)
        return self.build.add("Concat", parts, shape, axis=axis)

    def gather(self, node: Node) -> Value:
        x = self.value(node.inputs[0])
        places, axis = (self.constants[each] for each in node.inputs[1:])
        shape = list(x.shape)
        shape[int(axis) : int(axis) + 1] = places.shape
        return self.build.add(
            "Gather", [x, self.build.store(places.astype(np.int64))], shape, axis=int(axis)
        )

    def contract(self, node: Node) -> Value:
        """The product of a constant matrix and one axis of a tensor."""
        terms, result = node.text("equation").split("->")
        pairs = dict(zip(terms.split(","), node.inputs, strict=True))
        [(letters, weights)] = [(t, i) for t, i in pairs.items() if i in self.constants]
        [(axes, source)] = [(t, i) for t, i in pairs.items() if i not in self.constants]
        [inner] = set(letters) & set(axes)
        [outer] = set(letters) - {inner}
        if len(letters) != 2 or set(result) != set(axes) - {inner} | {outer}:
            raise unknown(node)
        matrix = self.constants[weights]
        matrix = matrix if letters == inner + outer else matrix.T
        x, place = self.value(source), axes.index(inner)
        shape = [*x.shape[:place], matrix.shape[1], *x.shape[place + 1 :]]
        if place == len(axes) - 1:
            made = self.build.add("MatMul", [x, self.build.store(matrix)], shape)
        else:
            flat = [*x.shape[: place + 1], math.prod(x.shape[place + 1 :])]
            product = [*flat[:-2], matrix.shape[1], flat[-1]]
            made = self.build.add(
                "MatMul", [self.build.store(matrix.T), self.build.reshape(x, flat)], product
            )
            made = self.build.reshape(made, shape)
        names = axes.replace(inner, outer)
        return self.build.transpose(made, [names.index(letter) for letter in result])

    def convolve(self, node: Node) -> Value:
        x, kernel = self.value(node.inputs[0]), self.constants[node.inputs[1]]
        rows, columns, _, planes = kernel.shape
        _, *strides, _ = node.numbers("strides")
        if set(node.numbers("dilations")) - {1}:
            raise unknown(node)
        if rows == columns == 1 and strides == [1, 1]:
            return self.build.add(
                "MatMul", [x, self.build.store(kernel[0, 0])], [*x.shape[:3], planes]
            )
        before, after, sides = [], [], []
        for side, extent, stride in zip(x.shape[1:3], (rows, columns), strides, strict=True):
            padded = node.text("padding") == "SAME"
            steps = -(-side // stride) if padded else (side - extent) // stride + 1
            lacking = max((steps - 1) * stride + extent - side, 0) if padded else 0
            before.append(lacking // 2)
            after.append(lacking - lacking // 2)
            sides.append(steps)
        made = self.build.add(
            "Conv",
            [
                self.build.transpose(x, TO_CHANNELS_FIRST),
                self.build.store(kernel.transpose(3, 2, 0, 1)),
            ],
            [x.shape[0], planes, *sides],
            strides=strides,
            pads=[*before, *after],
        )
        return self.build.transpose(made, TO_CHANNELS_LAST)

    def enlarge(self, node: Node) -> Value:
        """A transposed convolution whose steps are as wide as its kernel."""
        size, kernel = (self.constants[each] for each in node.inputs[:2])
        x, strides = self.value(node.inputs[2]), node.numbers("strides")[1:3]
        if node.text("padding") != "VALID" or list(kernel.shape[:2]) != strides:
            raise unknown(node)
        batch, height, width, planes = size.tolist()
        made = self.build.add(
            "ConvTranspose",
            [
                self.build.transpose(x, TO_CHANNELS_FIRST),
                self.build.store(kernel.transpose(3, 2, 0, 1)),
            ],
            [batch, planes, height, width],
            strides=strides,
        )
        return self.build.transpose(made, TO_CHANNELS_LAST)
