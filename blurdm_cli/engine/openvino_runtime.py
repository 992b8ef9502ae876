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


MOST_ABREAST = 4
"""Tiles that are computed side by side at most: each takes memory of its own."""

ROUNDS = 2
"""Tiles that each of these is given at a time, so that few wait for others to end."""


class OpenVinoRuntime:
    """Runs a graph on the processor. See `Runtime`.

    A tile alone is computed by all cores together. Of several, each core takes its own: cores
    that wait for each other after each layer of one tile do less, most of all where something
    else runs beside them, such as a video's encoder.
    """

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
        self._graph, self._core = graph, ov.Core()
        able = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self.precision = _choose_precision(precision, exported, has_bf16="BF16" in able)
        self._abreast = min(available_cores(), MOST_ABREAST)
        self.batch = self._abreast * ROUNDS
        self._queues = {1: self._open(1)}

    def restore(
        self, blurred: Float32[np.ndarray, "n 3 h w"], noise: Float32[np.ndarray, "n c"]
    ) -> Float32[np.ndarray, "n 3 h w"]:
        restored = np.empty_like(blurred)
        abreast = self._abreast if len(blurred) > 1 else 1
        try:
            if abreast not in self._queues:
                self._queues[abreast] = self._open(abreast)
            queue = self._queues[abreast]
            queue.set_callback(
                lambda request, place: np.copyto(
                    restored[place], request.get_output_tensor(0).data[0]
                )
            )
            for place in range(len(blurred)):
                given = dict(zip(INPUTS, (blurred[place, None], noise[place, None]), strict=True))
                given = {name: given[name] for name in self._inputs}
                queue.start_async(given, place, share_inputs=True)
            queue.wait_all()
        except MemoryError as error:
            raise OutOfMemory(self.device, tile=blurred.shape[-1]) from error
        except RuntimeError as error:
            if "alloc" in str(error).lower() or "memory" in str(error).lower():
                raise OutOfMemory(self.device, tile=blurred.shape[-1]) from error
            raise ComputeError(f"OpenVINO failed: {' '.join(str(error).split())}") from error
        return restored

    def _open(self, abreast: int) -> "ov.AsyncInferQueue":
        """Compile the graph for so many tiles side by side."""
        config = {
            "INFERENCE_PRECISION_HINT": HINTS.get(self.precision, "f32"),
            "INFERENCE_NUM_THREADS": available_cores(),
            "NUM_STREAMS": abreast,
        }
        try:
            compiled = self._core.compile_model(str(self._graph), "CPU", config)
        except RuntimeError as error:
            said = " ".join(str(error).split())
            raise ModelError(
                f"OpenVINO cannot open {self._graph}: {said[:200]}", hint="Try --runtime onnx"
            ) from error
        self._inputs = [entry.any_name for entry in compiled.inputs]
        return ov.AsyncInferQueue(compiled, abreast)


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
