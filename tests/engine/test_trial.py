"""What graphs of others take and return is found by trying."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, save

from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.engine.foreign import describe
from blurdm_cli.engine.opening import open_runtime
from blurdm_cli.engine.scene import psnr, scene
from blurdm_cli.errors import ModelError, UsageError
from blurdm_cli.spec import GraphSpec
from tests.graphs import sharpened, write_graph


def photo(height: int, width: int) -> np.ndarray:
    values = scene(height, width)[1][0].transpose(1, 2, 0)
    return np.ascontiguousarray(0.1 + 0.8 * values)  # the graphs' results are not clipped


KINDS: list[tuple[str, dict[str, Any]]] = [
    ("onnx", {}),
    ("onnx", {"layout": "nhwc", "multiple_of": 8}),
    ("openvino", {"given": (-1, 1)}),
    ("onnx", {"given": (-1, 1), "returned": (0, 1), "layout": "nhwc"}),
    ("onnx", {"given": (0, 255), "multiple_of": 32}),
    ("openvino", {"given": (0, 255), "returned": (0, 1), "batch": 1}),
    ("openvino", {"size": (128, 96), "layout": "nhwc", "given": (-1, 1), "batch": 1}),
    ("onnx", {"size": (128, 128)}),
    ("onnx", {"given": (0, 255), "kind": TensorProto.UINT8}),
    ("onnx", {"kind": TensorProto.FLOAT16}),
]


@pytest.mark.parametrize(("runtime", "kind"), KINDS, ids=str)
def test_every_kind_of_graph_is_understood(
    runtime: str, kind: dict[str, Any], tmp_path: Path
) -> None:
    path = str(write_graph(tmp_path / "other.onnx", **kind))
    given = kind.get("given", (0, 1))
    tile = {} if kind.get("size") else {"tile": 128, "halo": 16, "batch": 2}
    deblurrer = Deblurrer.open(path, runtime=runtime, device="cpu", guard="off", **tile)
    assert deblurrer.spec.graph == GraphSpec(
        "picture", "sharp", kind.get("layout", "nchw"), "rgb", given, kind.get("returned", given)
    )
    assert deblurrer.spec.multiple_of == kind.get("multiple_of", 1)
    assert deblurrer.runtime.fixed_size == kind.get("size")
    pixels = photo(150, 200)
    assert psnr(deblurrer(pixels)[1:-1, 1:-1], sharpened(pixels)[1:-1, 1:-1]) > 55


def test_the_facts_are_said_in_one_line(tmp_path: Path) -> None:
    path = write_graph(tmp_path / "other.onnx", layout="nhwc", given=(-1, 1), multiple_of=16)
    runtime, spec = open_runtime(str(path), "onnx", device="cpu")
    said = describe(spec, runtime.fixed_size)
    assert "\n" not in said
    assert all(words in said for words in ("NHWC", "RGB", "-1..1", "multiples of 16", "mirror"))


def test_a_photo_smaller_than_a_graph_takes_is_padded(tmp_path: Path) -> None:
    path = write_graph(tmp_path / "other.onnx", smallest=9)
    deblurrer = Deblurrer.open(str(path), runtime="onnx", device="cpu", guard="off")
    assert deblurrer.spec.smallest == 16
    for height, width in ((1, 1), (7, 600)):
        assert deblurrer(photo(height, width)).shape == (height, width, 3)


def refused(tmp_path: Path, *nodes: Any, inputs: int = 1, sides: tuple[int, ...] = (3,)) -> str:
    value = helper.make_tensor_value_info
    names = [f"x{number}" for number in range(inputs)]
    shape = ["n", *sides, "h", "w"]
    graph = helper.make_graph(
        list(nodes),
        "other",
        [value(name, TensorProto.FLOAT, shape) for name in names],
        [value("y", TensorProto.FLOAT, None)],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    save(made, tmp_path / "other.onnx")
    with pytest.raises(ModelError) as caught:
        open_runtime(str(tmp_path / "other.onnx"), "onnx", device="cpu")
    assert caught.value.hint
    return str(caught.value)


def test_what_does_not_deblur_pictures_is_refused(tmp_path: Path) -> None:
    node = helper.make_node
    two = refused(tmp_path, node("Add", ["x0", "x1"], ["y"]), inputs=2)
    assert "x0: float ['n', 3, 'h', 'w'], x1" in two
    assert "does not take one picture" in refused(tmp_path, node("Relu", ["x0"], ["y"]), sides=())
    assert "of the size" in refused(tmp_path, node("GlobalAveragePool", ["x0"], ["y"]))
    assert "of the size" in refused(tmp_path, node("Relu", ["x0"], ["y"]), sides=(4,))
    assert "whatever the range" in refused(tmp_path, node("Neg", ["x0"], ["y"]))


def test_pytorch_does_not_run_the_graph_of_a_folder(tmp_path: Path) -> None:
    path = write_graph(tmp_path / "other.onnx")
    with pytest.raises(UsageError, match="cannot run an ONNX graph"):
        open_runtime(str(path), "torch")
