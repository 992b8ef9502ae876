"""Groups of nodes of a TensorFlow.js graph that ONNX has one operation for.

A group that is not recognised is converted node by node: slower, with the same result.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from blurdm_cli.importing.tfjs import GraphModel

BUILDS_MEAN = {"Reshape", "Mul", "RealDiv", "Sum"}
BUILDS_VARIANCE = BUILDS_MEAN | {"Maximum", "Sub", "Square"}

SCALAR: dict[str, Callable[..., float]] = {
    "AddV2": lambda a, b: a + b,
    "Mul": lambda a, b: a * b,
    "Square": lambda a: a * a,
    "Tanh": math.tanh,
}
"""Operations of a GELU."""

DEPTH = 12
"""Most nodes in a row within a group: in a damaged graph there may be circles."""


@dataclass(frozen=True)
class Fused:
    """One operation in place of a group of nodes."""

    op: str
    """Its name in ONNX."""
    input: str
    """The node whose output it takes."""
    parameters: tuple[str, ...] = ()
    """Constant nodes: scale, bias and epsilon of a layer norm, or the slope of a leaky ReLU."""


def find_fused(model: GraphModel) -> dict[str, Fused]:
    """Find the groups of a graph, by the name of their last node."""
    return _Groups(model).find()


class _Groups:
    def __init__(self, model: GraphModel) -> None:
        self.nodes, self.weights = model.nodes, model.weights
        self.known: dict[str, Callable[[str], Fused | None]] = {
            "AddV2": self.layer_norm,
            "Mul": self.gelu,
            "SelectV2": self.leaky_relu,
            "Reciprocal": self.sigmoid,
        }

    def find(self) -> dict[str, Fused]:
        found = {}
        for name, node in self.nodes.items():
            match = self.known.get(node.op)
            if match and (fused := match(name)):
                found[name] = fused
        return found

    def layer_norm(self, name: str) -> Fused | None:
        """(x − mean) · (rsqrt(variance + ε) · scale) + bias, over the last axis."""
        scaled, bias = self.inputs(name, "AddV2")
        centred, factor = self.inputs(scaled, "Mul")
        x, mean = self.inputs(centred, "Sub")
        root, scale = self.inputs(factor, "Mul")
        (shifted, _) = self.inputs(root, "Rsqrt", count=1)
        variance, epsilon = self.inputs(shifted, "AddV2")
        if not all(map(self.is_constant, (bias, scale, epsilon))):
            return None
        if not self.is_built(mean, x, BUILDS_MEAN) or not self.is_built(
            variance, x, BUILDS_VARIANCE
        ):
            return None
        return Fused("LayerNormalization", x, (scale, bias, epsilon))

    def gelu(self, name: str) -> Fused | None:
        """½x · (1 + tanh(√(2/π) · (x + 0.044715 x³)))."""
        half, _ = self.inputs(name, "Mul")
        _, x = self.inputs(half, "Mul")
        same = all(math.isclose(self.at(name, x, v), _gelu(v), rel_tol=1e-5) for v in (-0.7, 1.5))
        return Fused("Gelu", x) if same else None

    def leaky_relu(self, name: str) -> Fused | None:
        """X where x ≥ 0, else slope · x."""
        inputs = self.nodes[name].inputs
        if len(inputs) != 3:
            return None
        positive, x, negative = inputs
        compared, zero = self.inputs(positive, "GreaterEqual")
        slope, scaled = self.inputs(negative, "Mul")
        if not compared == scaled == x or not self.equals(zero, 0) or not self.is_constant(slope):
            return None
        return Fused("LeakyRelu", x, (slope,))

    def sigmoid(self, name: str) -> Fused | None:
        """1 / (1 + exp(−x))."""
        total, _ = self.inputs(name, "Reciprocal", count=1)
        one, power = self.inputs(total, "AddV2")
        negative, _ = self.inputs(power, "Exp", count=1)
        x, _ = self.inputs(negative, "Neg", count=1)
        return Fused("Sigmoid", x) if x and self.equals(one, 1) else None

    def inputs(self, name: str, op: str, count: int = 2) -> tuple[str, str]:
        """Inputs of a node, if it is of this kind; else empty names, which match nothing."""
        node = self.nodes.get(name)
        if node is None or node.op != op or len(node.inputs) != count:
            return "", ""
        return (*node.inputs, "")[:2] if count == 1 else node.inputs[:2]  # type: ignore[return-value]

    def is_constant(self, name: str) -> bool:
        return name in self.weights

    def equals(self, name: str, value: float) -> bool:
        """Whether a node is this constant."""
        array = self.weights.get(name)
        return (
            array is not None
            and array.size == 1
            and math.isclose(array.item(), value, rel_tol=1e-6)
        )

    def at(self, name: str, x: str, value: float, depth: int = DEPTH) -> float:
        """A node's output where that of `x` is this value; NaN if it depends on anything else."""
        if name == x:
            return value
        if self.is_constant(name):
            return float(self.weights[name].item()) if self.weights[name].size == 1 else math.nan
        node = self.nodes.get(name)
        if node is None or node.op not in SCALAR or not depth:
            return math.nan
        return SCALAR[node.op](*(self.at(each, x, value, depth - 1) for each in node.inputs))

    def is_built(self, name: str, x: str, ops: set[str], depth: int = DEPTH) -> bool:
        """Whether a node is computed from `x` and constants with these operations alone.

        Shapes, the second input of Reshape and Sum, do not count.
        """
        if name == x or self.is_constant(name):
            return name == x
        node = self.nodes.get(name)
        if node is None or node.op not in ops or not depth:
            return False
        values = node.inputs[:1] if node.op in ("Reshape", "Sum") else node.inputs
        rest = [value for value in values if not self.is_constant(value)]
        return bool(rest) and all(self.is_built(value, x, ops, depth - 1) for value in rest)


def _gelu(x: float) -> float:
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
