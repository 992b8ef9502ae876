import numpy as np
import pytest
import torch

from blurdm_cli import zoo
from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.engine.opening import open_runtime
from blurdm_cli.engine.runtime import Runtime
from blurdm_cli.engine.torch_runtime import TorchRuntime, choose_device
from blurdm_cli.errors import OutOfMemory, RuntimeMissing, UsageError

TINY = "blurdm-tiny"


def tiles(count: int = 2, side: int = 64) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    blurred = rng.random((count, 3, side, side), dtype=np.float32)
    return blurred, rng.standard_normal((count, 64)).astype(np.float32)


def test_it_is_a_runtime_that_says_what_it_runs_on() -> None:
    runtime, spec = open_runtime(TINY, "torch", device="cpu", precision="fp32")
    assert isinstance(runtime, Runtime)
    assert (runtime.name, runtime.device, runtime.precision) == ("torch", "cpu", "fp32")
    assert spec.name == TINY


def test_the_same_tiles_and_noise_give_the_same_numbers() -> None:
    runtime, _ = open_runtime(TINY, "torch", device="cpu")
    again, _ = open_runtime(TINY, "torch", device="cpu")
    one, other = runtime.restore(*tiles()), again.restore(*tiles())
    np.testing.assert_array_equal(one, other)
    assert one.dtype == np.float32
    assert one.shape == (2, 3, 64, 64)


def test_a_tile_does_not_depend_on_the_others_in_its_batch() -> None:
    runtime, _ = open_runtime(TINY, "torch", device="cpu", precision="fp32")
    blurred, noise = tiles()
    alone = runtime.restore(blurred[1:], noise[1:])
    np.testing.assert_allclose(runtime.restore(blurred, noise)[1:], alone, atol=1e-5)


def test_bf16_is_close_to_fp32() -> None:
    exact, rough = (
        open_runtime(TINY, "torch", device="cpu", precision=precision)[0].restore(*tiles())
        for precision in ("fp32", "bf16")
    )
    assert 10 * np.log10(1 / ((exact - rough) ** 2).mean()) > 50


def test_tiles_are_not_changed() -> None:
    runtime, _ = open_runtime(TINY, "torch", device="cpu")
    blurred, noise = tiles()
    before = blurred.copy()
    runtime.restore(blurred, noise)
    np.testing.assert_array_equal(blurred, before)


@pytest.mark.parametrize("device", ["cuda:99", "tpu", "cpu:3", "cuda:x"])
def test_a_device_that_is_not_here_is_refused(device: str) -> None:
    with pytest.raises(RuntimeMissing, match=device) as caught:
        choose_device(device)
    assert caught.value.hint


def test_options_that_are_unknown_are_refused_before_the_model_is_read() -> None:
    with pytest.raises(UsageError, match="no runtime"):
        open_runtime(TINY, runtime="tensorflow")
    with pytest.raises(UsageError, match="no precision"):
        open_runtime("no-model-at-all", precision="fp8")


def test_fp16_on_a_processor_is_refused() -> None:
    with pytest.raises(RuntimeMissing, match="fp16"):
        open_runtime(TINY, "torch", device="cpu", precision="fp16")


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
    ],
)
def test_running_out_of_memory_is_told_apart(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = TorchRuntime(zoo.find(TINY), "cpu")

    def fail(*tensors: torch.Tensor) -> torch.Tensor:
        raise error

    monkeypatch.setattr(runtime, "_network", fail)
    with pytest.raises(OutOfMemory, match="64-pixel tile"):
        runtime.restore(*tiles())


def test_a_photo_goes_through_the_python_api() -> None:
    photo = np.random.default_rng(0).integers(0, 65536, (50, 70, 3), dtype=np.uint16)
    restored = Deblurrer.open(TINY, device="cpu")(photo)
    assert restored.shape == photo.shape
    assert restored.dtype == np.uint16
    assert (restored != photo).any()
