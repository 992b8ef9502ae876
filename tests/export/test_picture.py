"""Graphs of pictures: what they give is what the model gives without motion."""

import json
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import onnx
import pytest
import torch

from blurdm_cli import zoo
from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.engine.onnx_runtime import OnnxRuntime
from blurdm_cli.errors import UsageError
from blurdm_cli.export.darktable import write_package
from blurdm_cli.export.onnx import Options
from blurdm_cli.export.picture import NetworkInputs, make_picture_graph
from blurdm_cli.export.verify_picture import verify_picture
from blurdm_cli.spec import PriorSpec
from tests.cli import Blurdm
from tests.export.models import SCHEDULE, model_of

pytestmark = pytest.mark.usefixtures("traced_once")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> zoo.Model:
    """An untrained model that takes candidates."""
    folder = tmp_path_factory.mktemp("model")
    return model_of(folder, "unet", PriorSpec("none", 0), candidates=True)


@pytest.fixture(scope="module")
def graph(traced_once: None, model: zoo.Model) -> onnx.ModelProto:
    return make_picture_graph(model, Options(), seed=0)


def test_runtimes_agree_with_the_model_at_sizes_that_it_does_not_take(
    model: zoo.Model, graph: onnx.ModelProto, photo: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "picture.onnx"
    onnx.save(graph, path)
    agreements = verify_picture(model, path, photo, "fp32")
    assert {a.what.rsplit(", ")[1] for a in agreements} == {"onnx", "openvino"}
    assert len(agreements) == 8
    assert max(agreement.largest for agreement in agreements) < 1e-5


def test_the_noise_is_that_of_the_seed(model: zoo.Model) -> None:
    spec = replace(model.spec, prior=PriorSpec("noise", 16, schedule=SCHEDULE))
    noise = NetworkInputs(spec, seed=3)(torch.zeros(2, 3, 5, 9))[1]
    drawn = np.random.default_rng(3).standard_normal((1, 16)).astype(np.float32)
    np.testing.assert_array_equal(noise.numpy(), drawn.repeat(2, axis=0))


def test_a_graph_of_pictures_is_a_model(
    model: zoo.Model, graph: onnx.ModelProto, photo: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "picture.onnx"
    onnx.save(graph, path)
    axes = [
        [d.dim_param or d.dim_value for d in entry.type.tensor_type.shape.dim]
        for entry in (*graph.graph.input, *graph.graph.output)
    ]
    assert axes == [["batch", 3, "height", "width"]] * 2
    runtime = OnnxRuntime(path, "cpu")
    assert (runtime.spec.planes, runtime.spec.prior_channels) == (3, 0)
    restored = Deblurrer(runtime, runtime.spec)(photo)
    assert restored.shape == photo.shape
    assert np.abs(restored.astype(int) - photo).max() > 3


def test_openvino_s_files_are_written_together(
    blurdm: Blurdm, model: zoo.Model, tmp_path: Path
) -> None:
    target = tmp_path / "out" / "picture.xml"
    words = ("export", "picture", model.folder, "-o", target)
    made = blurdm(*words)
    assert made.code == 0, made.err
    assert made.out.count("openvino") == 4
    assert {path.name for path in target.parent.iterdir()} == {"picture.xml", "picture.bin"}
    target.unlink()
    assert blurdm(*words).code == 5


def test_a_package_for_darktable_is_a_folder_of_its_id(
    blurdm: Blurdm, model: zoo.Model, tmp_path: Path
) -> None:
    target = tmp_path / "small.dtmodel"
    made = blurdm("export", "picture", model.folder, "-o", target)
    assert made.code == 0, made.err
    with ZipFile(target) as package:
        assert package.namelist() == ["denoise-small/config.json", "denoise-small/model.onnx"]
        config, graph = (package.read(name) for name in package.namelist())
    assert onnx.load_from_string(graph).graph.input[0].name == "input"
    facts = json.loads(config)
    assert (facts["id"], facts["task"]) == ("denoise-small", "denoise")
    assert "attributes" not in facts
    write_package(target, model.folder / "config.json", model.spec, (64, 64))
    with ZipFile(target) as package:
        facts = json.loads(package.read("denoise-small/config.json"))
    assert facts["attributes"] == {"input_sizes": [64]}


@pytest.mark.parametrize(
    "words",
    [
        ("-o", "picture.pt"),
        ("--size", "large"),
        ("-o", "a.mlpackage", "--precision", "fp16"),
        ("-o", "a.dtmodel", "--size", "64x96"),
    ],
)
def test_what_cannot_be_exported_is_one_line(blurdm: Blurdm, words: tuple[str, ...]) -> None:
    result = blurdm("export", "picture", "blurdm-tiny", *words)
    assert (result.code, result.err.count("error:")) == (2, 1)


def test_a_prior_of_the_whole_photo_is_refused(tmp_path: Path) -> None:
    model = model_of(tmp_path, "unet", PriorSpec("blurdm", 16, "light", "image", SCHEDULE))
    with pytest.raises(UsageError, match="one prior per photo"):
        make_picture_graph(model, Options(), seed=0)


@pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning")
def test_core_ml_takes_and_gives_an_image(blurdm: Blurdm, model: zoo.Model, tmp_path: Path) -> None:
    coremltools = pytest.importorskip("coremltools")
    target = tmp_path / "picture.mlpackage"
    made = blurdm("export", "picture", model.folder, "-o", target, "--size", "60x72")
    assert made.code == 0, made.err
    assert "Not verified" in made.err
    assert list(tmp_path.iterdir()) == [target]
    package = coremltools.models.MLModel(str(target), skip_model_load=True)
    facts = package.get_spec().description
    for ends, name in ((facts.input, "input"), (facts.output, "output")):
        [end] = ends
        assert end.name == name
        assert (end.type.imageType.height, end.type.imageType.width) == (60, 72)
