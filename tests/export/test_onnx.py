from dataclasses import replace
from itertools import cycle
from pathlib import Path

import numpy as np
import onnx
import pytest

from blurdm_cli import zoo
from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.engine.onnx_runtime import OnnxRuntime
from blurdm_cli.engine.openvino_runtime import OpenVinoRuntime
from blurdm_cli.errors import ModelError, UsageError, VerificationError
from blurdm_cli.export.onnx import Options, make_graph, share_weights
from blurdm_cli.export.picture import make_picture_graph
from blurdm_cli.export.verify import Agreement, middle, verify
from blurdm_cli.export.verify_picture import verify_picture
from blurdm_cli.networks.build import BACKBONES
from blurdm_cli.spec import PriorSpec
from tests.export.models import SCHEDULE, model_of

pytestmark = pytest.mark.usefixtures("traced_once")


@pytest.fixture(scope="module")
def tiny() -> zoo.Model:
    return zoo.find("blurdm-tiny")


@pytest.fixture(scope="module")
def graph(traced_once: None, tiny: zoo.Model) -> onnx.ModelProto:
    return make_graph(tiny, Options())


@pytest.mark.parametrize(
    ("backbone", "kind"),
    [("unet", "none"), *zip(BACKBONES, cycle(("blurdm", "mlp", "noise", "blur")), strict=False)],
)
def test_every_backbone_and_every_prior_exports(
    backbone: str, kind: str, tmp_path: Path, photo: np.ndarray
) -> None:
    channels = 0 if kind == "none" else 16
    schedule = None if kind in ("none", "mlp") else SCHEDULE
    prior = PriorSpec(kind, channels, "light", "tile", schedule)  # type: ignore[arg-type]
    model = model_of(tmp_path, backbone, prior)
    path = tmp_path / "small.onnx"
    onnx.save(make_graph(model, Options()), path)
    agreements = verify(model, path, photo)
    assert len({agreement.what for agreement in agreements}) == 6
    assert max(agreement.largest for agreement in agreements) < 1e-4
    width = 64 + model.spec.multiple_of
    blurred = np.random.default_rng(0).random((2, 3, 64, width), dtype=np.float32)
    noise = np.random.default_rng(0).standard_normal((2, channels)).astype(np.float32)
    one = OnnxRuntime(path, "cpu").restore(blurred, noise)
    other = OpenVinoRuntime(path, "cpu", "fp32").restore(blurred, noise)
    assert np.abs(one - other).max() < 1e-4
    assert np.abs(one - blurred).max() > 1e-3


@pytest.mark.parametrize(
    "prior",
    [
        PriorSpec("mlp", 16, "light", "region"),
        PriorSpec("blurdm", 16, "spectral", "region", SCHEDULE),
    ],
    ids=lambda prior: prior.encoder,
)
def test_priors_of_regions_export(prior: PriorSpec, tmp_path: Path, photo: np.ndarray) -> None:
    made = model_of(tmp_path, "unet", prior)
    model = replace(made, spec=replace(made.spec, tile=400))  # of several regions
    path = tmp_path / "small.onnx"
    onnx.save(make_graph(model, Options()), path)
    verify(model, path, photo)
    blurred = np.random.default_rng(0).random((2, 3, 272, 528), dtype=np.float32)
    noise = np.random.default_rng(0).standard_normal((2, 16)).astype(np.float32)
    one = OnnxRuntime(path, "cpu").restore(blurred, noise)
    other = OpenVinoRuntime(path, "cpu", "fp32").restore(blurred, noise)
    assert np.abs(one - other).max() < 1e-4
    onnx.save(make_graph(model, Options("fp16")), path)
    assert min(agreement.psnr for agreement in verify(model, path, photo)) > 50
    tiles = tuple(middle(np.rot90(photo, k), 400, 272) for k in range(2))
    onnx.save(make_graph(model, Options("int8", calibration=tiles)), path)
    assert np.isfinite(OnnxRuntime(path, "cpu").restore(blurred, noise)).all()


def test_a_graph_says_what_its_model_says(graph: onnx.ModelProto, tiny: zoo.Model) -> None:
    found = {entry.key: entry.value for entry in graph.metadata_props}
    assert found["model"] == "blurdm-tiny"
    assert found["precision"] == "fp32"
    assert found["licence"] == "Apache-2.0"
    assert found["multiple_of"] == "8"
    assert all(sha256 in found["weights"] for sha256 in tiny.spec.files.values())


def test_a_graph_has_the_inputs_and_axes_that_it_should(graph: onnx.ModelProto) -> None:
    axes = {
        entry.name: [d.dim_param or d.dim_value for d in entry.type.tensor_type.shape.dim]
        for entry in (*graph.graph.input, *graph.graph.output)
    }
    assert axes == {
        "blurred": ["batch", 3, "height", "width"],
        "noise": ["batch", 64],
        "restored": ["batch", 3, "height", "width"],
    }


def test_fp16_is_close_and_its_backbone_half_as_large(
    tiny: zoo.Model, graph: onnx.ModelProto, photo: np.ndarray, tmp_path: Path
) -> None:
    half = make_graph(tiny, Options("fp16"))
    path = tmp_path / "half.onnx"
    onnx.save(half, path)
    assert min(agreement.psnr for agreement in verify(tiny, path, photo)) > 60
    sizes = [
        sum(t.ByteSize() for t in one.graph.initializer if t.name.startswith("backbone."))
        for one in (half, graph)
    ]
    assert sizes[0] < 0.55 * sizes[1]
    types = {entry.type.tensor_type.elem_type for entry in (*half.graph.input, *half.graph.output)}
    assert types == {onnx.TensorProto.FLOAT}


def test_int8_is_close_on_photos(tiny: zoo.Model, photo: np.ndarray, tmp_path: Path) -> None:
    tiles = tuple(middle(np.rot90(photo, k), 64, 64) for k in range(4))
    path = tmp_path / "int8.onnx"
    onnx.save(make_graph(tiny, Options("int8", calibration=tiles)), path)
    assert OnnxRuntime(path, "cpu").precision == "int8"
    assert {a.what.split()[0] for a in verify(tiny, path, photo)} == {"the"}
    assert b"QuantizeLinear" in path.read_bytes()


def test_a_fixed_size_is_the_only_one(tiny: zoo.Model, photo: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "fixed.onnx"
    onnx.save(make_graph(tiny, Options(size=(48, 64), slim=True)), path)
    verify(tiny, path, photo, (48, 64))
    shape = onnx.load(path).graph.input[0].type.tensor_type.shape
    assert [axis.dim_value for axis in shape.dim] == [1, 3, 48, 64]
    for runtime in (OnnxRuntime(path, "cpu"), OpenVinoRuntime(path, "cpu", "fp32")):
        assert runtime.fixed_size == (48, 64)
        assert Deblurrer(runtime, runtime.spec)(photo).shape == photo.shape


@pytest.mark.parametrize(("precision", "size"), [("fp32", (45, 61)), ("fp16", None)])
def test_a_graph_of_pictures_with_its_noise(
    tiny: zoo.Model,
    photo: np.ndarray,
    tmp_path: Path,
    precision: str,
    size: tuple[int, int] | None,
) -> None:
    path = tmp_path / "picture.onnx"
    made = make_picture_graph(tiny, Options(precision, size), seed=3)
    onnx.save(made, path)
    types = {entry.data_type for entry in made.graph.initializer}
    assert (onnx.TensorProto.FLOAT16 in types) is (precision == "fp16")
    found = verify_picture(tiny, path, photo, precision, size, seed=3)
    assert min(agreement.psnr for agreement in found) > 60
    assert OnnxRuntime(path, "cpu").fixed_size == size


def test_a_graph_beside_its_weights_holds_none_and_gives_the_same(
    tiny: zoo.Model, graph: onnx.ModelProto, photo: np.ndarray, tmp_path: Path
) -> None:
    shared = share_weights(graph, tiny)
    assert shared.ByteSize() < 0.15 * graph.ByteSize()
    for name in tiny.shards:
        (tmp_path / name).write_bytes((tiny.folder / name).read_bytes())
    paths = tmp_path / "graph.onnx", tmp_path / "whole.onnx"
    for one, path in zip((shared, graph), paths, strict=True):
        path.write_bytes(one.SerializeToString())
    here, whole = (
        Deblurrer(runtime, runtime.spec)(photo)
        for runtime in (OnnxRuntime(path, "cpu") for path in paths)
    )
    np.testing.assert_array_equal(here, whole)


def test_a_graph_of_other_weights_is_not_verified(
    tiny: zoo.Model, graph: onnx.ModelProto, photo: np.ndarray, tmp_path: Path
) -> None:
    weights = tiny.weights()
    name = "backbone.head.bias"
    weights[name] = weights[name] + 0.01
    other = zoo.write(tmp_path / "other", replace(tiny.spec, name="other"), weights, "a card")
    path = tmp_path / "graph.onnx"
    onnx.save(graph, path)
    with pytest.raises(VerificationError, match="does not match the model") as caught:
        verify(other, path, photo)
    assert caught.value.exit_code == 9


@pytest.mark.parametrize(
    ("precision", "largest", "psnr", "good"),
    [
        ("fp32", 1e-5, 100, True),
        ("fp32", 2e-4, 100, False),
        ("fp16", 2e-4, 80, True),
        ("fp16", 2e-4, 49, False),
        ("int8", 2e-2, 46, True),
        ("int8", 2e-2, 44, False),
    ],
)
def test_how_far_a_graph_may_be_off(
    precision: str, largest: float, psnr: float, good: bool
) -> None:
    assert Agreement("noise", largest, largest / 2, psnr).within(precision) is good


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (Options(opset=17), "opset 17"),
        (Options(opset=99), "opset 99"),
        (Options(size=(60, 64)), "multiples of 8"),
        (Options("int8"), "photos for calibration"),
    ],
)
def test_options_that_make_no_graph_are_refused(
    tiny: zoo.Model, options: Options, said: str
) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        make_graph(tiny, options)
    assert caught.value.hint


def test_a_model_without_a_graph_says_how_to_get_one(tmp_path: Path) -> None:
    model = model_of(tmp_path, "unet", PriorSpec("none", 0))
    with pytest.raises(ModelError, match="has no graph") as caught:
        model.graph()
    assert "blurdm export onnx" in str(caught.value.hint)


def test_the_middle_of_a_small_photo_is_mirrored(photo: np.ndarray) -> None:
    tile = middle(photo[:20], 32, 64)
    assert tile.shape == (1, 3, 32, 64)
    np.testing.assert_array_equal(tile[0, :, 20:], tile[0, :, 8:20][:, ::-1])
