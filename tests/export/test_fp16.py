from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest

from blurdm_cli import zoo
from blurdm_cli.errors import VerificationError
from blurdm_cli.export.fp16 import halve
from blurdm_cli.export.onnx import Options, make_graph
from blurdm_cli.export.verify import verify
from blurdm_cli.spec import PriorSpec
from tests.export.models import model_of

pytestmark = pytest.mark.usefixtures("traced_once")


@pytest.fixture(scope="module")
def spectral(tmp_path_factory: pytest.TempPathFactory) -> zoo.Model:
    """A small model that looks at the spectrum."""
    prior = PriorSpec("mlp", 16, "spectral", "tile")
    return model_of(tmp_path_factory.mktemp("spectral"), "unet", prior)


@pytest.fixture(scope="module")
def spectral_graphs(
    traced_once: None, spectral: zoo.Model
) -> dict[tuple[int, int] | None, onnx.ModelProto]:
    """Its graphs in fp32, by the size that they take."""
    return {size: make_graph(spectral, Options(size=size)) for size in (None, (128, 128))}


def write_fp16(graph: onnx.ModelProto, path: Path) -> Path:
    facts = {entry.key: entry.value for entry in graph.metadata_props} | {"precision": "fp16"}
    onnx.helper.set_model_props(graph, facts)
    onnx.save(graph, path)
    return path


@pytest.mark.filterwarnings("ignore:the float32 number")
@pytest.mark.parametrize("size", [None, (128, 128)])
@pytest.mark.parametrize("slim", [False, True])
def test_fp16_leaves_the_spectrum_in_fp32(
    size: tuple[int, int] | None,
    slim: bool,
    spectral: zoo.Model,
    spectral_graphs: dict[tuple[int, int] | None, onnx.ModelProto],
    photo: np.ndarray,
    tmp_path: Path,
) -> None:
    import onnxslim

    graph = onnxslim.slim(spectral_graphs[size]) if slim else spectral_graphs[size]
    half = halve(graph)
    onnx.checker.check_model(half, full_check=True)
    path = write_fp16(half, tmp_path / "half.onnx")
    assert min(agreement.psnr for agreement in verify(spectral, path, photo, size)) > 60
    halves = {t.name for t in half.graph.initializer if t.data_type == onnx.TensorProto.FLOAT16}
    assert any(name.startswith("backbone.") for name in halves)
    assert not any(name.startswith("prior.") for name in halves)


@pytest.mark.filterwarnings("ignore:the float32 number")
def test_a_graph_whose_spectrum_overflows_is_not_verified(
    spectral: zoo.Model,
    spectral_graphs: dict[tuple[int, int] | None, onnx.ModelProto],
    photo: np.ndarray,
    tmp_path: Path,
) -> None:
    size = (128, 128)
    half = onnx.ModelProto.FromString(spectral_graphs[size].SerializeToString())
    nodes = list(half.graph.node)
    del half.graph.node[:]
    for node in nodes:
        half.graph.node.append(node)
        if node.op_type == "ReduceSum":  # of the power; fp16 ends at 65504
            power = half.graph.node[-1].output[0]
            half.graph.node[-1].output[0] = f"{power}.exact"
            types = (onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT)
            names = (f"{power}.exact", f"{power}.half", power)
            for (before, after), to in zip(pairwise(names), types, strict=True):
                half.graph.node.append(onnx.helper.make_node("Cast", [before], [after], to=to))
    path = write_fp16(half, tmp_path / "half.onnx")
    with pytest.raises(VerificationError, match="stripes"):
        verify(spectral, path, photo, size)
