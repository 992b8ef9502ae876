"""What all runtimes have in common, and which of them is taken."""

import ctypes
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest

from blurdm_cli import machine, zoo
from blurdm_cli.engine import onnx_runtime
from blurdm_cli.engine.onnx_runtime import OnnxRuntime
from blurdm_cli.engine.opening import PACKAGES, open_runtime
from blurdm_cli.engine.openvino_runtime import OpenVinoRuntime
from blurdm_cli.engine.runtime import Runtime
from blurdm_cli.errors import ComputeError, ModelError, OutOfMemory, RuntimeMissing
from blurdm_cli.machine import available_cores
from tests.engine.tiny import GRAPH, TINY, tiles

ALL = tuple(PACKAGES)


def opened(name: str) -> Runtime:
    return open_runtime(TINY, name, device="cpu", precision="fp32")[0]


@pytest.mark.parametrize("name", ALL)
def test_a_runtime_says_what_it_runs_on(name: str) -> None:
    runtime = opened(name)
    assert isinstance(runtime, Runtime)
    assert (runtime.name, runtime.device, runtime.precision) == (name, "cpu", "fp32")


@pytest.mark.parametrize("shape", [(1, 64, 64), (3, 72, 128), (2, 256, 64)])
def test_all_runtimes_agree(shape: tuple[int, int, int]) -> None:
    given = tiles(*shape)
    torch, *others = (opened(name).restore(*given) for name in ALL)
    for other in others:
        assert np.abs(other - torch).max() < 1e-4
    assert np.abs(torch - given[0]).max() > 1e-3


def test_batches_side_by_side_give_the_same_bits_as_one_after_another() -> None:
    runtime = opened("openvino")
    assert runtime.max_concurrent >= 1
    shapes = [(1, 64, 64), (2, 64, 128), (1, 128, 64), (1, 64, 64)] * 6
    with ThreadPoolExecutor(2 * runtime.max_concurrent) as threads:
        beside = list(
            threads.map(lambda shape: runtime.restore_concurrently(*tiles(*shape)), shapes)
        )
    for shape, found in zip(shapes, beside, strict=True):
        np.testing.assert_array_equal(found, runtime.restore(*tiles(*shape)))


def test_processes_side_by_side_do_not_bind_their_threads_to_the_same_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "_most_cores", 1)
    runtime = opened("openvino")
    runtime.restore(*tiles(1, 64, 64))
    assert isinstance(runtime, OpenVinoRuntime)
    compiled = runtime._requests[1].get().get_compiled_model()
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert not compiled.get_property("ENABLE_CPU_PINNING")


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_a_config_that_its_graph_contradicts_is_an_error(tmp_path: Path, name: str) -> None:
    config = json.loads((GRAPH.parent / "config.json").read_text())
    for path in GRAPH.parent.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "config.json").write_text(json.dumps(config | {"name": "renamed"}))
    assert open_runtime(str(tmp_path), name)[1].tile == config["tile"]
    (tmp_path / "config.json").write_text(json.dumps(config | {"tile": 512, "halo": 8}))
    with pytest.raises(
        ModelError, match=f"contradicts.*tile is 512, not {config['tile']}"
    ) as caught:
        open_runtime(str(tmp_path), name)
    assert "export" in str(caught.value.hint)


def signal_stack() -> int:
    """Where this thread's alternate signal stack lies."""
    stack = (ctypes.c_void_p * 3)()  # a pointer, flags, a size
    assert ctypes.CDLL(None).sigaltstack(None, stack) == 0
    return stack[0] or 0


@pytest.mark.skipif(sys.platform != "linux", reason="asks the C library")
def test_graphs_closed_in_any_order_leave_no_freed_signal_stack() -> None:
    opened("openvino")
    before = signal_stack()
    first, second = opened("openvino"), opened("openvino")
    del first
    del second
    assert signal_stack() == before


@pytest.mark.parametrize("name", ALL)
def test_tiles_may_lie_in_memory_in_any_order_and_be_read_only(name: str) -> None:
    blurred, noise = tiles()
    turned = np.ascontiguousarray(blurred[..., ::-1])[..., ::-1]
    turned.flags.writeable = noise.flags.writeable = False
    taken = opened(name)
    np.testing.assert_array_equal(taken.restore(turned, noise), taken.restore(*tiles()))


@pytest.mark.parametrize("name", ALL)
def test_shapes_may_change_from_batch_to_batch(name: str) -> None:
    runtime = opened(name)
    first = runtime.restore(*tiles())
    kept = first.copy()
    runtime.restore(*tiles(1, 128, 64))
    np.testing.assert_array_equal(runtime.restore(*tiles()), first)
    np.testing.assert_array_equal(first, kept)  # no memory of the runtime's own


@pytest.mark.parametrize("name", ALL)
def test_noise_decides_where_the_diffusion_starts(name: str) -> None:
    runtime = opened(name)
    blurred, noise = tiles()
    before = blurred.copy()
    one, other = runtime.restore(blurred, noise), runtime.restore(blurred, -noise)
    assert np.abs(one - other).max() > 0
    np.testing.assert_array_equal(blurred, before)


@pytest.mark.parametrize("name", ALL)
def test_arrays_that_come_in_are_neither_changed_nor_kept(name: str) -> None:
    runtime = opened(name)
    first, noise = tiles()
    second = 1 - first
    arrays = (first.copy(), second.copy(), noise.copy())
    answer = runtime.restore(first, noise)
    runtime.restore(second, -noise)
    for array, before in zip((first, second, noise), arrays, strict=True):
        np.testing.assert_array_equal(array, before)
    first[:] = 0
    np.testing.assert_array_equal(runtime.restore(arrays[0], noise), answer)


@pytest.mark.parametrize("name", ALL)
def test_threads_that_share_a_runtime_get_their_own_answers(name: str) -> None:
    runtime = opened(name)
    shapes = [(1, 64, 64), (2, 64, 128), (1, 128, 64)] * 8
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda shape: runtime.restore(*tiles(*shape)), shapes))
    for shape, found in zip(shapes, together, strict=True):
        np.testing.assert_allclose(found, runtime.restore(*tiles(*shape)), atol=1e-6)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("BFCArena::Extend Failed to allocate memory for requested buffer", OutOfMemory),
        ("std::bad_alloc", OutOfMemory),
        ("Got invalid dimensions for input", ComputeError),
    ],
)
def test_running_out_of_memory_is_told_apart(
    said: str, expected: type[ComputeError], monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = OnnxRuntime(GRAPH, "cpu")

    def fail(*shapes: object) -> None:
        raise RuntimeError(said)

    monkeypatch.setattr(runtime, "_bind", fail)
    with pytest.raises(ComputeError) as caught:
        runtime.restore(*tiles())
    assert type(caught.value) is expected


def test_a_card_without_its_provider_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_runtime, "has_gpu_driver", lambda: True)
    monkeypatch.setattr(onnx_runtime.ort, "get_available_providers", list)
    with pytest.raises(RuntimeMissing, match="no CUDA provider in ONNX Runtime"):
        OnnxRuntime(GRAPH, "cuda")


def test_cuda_that_silently_becomes_the_processor_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(onnx_runtime, "has_cuda", lambda: True)
    monkeypatch.setattr(onnx_runtime.ort, "preload_dlls", lambda: None)
    real = onnx_runtime.ort.InferenceSession

    def on_the_processor(path: str, options: object, providers: list[object]) -> object:
        assert len(providers) == 2
        return real(path, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnx_runtime.ort, "InferenceSession", on_the_processor)
    with pytest.raises(RuntimeMissing, match="only loaded the CPU provider"):
        OnnxRuntime(GRAPH, "cuda:0")


def test_photos_are_deblurred_without_torch(tmp_path: Path) -> None:
    """In a process where neither PyTorch nor ONNX's own package can be imported."""
    photo = zoo.example_photo()
    script = f"""
import sys
for name in ("torch", "onnx", "openvino"):
    sys.modules[name] = None
sys.argv = ["blurdm", "deblur", {str(photo)!r}, "-o", {str(tmp_path / "out.png")!r}]
sys.argv += ["--model", {str(GRAPH)!r}]
from blurdm_cli.commands.app import main
main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "onnx on cpu" in done.stderr
    assert (tmp_path / "out.png").stat().st_size > 10_000


def test_runtimes_neither_report_to_their_makers_nor_write_files(tmp_path: Path) -> None:
    script = """
import sys
import blurdm_cli.engine.openvino_runtime  # imports both
assert not sys.modules.get("openvino_telemetry")
"""
    own = ("CI", "TF_BUILD", "JENKINS_URL", "ORT_DISABLE_TELEMETRY")  # these silence them too
    environment = {name: value for name, value in os.environ.items() if name not in own}
    environment |= dict.fromkeys(
        ("HOME", "LOCALAPPDATA", "XDG_CACHE_HOME", "TMPDIR"), str(tmp_path)
    )
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)
    assert not list(tmp_path.rglob("*"))


def test_there_is_a_core() -> None:
    assert available_cores() >= 1


def test_the_graph_that_ships_says_nothing_of_the_machine_that_made_it() -> None:
    graph = onnx.load(GRAPH, load_external_data=False)
    assert b"/" not in b"".join(node.doc_string.encode() for node in graph.graph.node)
    assert not any(node.metadata_props for node in graph.graph.node)
    assert b".py" not in GRAPH.read_bytes()
