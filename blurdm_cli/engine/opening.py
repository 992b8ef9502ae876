"""Find a model, and open it in the fastest runtime that this machine has."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from blurdm_cli import zoo
from blurdm_cli.engine.devices import has_gpu_driver
from blurdm_cli.engine.graph import check_config
from blurdm_cli.engine.runtime import Runtime
from blurdm_cli.errors import ModelError, RuntimeMissing, UsageError
from blurdm_cli.spec import ModelSpec

if TYPE_CHECKING:
    from blurdm_cli.engine.onnx_runtime import OnnxRuntime
    from blurdm_cli.engine.openvino_runtime import OpenVinoRuntime

RUNTIMES = ("auto", "torch", "onnx", "openvino")
PRECISIONS = ("auto", "fp32", "bf16", "fp16", "int8")

PACKAGES = {"torch": "torch", "onnx": "onnxruntime", "openvino": "openvino"}
"""The package that each runtime imports."""

FASTEST = {"gpu": ("torch", "onnx"), "cpu": ("openvino", "torch", "onnx")}
"""Runtimes in the order that "auto" tries them; `blurdm bench` measures them."""


def open_runtime(
    model: str, runtime: str = "auto", device: str = "auto", precision: str = "auto"
) -> tuple[Runtime, ModelSpec]:
    """Find a model, and open it in a runtime.

    Args:
        model: a name in the zoo, or the path of a model folder or of an exported graph.
        runtime: one of `RUNTIMES`; "auto" is the first of `FASTEST` that is available.
        device: "auto", "cpu", "cuda", "cuda:1", "mps"; only "auto" falls back to another.
        precision: one of `PRECISIONS`; "auto" is the fastest on the device with no visible
            difference.

    Raises:
        UsageError: there is no such runtime or precision.
        ModelError: the model cannot be found, or is damaged.
        RuntimeMissing: this machine lacks the runtime, device or precision.
    """
    _check("runtime", runtime, RUNTIMES)
    _check("precision", precision, PRECISIONS)
    found = Path(model) if model.lower().endswith(".onnx") else zoo.find(model)
    missing: RuntimeMissing | None = None
    tries = _candidates(found, device) if runtime == "auto" else [(runtime, device)]
    for name, where in tries:
        try:
            return _open(found, name, where, precision)
        except RuntimeMissing as error:
            if where == tries[-1][1]:  # a missing GPU is no error if the CPU works
                missing = missing or error
    raise missing or ModelError(f"No runtime can open {model}")


def _candidates(found: Path | zoo.Model, device: str) -> list[tuple[str, str]]:
    """List the runtimes that may open this, each with a device, the fastest first.

    GPU runtimes are tried on the GPU first; on the CPU another runtime is the fastest.
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
        able = {"torch"} if found.shards else set()
        able |= {"onnx", "openvino"} if found.has_graph else set()
        if found.spec.graph and found.spec.graph.openvino == "none":
            able.discard("openvino")
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
        package = PACKAGES[name]
        raise RuntimeMissing(
            f"{package} is not installed", hint=f"pip install {package}"
        ) from error


def _open_onnx(found: Path | zoo.Model, device: str, precision: str) -> tuple[Runtime, ModelSpec]:
    from blurdm_cli.engine.onnx_runtime import OnnxRuntime

    return _checked(OnnxRuntime(*_graph(found, device, precision)), found)


def _open_openvino(
    found: Path | zoo.Model, device: str, precision: str
) -> tuple[Runtime, ModelSpec]:
    from blurdm_cli.engine.openvino_runtime import OpenVinoRuntime

    return _checked(OpenVinoRuntime(*_graph(found, device, precision)), found)


def _graph(
    found: Path | zoo.Model, device: str, precision: str
) -> tuple[Path, str, str, ModelSpec | None]:
    """Arguments of a runtime for graphs: only graphs that blurdm exported hold their spec."""
    if isinstance(found, Path):
        return found, device, precision, None
    return found.graph(), device, precision, found.spec


def _checked(
    opened: OnnxRuntime | OpenVinoRuntime, found: Path | zoo.Model
) -> tuple[Runtime, ModelSpec]:
    """Return a runtime and its graph's spec, if the model folder's config.json agrees with it."""
    if not isinstance(found, Path):
        check_config(found.spec, opened.spec, found.folder)
    return opened, opened.spec


def _open_torch(found: Path | zoo.Model, device: str, precision: str) -> tuple[Runtime, ModelSpec]:
    if isinstance(found, Path) or not found.shards:
        raise UsageError(
            f"PyTorch cannot run an ONNX graph such as {getattr(found, 'folder', found)}",
            hint="Use a model folder, or --runtime onnx",
        )
    from blurdm_cli.engine.torch_runtime import TorchRuntime

    return TorchRuntime(found, device, precision), found.spec


def _check(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(f"There is no {option} {value!r}", hint=f"Known: {', '.join(known)}")
