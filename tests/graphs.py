"""Small ONNX graphs that deblur, as other programs would write them."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

AMOUNT = 0.5
"""How much the graphs sharpen."""

BIAS = 0.03
"""What they add to values in 0..1: with values of a wrong range it shows."""


def sharpened(photo: np.ndarray) -> np.ndarray:
    """What the graphs make of a photo (height, width, 3) of values in 0..1."""
    padded = np.pad(photo, ((1, 1), (1, 1), (0, 0)))
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    mean = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9
    return photo + AMOUNT * (photo - mean) + BIAS


def write_graph(
    path: Path,
    *,
    layout: str = "nchw",
    given: tuple[float, float] = (0, 1),
    returned: tuple[float, float] | None = None,
    size: tuple[int, int] | None = None,
    batch: int | str = "n",
    multiple_of: int = 1,
    smallest: int = 1,
    kind: int = TensorProto.FLOAT,
    external: str = "",
) -> Path:
    """Write a graph that sharpens by a box of 3 x 3 pixels.

    Args:
        path: the file.
        layout: "nchw" or "nhwc".
        given: values of black and white in the input.
        returned: values of black and white in the output; None as in the input.
        size: height and width; None for any.
        batch: the first axis.
        multiple_of: sides have to be multiples of this.
        smallest: smallest side.
        kind: type of the input; the output has the same, or float if that is uint8.
        external: name of a file for the weights.
    """
    returned = returned or given
    kernel = np.zeros((3, 3, 3, 3), np.float32)
    for plane in range(3):
        kernel[plane, plane] = -AMOUNT / 9
        kernel[plane, plane, 1, 1] += 1 + AMOUNT
    constants = {
        "low": given[0],
        "span": given[1] - given[0],
        "black": returned[0],
        "scale": returned[1] - returned[0],
        "bias": BIAS,
        "zero": 0,
        "one": 1,
    }
    stored = {name: np.float32(value) for name, value in constants.items()} | {"kernel": kernel}
    nodes: list[Any] = []
    count = 0

    def then(op: str, *inputs: str, **facts: Any) -> None:
        nonlocal count
        last = f"v{count}" if count else "picture"
        count += 1
        nodes.append(helper.make_node(op, [last, *inputs], [f"v{count}"], **facts))

    then("Cast", to=TensorProto.FLOAT)
    if layout == "nhwc":
        then("Transpose", perm=[0, 3, 1, 2])
    then("Sub", "low")
    then("Div", "span")
    then("Clip", "zero", "one")
    if multiple_of > 1:
        then("SpaceToDepth", blocksize=multiple_of)
        then("DepthToSpace", blocksize=multiple_of)
    if smallest > 1:
        stored["wide"] = np.zeros((1, 3, smallest, smallest), np.float32)
        stored["narrow"] = np.zeros((1, 3, smallest, smallest), np.float32)
        before = f"v{count}"
        then("Conv", "wide")
        then("ConvTranspose", "narrow")
        then("Add", before)
    then("Conv", "kernel", pads=[1, 1, 1, 1])
    then("Add", "bias")
    then("Mul", "scale")
    then("Add", "black")
    if layout == "nhwc":
        then("Transpose", perm=[0, 2, 3, 1])
    out = TensorProto.FLOAT if kind == TensorProto.UINT8 else kind
    then("Cast", to=out)
    nodes[-1].output[0] = "sharp"
    sides: tuple[int | str, int | str] = size or ("h", "w")
    shape = [batch, 3, *sides] if layout == "nchw" else [batch, *sides, 3]
    graph = helper.make_graph(
        nodes,
        "sharpen",
        [helper.make_tensor_value_info("picture", kind, shape)],
        [helper.make_tensor_value_info("sharp", out, shape)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in stored.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    if external:
        onnx.save(made, path, save_as_external_data=True, location=external, size_threshold=100)
    else:
        onnx.save(made, path)
    return path
