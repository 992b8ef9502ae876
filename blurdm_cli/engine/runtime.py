"""The narrow waist: the one interface between the engine and whatever runs the networks."""

import ctypes
import os
import sys
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from blurdm_cli import zoo
from blurdm_cli.errors import ModelError, RuntimeMissing, UsageError
from blurdm_cli.spec import ModelSpec

RUNTIMES = ("auto", "torch", "onnx", "openvino")
PRECISIONS = ("auto", "fp32", "bf16", "fp16", "int8")

PACKAGES = {"torch": "torch", "onnx": "onnxruntime", "openvino": "openvino"}
"""What each runtime imports."""

FASTEST = {"gpu": ("torch", "onnx"), "cpu": ("openvino", "torch", "onnx")}
"""Runtimes in the order in which "auto" tries them; `blurdm bench` measures them."""


@runtime_checkable
class Runtime(Protocol):
    """Runs a model on batches of tiles.

    Host arrays go in and host arrays come out, whatever the device, so that the
    engine needs no library of tensors. A runtime is not thread-safe.
    """

    name: str
    """What the user is told: "torch", "onnx", "openvino"."""
    device: str
    """What the user is told: "cpu", "cuda:0"."""
    precision: str
    """What the networks compute in: "fp32", "bf16", "fp16", "int8"."""

    def restore(
        self, blurred: Float32[np.ndarray, "n planes h w"], noise: Float32[np.ndarray, "n c"]
    ) -> Float32[np.ndarray, "n 3 h w"]:
        """Deblur each tile, starting the diffusion from the given noise.

        Args:
            blurred: sRGB-encoded tiles in [0, 1], with their candidates behind where the model
                takes them; height and width are multiples of the model's `multiple_of`.
            noise: one standard normal vector a tile, as long as the model's prior
                (of length 0 for a model without a prior).

        Raises:
            OutOfMemory: the batch does not fit on the device.
            ComputeError: the runtime failed for another reason.
        """
        ...


@runtime_checkable
class BesideRuntime(Runtime, Protocol):
    """A runtime that also restores several batches at a time, each with a share of the device."""

    abreast: int
    """How many threads may be in `restore_beside` at a time."""

    def restore_beside(
        self, blurred: Float32[np.ndarray, "n planes h w"], noise: Float32[np.ndarray, "n c"]
    ) -> Float32[np.ndarray, "n 3 h w"]:
        """As `restore`, to the last bit."""
        ...


@runtime_checkable
class SizedRuntime(Runtime, Protocol):
    """A runtime whose graph may take tiles of one size alone, one at a time."""

    size: tuple[int, int] | None
    """Height and width of the tiles, in pixels; None where any will do."""


@runtime_checkable
class PhotoRuntime(Runtime, Protocol):
    """A runtime that can also give all tiles of a photo the prior of the whole photo."""

    def for_photo(
        self, blurred: Float32[np.ndarray, "1 3 h w"], noise: Float32[np.ndarray, "1 c"]
    ) -> Runtime:
        """Find a photo's prior, once; what comes back restores the photo's tiles with it.

        Args:
            blurred: the photo, sRGB-encoded, in [0, 1]; its sides are multiples of the
                model's `multiple_of`.
            noise: standard normal, as long as the model's prior; tiles need none any more.

        Raises:
            OutOfMemory: the photo does not fit on the device.
            ComputeError: the runtime failed for another reason.
        """
        ...


def open_runtime(
    model: str, runtime: str = "auto", device: str = "auto", precision: str = "auto"
) -> tuple[Runtime, ModelSpec]:
    """Find a model, and open it in a runtime.

    Args:
        model: a name in the zoo, or the path of a model folder or of an exported graph.
        runtime: one of `RUNTIMES`; "auto" is the first of `FASTEST` that can be had.
        device: "auto", "cpu", "cuda", "cuda:1", "mps"; only "auto" looks for another one
            where the first is missing.
        precision: one of `PRECISIONS`; "auto" is the fastest that the device computes in
            without a visible change.

    Raises:
        UsageError: there is no such runtime or precision.
        ModelError: the model cannot be found, or is damaged.
        RuntimeMissing: the runtime, device or precision is not on this machine.
    """
    _check("runtime", runtime, RUNTIMES)
    _check("precision", precision, PRECISIONS)
    found = Path(model) if model.endswith(".onnx") else zoo.find(model)
    missing: RuntimeMissing | None = None
    tries = _candidates(found, device) if runtime == "auto" else [(runtime, device)]
    for name, where in tries:
        try:
            return _open(found, name, where, precision)
        except RuntimeMissing as error:
            if where == tries[-1][1]:  # a missing card is no error where the processor will do
                missing = missing or error
    raise missing or ModelError(f"No runtime can open {model}")


def has_gpu_driver() -> bool:
    """Whether a graphics card's driver is here, as far as can be told without its libraries."""
    if sys.platform == "darwin":
        return os.uname().machine == "arm64"
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def _candidates(found: Path | zoo.Model, device: str) -> list[tuple[str, str]]:
    """The runtimes that may open this, each with a device, the fastest first.

    Those that are fast on a card are tried on a card: on the processor another one is faster.
    """
    if device == "auto":
        card = "mps" if sys.platform == "darwin" else "cuda"
        tries = [(name, card) for name in FASTEST["gpu"] if has_gpu_driver()]
        tries += [(name, "cpu") for name in FASTEST["cpu"]]
    else:
        on_card = () if device == "cpu" else FASTEST["gpu"]
        tries = [(name, device) for name in dict.fromkeys(on_card + FASTEST["cpu"])]
    if isinstance(found, Path):
        able = set(RUNTIMES) - {"torch"}
    else:
        able = set(RUNTIMES) if found.has_graph else {"torch"}
    return [(name, where) for name, where in tries if name in able]


def _open(
    found: Path | zoo.Model, name: str, device: str, precision: str
) -> tuple[Runtime, ModelSpec]:
    open_it = {"torch": _open_torch, "onnx": _open_onnx, "openvino": _open_openvino}[name]
    try:
        return open_it(found, device, precision)
    except ModuleNotFoundError as error:
        if error.name != PACKAGES[name]:
            raise
        extra = "" if name == "onnx" else f"[{name}]"
        raise RuntimeMissing(
            f"{PACKAGES[name]} is not installed", hint=f"pip install 'blurdm-cli{extra}'"
        ) from error


def _open_onnx(found: Path | zoo.Model, device: str, precision: str) -> tuple[Runtime, ModelSpec]:
    from blurdm_cli.engine.onnx_runtime import OnnxRuntime

    opened = OnnxRuntime(_graph(found), device, precision)
    return opened, opened.spec


def _open_openvino(
    found: Path | zoo.Model, device: str, precision: str
) -> tuple[Runtime, ModelSpec]:
    from blurdm_cli.engine.openvino_runtime import OpenVinoRuntime

    opened = OpenVinoRuntime(_graph(found), device, precision)
    return opened, opened.spec


def _graph(found: Path | zoo.Model) -> Path:
    return found if isinstance(found, Path) else found.graph()


def _open_torch(found: Path | zoo.Model, device: str, precision: str) -> tuple[Runtime, ModelSpec]:
    if isinstance(found, Path):
        raise UsageError(
            f"PyTorch does not run a graph such as {found}",
            hint="Name a model folder, or --runtime onnx",
        )
    from blurdm_cli.engine.torch_runtime import TorchRuntime

    return TorchRuntime(found, device, precision), found.spec


def _check(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(f"There is no {option} {value!r}", hint=f"Known: {', '.join(known)}")
