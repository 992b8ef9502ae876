import sys
from pathlib import Path

import pytest
from onnx import TensorProto, helper

from blurdm_cli import zoo
from blurdm_cli.engine import onnx_runtime, opening
from blurdm_cli.engine.opening import PACKAGES, open_runtime
from blurdm_cli.errors import ModelError, RuntimeMissing, UsageError
from tests.engine.tiny import GRAPH, TINY


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_a_graph_tells_its_model(name: str) -> None:
    runtime, spec = open_runtime(str(GRAPH), name, device="cpu")
    assert runtime.name == name
    assert (spec.name, spec.multiple_of, spec.prior_channels) == (TINY, 8, 64)


def test_pytorch_does_not_run_graphs() -> None:
    with pytest.raises(UsageError, match="cannot run an ONNX graph"):
        open_runtime(str(GRAPH), "torch")


def test_a_graph_keeps_its_precision() -> None:
    with pytest.raises(RuntimeMissing, match="computes in fp32, not in fp16"):
        open_runtime(str(GRAPH), "onnx", device="cpu", precision="fp16")


@pytest.mark.parametrize("name", ["onnx", "openvino"])
@pytest.mark.parametrize("device", ["tpu", "cuda:99", "cpu:3"])
def test_a_device_that_is_not_here_is_refused(name: str, device: str) -> None:
    with pytest.raises(RuntimeMissing, match=device) as caught:
        open_runtime(TINY, name, device=device)
    assert caught.value.hint


def test_a_missing_graph_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no graph"):
        open_runtime(str(tmp_path / "no.onnx"))


@pytest.mark.parametrize("keep", [0, 100, 30_000])
def test_a_truncated_graph_is_an_error(keep: int, tmp_path: Path) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(GRAPH.read_bytes()[:keep])
    with pytest.raises(ModelError, match=r"cut\.onnx"):
        open_runtime(str(path), "onnx", device="cpu")


def foreign(opset: int) -> bytes:
    value = helper.make_tensor_value_info
    shape = ["n", 3, "h", "w"]
    graph = helper.make_graph(
        [helper.make_node("Relu", ["blurred"], ["restored"])],
        "other",
        [value("blurred", TensorProto.FLOAT, shape)],
        [value("restored", TensorProto.FLOAT, shape)],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    return made.SerializeToString()


def test_an_opset_from_the_future_is_named(tmp_path: Path) -> None:
    path = tmp_path / "new.onnx"
    path.write_bytes(foreign(opset=99))
    with pytest.raises(ModelError) as caught:
        open_runtime(str(path), "onnx", device="cpu")
    assert "--opset" in str(caught.value.hint)


def test_a_graph_whose_weights_are_damaged_is_not_run(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for file in zoo.find(TINY).folder.iterdir():
        data = bytearray(file.read_bytes())
        if file.suffix == ".safetensors":
            data[-1] ^= 1
        (folder / file.name).write_bytes(data)
    with pytest.raises(ModelError, match="damaged"):
        open_runtime(str(folder), "onnx", device="cpu")


@pytest.mark.parametrize("runtime", ["torch", "openvino"])
def test_without_its_package_the_package_to_install_is_named(
    runtime: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, f"blurdm_cli.engine.{runtime}_runtime", raising=False)
    monkeypatch.setitem(sys.modules, PACKAGES[runtime], None)
    with pytest.raises(RuntimeMissing) as caught:
        open_runtime(TINY, runtime)
    assert caught.value.hint == f"pip install {runtime}"


def test_auto_takes_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    names = []
    for missing in ("openvino", "torch"):
        names.append(open_runtime(TINY, device="cpu")[0].name)
        runtime = next(name for name, package in PACKAGES.items() if package == missing)
        monkeypatch.delitem(sys.modules, f"blurdm_cli.engine.{runtime}_runtime", raising=False)
        monkeypatch.setitem(sys.modules, missing, None)
    names.append(open_runtime(TINY, device="cpu")[0].name)
    assert names == ["openvino", "torch", "onnx"]


def test_a_driver_alone_does_not_make_auto_take_a_slower_runtime(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(opening, "has_gpu_driver", lambda: True)
    monkeypatch.setattr(onnx_runtime, "has_gpu_driver", lambda: True)
    taken, _ = open_runtime(TINY)
    assert (taken.name, taken.device) == ("openvino", "cpu")


def test_auto_does_not_hide_that_a_device_is_missing() -> None:
    with pytest.raises(RuntimeMissing, match="cuda:99"):
        open_runtime(TINY, device="cuda:99")
