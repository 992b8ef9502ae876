"""Third-party graphs as model folders."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blurdm_cli import zoo
from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.engine.opening import open_runtime
from blurdm_cli.engine.scene import psnr, scene
from blurdm_cli.engine.trial import StatedFacts
from blurdm_cli.errors import ModelError, UsageError
from blurdm_cli.importing.graphs import external_files, import_graph
from tests.cli import Blurdm
from tests.graphs import sharpened, write_graph


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's models folder."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setattr(zoo, "user_folder", lambda: folder)
    return folder


def test_an_imported_graph_is_a_model_like_any_other(
    blurdm: Blurdm, tmp_path: Path, models: Path
) -> None:
    path = write_graph(tmp_path / "other.onnx", given=(-1, 1), external="other.onnx.data")
    result = blurdm("models", "import", path, "--name", "sharpener", "--licence", "MIT")
    assert (result.code, "-1..1" in result.err) == (0, True)
    path.unlink()
    path.with_name("other.onnx.data").unlink()
    model = zoo.find("sharpener")
    assert model.spec.graph is not None
    assert model.spec.graph.openvino in ("bf16", "fp32")
    (facts,) = json.loads(blurdm("models", "show", "sharpener", "--json").out)
    assert (facts["backbone"], facts["licence"]) == ("onnx", "MIT")
    assert "parameters  in the graph" in blurdm("models", "show", "sharpener").out
    assert facts["bytes"] == sum(
        (models / "sharpener" / name).stat().st_size for name in ("graph.onnx", "other.onnx.data")
    )
    pixels = np.ascontiguousarray(0.1 + 0.8 * scene(90, 130)[1][0].transpose(1, 2, 0))
    photo = tmp_path / "photo.png"
    Image.fromarray(np.rint(pixels * 255).astype(np.uint8)).save(photo)
    done = blurdm(
        "deblur", photo, "-o", tmp_path / "s.png", "--model", "sharpener", "--guard", "off"
    )
    assert done.code == 0
    assert "NCHW" in done.err
    found = np.asarray(Image.open(tmp_path / "s.png")) / np.float32(255)
    assert psnr(found[1:-1, 1:-1], sharpened(pixels)[1:-1, 1:-1]) > 45


def test_what_the_user_states_is_not_tried(tmp_path: Path, models: Path) -> None:
    path = write_graph(tmp_path / "other.onnx")
    stated = StatedFacts(
        channels="bgr",
        input_range=(0.0, 2.0),
        output_range=(0.0, 1.0),
        multiple_of=24,
        padding="zeros",
        tile=100,
        halo=10,
    )
    spec = import_graph(path, name="stated", stated=stated).spec
    assert spec.graph is not None
    assert (spec.graph.channels, spec.graph.input_range) == ("bgr", (0.0, 2.0))
    assert (spec.multiple_of, spec.smallest, spec.padding) == (24, 24, "zeros")
    assert (spec.tile, spec.halo) == (120, 10)


def test_colours_in_the_other_order_come_back_in_ours(tmp_path: Path, models: Path) -> None:
    path = write_graph(tmp_path / "other.onnx")
    made = import_graph(path, name="bgr", stated=StatedFacts(channels="bgr"))
    zoo.write(models / "bgr", made.spec, made.weights, made.card, made.others)
    pixels = np.full((64, 64, 3), (0.2, 0.5, 0.8), np.float32)
    restored = Deblurrer.open("bgr", runtime="onnx", device="cpu")(pixels)
    assert np.abs(restored[8:-8, 8:-8] - sharpened(pixels)[8:-8, 8:-8]).max() < 1e-4


@pytest.mark.parametrize(
    "options",
    [
        ("--backbone", "nafnet"),
        ("--input-range", "1..0"),
        ("--input-range", "white"),
        ("--halo", "400"),
        ("--name", "../elsewhere"),
    ],
)
def test_options_that_do_not_suit_a_graph_are_code_2(
    options: tuple[str, str], blurdm: Blurdm, tmp_path: Path, models: Path
) -> None:
    path = write_graph(tmp_path / "other.onnx")
    assert blurdm("models", "import", path, "--name", "new", *options).code == 2
    assert not list(models.iterdir())


@pytest.mark.parametrize(("amount", "warned"), [(-0.1, False), (0.5, True)])
def test_a_graph_that_makes_the_scene_worse_is_doubted(
    amount: float, warned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sharpening by 3 x 3 pixels does not undo the scene's blur; smoothing gains 0.02 dB."""
    monkeypatch.setattr("tests.graphs.BIAS", 0.0)
    monkeypatch.setattr("tests.graphs.AMOUNT", amount)
    path = write_graph(tmp_path / "other.onnx")
    notes = import_graph(path, name="x", stated=StatedFacts(input_range=(0.0, 1.0))).notes
    assert any("--input-range" in note for note in notes) == warned


def test_an_ending_in_capitals_is_an_ending(blurdm: Blurdm, tmp_path: Path, models: Path) -> None:
    path = write_graph(tmp_path / "OTHER.ONNX")
    assert blurdm("models", "import", path, "--name", "capitals").code == 0
    assert open_runtime(str(path), "onnx", "cpu")[1].multiple_of == 1


def test_our_own_graphs_need_no_import() -> None:
    graph = zoo.find("blurdm-tiny").folder / zoo.GRAPH
    with pytest.raises(UsageError, match="exported by blurdm"):
        import_graph(graph, name="x", stated=StatedFacts())


def test_weights_outside_the_graph_are_found_and_stay_in_their_folder(tmp_path: Path) -> None:
    for name in ("w" * 180 + ".bin", "weights.bin"):
        path = write_graph(tmp_path / "other.onnx", external=name)
        assert external_files(path.read_bytes()) == {name}
    for name in ("config.json", "../secret"):
        changed = path.read_bytes().replace(
            b"\n\x08location\x12\x0bweights.bin",
            b"\n\x08location\x12" + bytes([len(name)]) + name.encode(),
        )
        with pytest.raises(ModelError, match=name):
            external_files(changed)


@pytest.mark.parametrize("end", ["input", "output"])
def test_a_config_of_another_graph_is_refused(end: str, tmp_path: Path, models: Path) -> None:
    path = write_graph(tmp_path / "other.onnx")
    made = import_graph(path, name="changed", stated=StatedFacts())
    assert made.spec.graph is not None
    graph = replace(made.spec.graph, **{end: "elsewhere"})
    zoo.write(models / "changed", replace(made.spec, graph=graph), {}, made.card, made.others)
    with pytest.raises(ModelError, match="'elsewhere'"):
        Deblurrer.open("changed", runtime="openvino", device="cpu")
