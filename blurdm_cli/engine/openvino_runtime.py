"""The runtime that runs an exported graph with OpenVINO, on the processor.

It computes in bfloat16 where the processor can, and needs no PyTorch.
"""

from pathlib import Path

import numpy as np
import openvino as ov
from jaxtyping import Float32

from blurdm_cli.engine.graph import INPUTS
from blurdm_cli.engine.onnx_runtime import OnnxRuntime
from blurdm_cli.engine.runtime import available_cores
from blurdm_cli.errors import ComputeError, ModelError, OutOfMemory, RuntimeMissing

HINTS = {"fp32": "f32", "bf16": "bf16"}
"""OpenVINO's words for precisions."""


class OpenVinoRuntime:
    """Runs a graph on the processor. See `Runtime`."""

    name = "openvino"
    device = "cpu"

    def __init__(self, graph: Path, device: str = "auto", precision: str = "auto") -> None:
        """Open a graph.

        Raises:
            ModelError: the graph is missing, damaged, or not blurdm's.
            RuntimeMissing: the device is not the processor, or it has not this precision.
        """
        if device not in ("auto", "cpu"):
            raise RuntimeMissing(
                f"OpenVINO runs on the processor here, not on {device!r}",
                hint="Try --runtime torch, or onnx",
            )
        opened = OnnxRuntime(graph, "cpu")  # OpenVINO does not read a graph's metadata
        self.spec, exported = opened.spec, opened.precision
        core = ov.Core()
        able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self.precision = _choose_precision(precision, exported, has_bf16="BF16" in able)
        config = {
            "INFERENCE_PRECISION_HINT": HINTS.get(self.precision, "f32"),
            "INFERENCE_NUM_THREADS": available_cores(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        try:
            self._request = core.compile_model(str(graph), "CPU", config).create_infer_request()
        except RuntimeError as error:
            said = " ".join(str(error).split())
            raise ModelError(
                f"OpenVINO cannot open {graph}: {said[:200]}", hint="Try --runtime onnx"
            ) from error
        self._inputs = [entry.any_name for entry in self._request.model_inputs]

    def restore(
        self, blurred: Float32[np.ndarray, "n 3 h w"], noise: Float32[np.ndarray, "n c"]
    ) -> Float32[np.ndarray, "n 3 h w"]:
        given = dict(zip(INPUTS, (blurred, noise), strict=True))
        try:
            found = self._request.infer({name: given[name] for name in self._inputs})
            return found[0].copy()
        except MemoryError as error:
            raise OutOfMemory(self.device, tile=blurred.shape[-1]) from error
        except RuntimeError as error:
            if "alloc" in str(error).lower() or "memory" in str(error).lower():
                raise OutOfMemory(self.device, tile=blurred.shape[-1]) from error
            raise ComputeError(f"OpenVINO failed: {' '.join(str(error).split())}") from error


def _choose_precision(precision: str, exported: str, *, has_bf16: bool) -> str:
    if exported != "fp32":  # what is quantised stays so
        if precision not in ("auto", exported):
            raise RuntimeMissing(
                f"The graph computes in {exported}, not in {precision}",
                hint=f"blurdm export onnx … --precision {precision}",
            )
        return exported
    if precision == "auto":
        return "bf16" if has_bf16 else "fp32"
    if precision not in HINTS or (precision == "bf16" and not has_bf16):
        raise RuntimeMissing(
            f"OpenVINO does not compute in {precision} on this processor",
            hint="--precision auto takes the fastest",
        )
    return precision
