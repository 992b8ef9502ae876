"""Parts of a TensorFlow.js graph that do not depend on its input, computed with NumPy.

At a fixed size these are all shapes and indices: most of a graph's nodes.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from blurdm_cli.errors import ModelError
from blurdm_cli.importing.tfjs import Node

TYPES = {"DT_INT32": np.int32, "DT_FLOAT": np.float32, "DT_BOOL": np.bool_}

MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask")

Array = np.ndarray


def compute(node: Node, inputs: Sequence[Array]) -> Array:
    """The output of a node with constant inputs.

    Raises:
        ModelError: the operation is not known.
    """
    if node.op in ELEMENTWISE:
        return ELEMENTWISE[node.op](*inputs)
    if node.op in STRUCTURAL:
        return np.asarray(STRUCTURAL[node.op](node, *inputs))
    raise unknown(node)


def unknown(node: Node) -> ModelError:
    """The error for an operation that cannot be converted."""
    return ModelError(
        f"The graph uses the operation {node.op}, which blurdm does not convert",
        hint=f"It is in the node {node.name}; convert the original with tf2onnx instead",
    )


def slices(node: Node, begin: Array, end: Array, step: Array) -> tuple[slice, ...]:
    """The slices of a StridedSlice.

    Raises:
        ModelError: it has a mask that is not supported.
    """
    if any(map(node.number, MASKS)):
        raise unknown(node)
    return tuple(slice(*map(int, each)) for each in zip(begin, end, step, strict=True))


def _slice(node: Node, array: Array, *bounds: Array) -> Array:
    found = array[slices(node, *bounds)]
    shrunk = node.number("shrink_axis_mask")
    axes = tuple(axis for axis in range(found.ndim) if shrunk >> axis & 1)
    return np.squeeze(found, axes)


def _same_type(compute: Callable[..., Array]) -> Callable[..., Array]:
    """A function whose output has the type of its first input."""
    return lambda *arrays: compute(*arrays).astype(arrays[0].dtype)


ELEMENTWISE: Mapping[str, Callable[..., Array]] = {
    "Abs": np.abs,
    "AddV2": np.add,
    "Exp": np.exp,
    "Floor": np.floor,
    "FloorDiv": np.floor_divide,
    "FloorMod": np.mod,
    "Greater": np.greater,
    "GreaterEqual": np.greater_equal,
    "Identity": np.asarray,
    "Less": np.less,
    "LessEqual": np.less_equal,
    "LogicalAnd": np.logical_and,
    "Maximum": np.maximum,
    "Minimum": np.minimum,
    "Mul": np.multiply,
    "Neg": np.negative,
    "NotEqual": np.not_equal,
    "RealDiv": _same_type(np.true_divide),
    "Reciprocal": _same_type(lambda a: 1 / a),
    "Rsqrt": _same_type(lambda a: 1 / np.sqrt(a)),
    "SelectV2": np.where,
    "Sign": np.sign,
    "Square": np.square,
    "Sub": np.subtract,
    "Tanh": np.tanh,
}

STRUCTURAL: Mapping[str, Callable[..., Array]] = {
    "BroadcastTo": lambda _, a, shape: np.broadcast_to(a, tuple(shape)),
    "Cast": lambda node, a: a.astype(TYPES[node.attributes["DstT"]["type"]]),
    "ConcatV2": lambda _, *a: np.concatenate(a[:-1], int(a[-1])),
    "ExpandDims": lambda _, a, axis: np.expand_dims(a, int(axis)),
    "GatherV2": lambda _, a, places, axis: np.take(a, places, int(axis)),
    "Pack": lambda node, *a: np.stack(a, node.number("axis")),
    "Range": lambda _, begin, end, step: np.arange(begin, end, step, dtype=begin.dtype),
    "Reshape": lambda _, a, shape: a.reshape(shape),
    "Squeeze": lambda node, a: np.squeeze(a, tuple(node.numbers("squeeze_dims")) or None),
    "StridedSlice": _slice,
    "Sum": lambda node, a, axes: a.sum(
        tuple(np.atleast_1d(axes)), keepdims=bool(node.number("keep_dims"))
    ),
    "Transpose": lambda _, a, order: a.transpose(order),
}
