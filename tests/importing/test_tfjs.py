"""TensorFlow.js graph models as ONNX graphs."""

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from blurdm_cli.engine.trial import StatedFacts
from blurdm_cli.errors import ModelError, UsageError
from blurdm_cli.importing.graphs import import_tfjs
from blurdm_cli.importing.tfjs import read_package
from blurdm_cli.importing.tfjs_onnx import convert
from tests.importing.topology import NAME, PLANES, Topology, graph_model, integers, packed, text

SIDE = 64


@pytest.fixture
def topology() -> Topology:
    """X sharpened, plus 0.01 · gelu(W · layer norm of x): with shapes that the graph computes."""
    made = Topology()
    made.nodes.append({"name": "x", "op": "Placeholder", "attr": {}})
    ends = [made.constant([value], np.int32) for value in (0, 3, 1)]
    shape = made.add("Shape", "x")
    part = made.add("StridedSlice", shape, *ends)
    wide = made.add("ConcatV2", part, made.constant([1], np.int32), made.constant(0, np.int32))
    mean = made.mean("x", wide)
    squares = made.mean(made.add("Square", "x"), wide)
    variance = made.add("Sub", squares, made.add("Square", mean))
    root = made.add("Rsqrt", made.add("AddV2", variance, made.constant(1e-3)))
    scale, bias = made.constant([1.0, 2.0, 3.0]), made.constant([0.1, 0.0, -0.1])
    centred = made.add("Mul", made.add("Sub", "x", mean), made.add("Mul", root, scale))
    normed = made.add("AddV2", centred, bias)
    matrix = made.constant([[1, 0, 2], [0, 1, 0], [-1, 0, 1]])
    mixed = made.add("Einsum", normed, matrix, equation=text("abcg,gf->abcf"))
    cube = made.add(
        "Mul", made.add("Mul", made.constant(0.044715), mixed), made.add("Square", mixed)
    )
    curve = made.add("Mul", made.constant(math.sqrt(2 / math.pi)), made.add("AddV2", mixed, cube))
    gate = made.add("AddV2", made.constant(1), made.add("Tanh", curve))
    gelu = made.add("Mul", made.add("Mul", made.constant(0.5), mixed), gate)
    kernel = np.zeros((3, 3, PLANES, PLANES))
    kernel[:, :, range(PLANES), range(PLANES)] = -1 / 16
    kernel[1, 1, range(PLANES), range(PLANES)] += 25 / 16
    strides = {"strides": integers(1, 1, 1, 1), "dilations": integers(1, 1, 1, 1)}
    sharp = made.add("Conv2D", "x", made.constant(kernel), padding=text("SAME"), **strides)
    made.add("AddV2", sharp, made.add("Mul", gelu, made.constant(0.01)))
    return made


def expected(x: np.ndarray) -> np.ndarray:
    """What the graph computes."""
    x = x.astype(np.float64)
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    normed = (x - mean) / np.sqrt(variance + 1e-3) * [1, 2, 3] + [0.1, 0, -0.1]
    mixed = normed @ [[1, 0, 2], [0, 1, 0], [-1, 0, 1]]
    gelu = mixed / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (mixed + 0.044715 * mixed**3)))
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    _, height, width, _ = x.shape
    around = sum(
        padded[:, row : row + height, column : column + width]
        for row in range(3)
        for column in range(3)
    )
    return 25 / 16 * x - around / 16 + 0.01 * gelu


def test_a_graph_computes_what_it_computed(topology: Topology, tmp_path: Path) -> None:
    model = graph_model(topology, tmp_path)
    x = np.random.default_rng(0).random((1, 24, 32, 3), np.float32)
    counts = []
    for fuse in (True, False):
        made = convert(model, 24, 32, fuse=fuse)
        session = ort.InferenceSession(made.SerializeToString())
        (found,) = session.run(None, {"blurred": x})
        assert np.abs(found - expected(x)).max() < 1e-5
        counts.append(Counter(node.op_type for node in made.graph.node))
    fused, plain = counts
    assert (fused["LayerNormalization"], fused["Gelu"], fused["MatMul"]) == (1, 1, 1)
    assert not {"Tanh", "ReduceSum", "Sqrt"} & fused.keys()
    assert plain["Tanh"] == 1
    assert plain["ReduceSum"] == 2


@pytest.mark.parametrize(
    ("equation", "left"),
    [("abcg,gf->abcf", False), ("abgd,gf->abdf", False), ("gb,cgef->bcef", True)],
)
def test_products_along_any_axis(equation: str, left: bool, tmp_path: Path) -> None:
    made = Topology()
    made.nodes.append({"name": "x", "op": "Placeholder", "attr": {}})
    shape = (1, 6, 4, 3)
    extent = shape[equation.split("->")[0].split(",")[left].index("g")]
    matrix = np.random.default_rng(0).standard_normal((extent, 5)).astype(np.float32)
    name = made.constant(matrix)
    inputs = (name, "x") if left else ("x", name)
    made.add("Einsum", *inputs, equation=text(equation))
    x = np.random.default_rng(1).random(shape, np.float32)
    session = ort.InferenceSession(convert(graph_model(made, tmp_path), 6, 4).SerializeToString())
    (found,) = session.run(None, {"blurred": x})
    np.testing.assert_allclose(
        found, np.einsum(equation, *([matrix, x] if left else [x, matrix])), atol=1e-5
    )


def test_convolutions_that_change_the_size(tmp_path: Path) -> None:
    """With a step of 2 down, then up: each pixel of a 2 x 2 block becomes the block's mean."""
    made = Topology()
    made.nodes.append({"name": "x", "op": "Placeholder", "attr": {}})
    kernel = np.zeros((2, 2, PLANES, PLANES))
    kernel[:, :, range(PLANES), range(PLANES)] = 1
    strides = {"strides": integers(1, 2, 2, 1), "padding": text("VALID")}
    half = made.add("Conv2D", "x", made.constant(kernel / 4), **strides)
    size = made.constant([1, 8, 12, 3], np.int32)
    made.add("Conv2DBackpropInput", size, made.constant(kernel), half, **strides)
    x = np.random.default_rng(1).random((1, 8, 12, 3), np.float32)
    session = ort.InferenceSession(convert(graph_model(made, tmp_path), 8, 12).SerializeToString())
    (found,) = session.run(None, {"blurred": x})
    means = x.reshape(1, 4, 2, 6, 2, 3).mean((2, 4), keepdims=True)
    np.testing.assert_allclose(
        found, np.broadcast_to(means, (1, 4, 2, 6, 2, 3)).reshape(x.shape), atol=1e-6
    )


def test_a_package_becomes_a_model_with_both_notices(topology: Topology, tmp_path: Path) -> None:
    path = packed(tmp_path, topology.files())
    made = import_tfjs(path, name="maxim", stated=StatedFacts(tile=SIDE))
    assert made.spec.graph is not None
    assert made.spec.graph.layout == "nhwc"
    assert (made.spec.tile, made.spec.halo) == (SIDE, SIDE // 8)
    assert made.spec.licence == "MIT (package), Apache-2.0 (weights)"
    assert made.others["LICENSE"] == b"MIT License"
    assert b"Copyright 2022 Google LLC" in made.others["NOTICE"]
    session = ort.InferenceSession(made.others["graph.onnx"])
    assert session.get_inputs()[0].shape == [1, SIDE, SIDE, 3]


def test_a_folder_is_read_too(topology: Topology, tmp_path: Path) -> None:
    for name, data in topology.files().items():
        path = tmp_path / Path(name).name
        path.write_bytes(data)
    whole = read_package(tmp_path)
    assert whole.name == NAME
    assert read_package(tmp_path / "model.json").model.weights.keys() == topology.weights.keys()


@pytest.mark.parametrize("name", ["package/LICENSE.md", "package/licence.txt"])
def test_a_licence_with_an_ending_is_kept(name: str, topology: Topology, tmp_path: Path) -> None:
    files = topology.files()
    files[name] = files.pop("package/LICENSE")
    files |= {"package/node_modules/x/LICENSE": b"of something else", "package/license.js": b"1"}
    assert read_package(packed(tmp_path, files)).licence_text == b"MIT License"


def test_one_of_several_models_has_to_be_named(topology: Topology, tmp_path: Path) -> None:
    files = topology.files()
    files["package/models/x2/model.json"] = files["package/models/model.json"]
    with pytest.raises(ModelError, match=r"several models: .*models/x2/model\.json"):
        read_package(packed(tmp_path, files))
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    with pytest.raises(ModelError, match="several models"):
        read_package(tmp_path / "package/models")
    named = read_package(tmp_path / "package/models/model.json")
    assert named.model.weights.keys() == topology.weights.keys()


def test_quantised_weights_are_restored(tmp_path: Path) -> None:
    entry = {
        "name": "w",
        "shape": [4],
        "dtype": "float32",
        "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1.0},
    }
    model = {
        "modelTopology": {"node": [{"name": "x", "op": "Placeholder"}]},
        "weightsManifest": [{"paths": ["a.bin"], "weights": [entry]}],
        "signature": {"inputs": {"x": {"name": "x"}}, "outputs": {"x": {"name": "x"}}},
    }
    (tmp_path / "a.bin").write_bytes(bytes([0, 1, 2, 255]))
    (tmp_path / "model.json").write_text(json.dumps(model))
    np.testing.assert_array_equal(read_package(tmp_path).model.weights["w"], [-1, -0.5, 0, 126.5])


@pytest.mark.parametrize(
    "damage", ["short", "absent", "text", "archive", "none", "bytes", "end", "deep"]
)
def test_a_damaged_package_is_refused(damage: str, topology: Topology, tmp_path: Path) -> None:
    files = topology.files()
    if damage == "short":
        files["package/models/a.bin"] = files["package/models/a.bin"][:-4]
    elif damage == "absent":
        del files["package/models/b.bin"]
    elif damage == "text":
        files["package/models/model.json"] = b'{"modelTopology": 1}'
    elif damage == "none":
        del files["package/models/model.json"]
    elif damage == "deep":
        files["package/package.json"] = b"[" * 100_000
    path = packed(tmp_path, files)
    data = bytearray(path.read_bytes())
    if damage == "archive":
        del data[200:]
    elif damage == "bytes":
        data[200:220] = b"\xff" * 20
    elif damage == "end":
        data[-8] ^= 1  # the checksum, which does not fit a weight that was changed
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"model\.tgz") as caught:
        read_package(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("op", ["AddV2", "Mul", "Sub"])
def test_a_graph_in_a_circle_is_refused(op: str, tmp_path: Path) -> None:
    made = Topology()
    made.nodes.append({"name": "x", "op": "Placeholder", "attr": {}})
    first = made.add("Mul", "x", "Mul_2")
    made.add("Mul", first, first)
    made.add(op, "Mul_2", first)
    with pytest.raises(ModelError, match="depends on itself"):
        convert(graph_model(made, tmp_path), 8, 8)


def test_a_node_without_its_inputs_is_refused(tmp_path: Path) -> None:
    made = Topology()
    made.nodes.append({"name": "x", "op": "Placeholder", "attr": {}})
    made.add("AddV2", "x", made.add("Sub", made.constant(1.0)))
    with pytest.raises(ModelError, match="cannot be converted"):
        convert(graph_model(made, tmp_path), 8, 8)


def test_a_stated_halo_is_that_of_the_tiles(topology: Topology, tmp_path: Path) -> None:
    """The trial's picture is smaller than the tiles: the halo need not fit in it."""
    path = packed(tmp_path, topology.files())
    assert import_tfjs(path, name="x", stated=StatedFacts(tile=256, halo=80)).spec.halo == 80
    with pytest.raises(UsageError, match="does not fit"):
        import_tfjs(path, name="x", stated=StatedFacts(tile=192, halo=80))


def test_an_operation_that_is_not_known_is_named(topology: Topology, tmp_path: Path) -> None:
    last = topology.nodes[-1]["name"]
    topology.add("FFT2D", last)
    with pytest.raises(ModelError, match="FFT2D") as caught:
        convert(graph_model(topology, tmp_path), 16, 16)
    assert "FFT2D" in str(caught.value.hint)
