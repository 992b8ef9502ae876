import json
from pathlib import Path

import pytest

from blurdm_cli import zoo
from blurdm_cli.export import verify
from tests.cli import Blurdm

pytestmark = pytest.mark.usefixtures("traced_once")

TINY = "blurdm-tiny"


def test_a_model_becomes_a_graph_that_deblurs(blurdm: Blurdm, photo: Path, tmp_path: Path) -> None:
    graph = tmp_path / "tiny.onnx"
    made = blurdm("export", "onnx", TINY, "-o", graph, "--photo", photo)
    assert made.code == 0
    assert len(made.out.splitlines()) == 6
    assert made.out.count("dB") == 6
    names = ("graph.png", "model.png")
    same = ("--runtime", "onnx", "--precision", "fp32", "--device", "cpu")
    for name, model in zip(names, (graph, TINY), strict=True):
        assert blurdm("deblur", photo, "-o", tmp_path / name, "--model", model, *same).code == 0
    assert (tmp_path / names[0]).read_bytes() == (tmp_path / names[1]).read_bytes()


def test_a_graph_of_one_size_deblurs_photos_of_any(
    blurdm: Blurdm, photo: Path, tmp_path: Path
) -> None:
    graph = tmp_path / "tiny.onnx"
    assert blurdm("export", "onnx", TINY, "-o", graph, "--size", "48x96").code == 0
    for runtime in ("onnx", "openvino"):
        target = tmp_path / f"{runtime}.png"
        words = ("deblur", photo, "-o", target, "--model", graph, "--runtime", runtime)
        assert blurdm(*words).code == 0
        refused = blurdm(*words, "--tile", 128)
        assert (refused.code, refused.err.count("48x96")) == (2, 1)


def test_a_graph_that_is_not_the_model_is_not_published(
    blurdm: Blurdm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "LARGEST_DIFFERENCE", {"fp32": 1e-12})
    result = blurdm("export", "onnx", TINY, "-o", tmp_path / "tiny.onnx")
    assert result.code == 9
    assert list(tmp_path.iterdir()) == []


def test_a_graph_in_the_model_s_folder_runs_without_its_networks(
    blurdm: Blurdm, tmp_path: Path
) -> None:
    tiny = zoo.find(TINY)
    folder = tmp_path / "copy"
    zoo.write(folder, tiny.spec, tiny.weights(), "a card")
    assert not zoo.find(str(folder)).has_graph
    assert blurdm("export", "onnx", folder, "--into-model").code == 0
    model = zoo.find(str(folder))
    assert model.graph() == folder / "graph.onnx"
    assert {path.name for path in folder.iterdir()} == {
        *model.spec.files,
        "config.json",
        "README.md",
    }


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--size", "60x64"), 2),
        (("--size", "large"), 2),
        (("--opset", "99"), 2),
        (("--into-model", "--slim", "--size", "64x64"), 2),
        (("--int8", "nowhere"), 3),
        (("--photo", "nowhere.jpg"), 3),
        (("-o", "/proc/none/tiny.onnx"), 5),
    ],
)
def test_what_cannot_be_exported_is_one_line_and_a_code(
    blurdm: Blurdm, words: tuple[str, ...], code: int
) -> None:
    result = blurdm("export", "onnx", TINY, *words)
    assert result.code == code
    assert result.err.count("error:") == 1
    assert "Traceback" not in result.err


def test_an_unknown_model_is_code_6(blurdm: Blurdm) -> None:
    assert blurdm("export", "onnx", "blurdm-tinny").code == 6
    assert blurdm("bench", "--model", "blurdm-tinny").code == 6


def test_bench_measures_each_runtime_that_works(
    blurdm: Blurdm, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = (("torch", "fp32"), ("onnx", "auto"), ("openvino", "fp16"), ("auto", "auto"))
    monkeypatch.setattr("blurdm_cli.commands.bench.CANDIDATES", some)
    result = blurdm("bench", photo, "--model", TINY, "--runs", 1, "--device", "cpu", "--json")
    rows = json.loads(result.out)
    assert [row["asked"] for row in rows] == ["torch", "onnx", "auto"]
    assert [row["runtime"] for row in rows] == ["torch", "onnx", "openvino"]
    for row in rows:
        assert row["ms_per_megapixel"] * row["megapixels_per_second"] == pytest.approx(1000)
        assert row["peak_mb"] > 50
        assert row["start_seconds"] > 0
