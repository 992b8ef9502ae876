"""What third-party graphs take and return is detected."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, load, save

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
    returned, one_by_one = kind.get("returned", given), kind.get("batch") == 1
    assert deblurrer.spec.graph == GraphSpec(
        "picture", "sharp", kind.get("layout", "nchw"), "rgb", given, returned, one_by_one
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


def written(
    folder: Path,
    *nodes: Any,
    inputs: int = 1,
    shape: Sequence[Any] = ("n", 3, "h", "w"),
    returned: Sequence[int] = (TensorProto.FLOAT,),
) -> str:
    """A graph of these nodes, with inputs x0, x1, … and outputs y0, y1, …"""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        list(nodes),
        "other",
        [value(f"x{number}", TensorProto.FLOAT, shape) for number in range(inputs)],
        [value(f"y{number}", kind, None) for number, kind in enumerate(returned)],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    save(made, folder / "other.onnx")
    return str(folder / "other.onnx")


IDENTITY = helper.make_node("Relu", ["x0"], ["y0"])

DOUBLE = helper.make_node("Cast", ["x0"], ["y0"], to=TensorProto.DOUBLE)


@pytest.mark.parametrize(
    ("nodes", "form", "said"),
    [
        (
            [helper.make_node("Add", ["x0", "x1"], ["y0"])],
            {"inputs": 2},
            r"does not take one picture.*x0: float \['n', 3, 'h', 'w'\], x1",
        ),
        ([IDENTITY], {"shape": ("n", "h", "w")}, "does not take one picture"),
        ([IDENTITY], {"shape": ("n", 4, "h", "w")}, "does not take one picture"),
        ([IDENTITY], {"shape": ("n", 1, "h", "w")}, "does not take one picture"),
        ([IDENTITY], {"shape": (4, 3, "h", "w")}, "only takes 4 pictures at a time"),
        ([IDENTITY], {"shape": (1, 3, 64, 1)}, "only takes 64x1 pixels"),
        ([DOUBLE], {"returned": [TensorProto.DOUBLE]}, "does not return a picture.*y0: double"),
        (
            [helper.make_node("GlobalAveragePool", ["x0"], ["y0"])],
            {},
            r"of the size.*y0 is \(1, 3, 1, 1\) for \(1, 3, 65, 67\)",
        ),
        ([helper.make_node("Neg", ["x0"], ["y0"])], {}, "whatever the range"),
        ([helper.make_node("Log", ["x0"], ["y0"])], {}, "whatever the range"),
    ],
)
def test_what_does_not_deblur_pictures_is_refused(
    nodes: list[Any], form: dict[str, Any], said: str, tmp_path: Path
) -> None:
    path = written(tmp_path, *nodes, **form)
    with pytest.raises(ModelError, match=said) as caught:
        open_runtime(path, "onnx", device="cpu")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("shape", "layout", "size"),
    [
        ((1, "c", 128, 96), "nchw", (128, 96)),
        ((1, 128, 96, "c"), "nhwc", (128, 96)),
        (("n", "c", "h", "w"), "nchw", None),
    ],
)
def test_channels_need_not_be_stated(
    shape: tuple[Any, ...], layout: str, size: tuple[int, int] | None, tmp_path: Path
) -> None:
    runtime, spec = open_runtime(written(tmp_path, IDENTITY, shape=shape), "onnx", device="cpu")
    assert spec.graph is not None
    assert (spec.graph.layout, runtime.fixed_size) == (layout, size)


def test_a_graph_that_takes_one_picture_at_a_time_gets_no_batches(tmp_path: Path) -> None:
    """Its shape allows batches, but a reshape in it does not."""
    path = written(
        tmp_path,
        helper.make_node("Constant", [], ["one"], value_ints=[1]),
        helper.make_node("Shape", ["x0"], ["sides"], start=1),
        helper.make_node("Concat", ["one", "sides"], ["shape"], axis=0),
        helper.make_node("Reshape", ["x0", "shape"], ["y0"]),
    )
    pixels = photo(70, 200)
    for runtime in ("onnx", "openvino"):
        deblurrer = Deblurrer.open(
            path, runtime=runtime, device="cpu", guard="off", tile=64, batch=3
        )
        assert psnr(deblurrer(pixels), pixels) > 60


def test_of_several_outputs_the_restored_picture_is_taken(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        helper.make_node("Cast", ["x0"], ["y0"], to=TensorProto.DOUBLE),
        helper.make_node("Sub", ["x0", "x0"], ["y1"]),
        helper.make_node("Relu", ["x0"], ["y2"]),
        returned=[TensorProto.DOUBLE, TensorProto.FLOAT, TensorProto.FLOAT],
    )
    deblurrer = Deblurrer.open(path, runtime="openvino", device="cpu", guard="off")
    assert deblurrer.spec.graph is not None
    assert deblurrer.spec.graph.output == "y2"
    pixels = photo(70, 90)
    assert psnr(deblurrer(pixels), pixels) > 60


def damaged(folder: Path, how: str) -> Path:
    path = write_graph(folder / "other.onnx", external="weights.bin")
    if how == "weights gone":
        (folder / "weights.bin").unlink()
    elif how == "weights short":
        (folder / "weights.bin").write_bytes(b"short")
    elif how == "format of the future":
        made = load(path)
        made.ir_version = 99
        save(made, path)
    elif how == "operations of others":
        written(folder, helper.make_node("Foo", ["x0"], ["y0"], domain="com.other"))
    else:
        path.write_bytes(b"not a graph")
    return path


@pytest.mark.parametrize(
    ("how", "said", "hint"),
    [
        ("weights gone", "does not exist", "beside it"),
        ("weights short", "Exception", "beside it"),
        ("format of the future", "max supported IR version", "Update ONNX Runtime"),
        ("operations of others", "com.other", "not part of ONNX"),
        ("no graph", "Protobuf parsing failed", "damaged"),
    ],
)
def test_a_damaged_graph_is_refused_in_one_line(
    how: str, said: str, hint: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        open_runtime(str(damaged(tmp_path, how)), "onnx", device="cpu")
    assert hint in str(caught.value.hint)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""  # ONNX Runtime writes there itself


def test_pytorch_does_not_run_the_graph_of_a_folder(tmp_path: Path) -> None:
    path = write_graph(tmp_path / "other.onnx")
    with pytest.raises(UsageError, match="cannot run an ONNX graph"):
        open_runtime(str(path), "torch")
