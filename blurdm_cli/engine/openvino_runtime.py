"""Runtime for exported graphs on OpenVINO, on the processor.

It computes in bfloat16 if the processor supports it, and needs no PyTorch.
"""

from functools import cache
from pathlib import Path
from queue import Queue
from threading import Lock

import numpy as np
import openvino as ov
from jaxtyping import Float32, Shaped

from blurdm_cli.engine.foreign import restore_with
from blurdm_cli.engine.graph import INPUTS, OUTPUT
from blurdm_cli.engine.onnx_runtime import OnnxRuntime
from blurdm_cli.engine.runtime import Runtime
from blurdm_cli.errors import ComputeError, MemoryFull, ModelError, OutOfMemory, RuntimeMissing
from blurdm_cli.machine import available_cores, lacks_memory, shares_cores
from blurdm_cli.spec import ModelSpec

HINTS = {"fp32": "f32", "bf16": "bf16"}
"""OpenVINO's names of precisions."""


MOST_CONCURRENT = 4
"""Maximum number of concurrent batches: each needs its own memory."""


Requests = Queue[ov.InferRequest]
"""Idle inference requests of one compiled graph."""


@cache
def core() -> ov.Core:
    """OpenVINO's core, one for all graphs, which lives as long as the process.

    Each core gives the thread that opens it a signal stack of its own and restores the one before
    when it is closed. If two cores are not closed in reverse order, or in another thread, the
    thread is left with a stack that has been freed, and the next signal (Ctrl-C) overwrites
    whatever lies there now.
    """
    return ov.Core()


class OpenVinoRuntime(Runtime):
    """Runs a graph on the processor. See `Runtime`.

    All cores share a single batch. Of several batches, each core computes its own: cores that
    wait for each other after each layer get less done, above all if another program runs at the
    same time, such as a video encoder.
    """

    name = "openvino"
    device = "cpu"

    def __init__(
        self,
        graph: Path,
        device: str = "auto",
        precision: str = "auto",
        spec: ModelSpec | None = None,
    ) -> None:
        """Open a graph, as `OnnxRuntime` does.

        Raises:
            ModelError: the graph is missing, damaged, or does not deblur pictures.
            RuntimeMissing: the device is not the processor, or it lacks this precision.
        """
        if device not in ("auto", "cpu"):
            raise RuntimeMissing(
                f"OpenVINO only runs on the processor here, not on {device!r}",
                hint="Try --runtime torch, or onnx",
            )
        opened = OnnxRuntime(graph, "cpu", spec=spec)  # OpenVINO does not read a graph's metadata
        self.spec, self.fixed_size, exported = opened.spec, opened.fixed_size, opened.precision
        self._types = opened.types
        self._graph = graph
        able = core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "auto" and self.spec.graph and self.spec.graph.openvino != "bf16":
            precision = exported
        self.precision = _choose_precision(precision, exported, has_bf16="BF16" in able)
        self.max_concurrent = min(available_cores(), MOST_CONCURRENT)
        self._requests: dict[int, Requests] = {}
        self._bindings = Lock()

    def restore(
        self, blurred: Float32[np.ndarray, "n planes h w"], noise: Float32[np.ndarray, "n c"]
    ) -> Float32[np.ndarray, "n 3 h w"]:
        return self._restore(1, blurred, noise)

    def restore_concurrently(
        self, blurred: Float32[np.ndarray, "n planes h w"], noise: Float32[np.ndarray, "n c"]
    ) -> Float32[np.ndarray, "n 3 h w"]:
        return self._restore(self.max_concurrent, blurred, noise)

    def _restore(
        self,
        concurrent: int,
        blurred: Float32[np.ndarray, "n planes h w"],
        noise: Float32[np.ndarray, "n c"],
    ) -> Float32[np.ndarray, "n 3 h w"]:
        graph = self.spec.graph
        if graph is None:
            given = dict(zip(INPUTS, (blurred, noise), strict=True))
            return self._infer(concurrent, given, OUTPUT, (len(blurred), 3, *blurred.shape[2:]))
        return restore_with(
            graph,
            lambda each: self._infer(concurrent, {graph.input: each}, graph.output, each.shape),
            self._types[graph.input],
            blurred,
        )

    def _infer(
        self,
        concurrent: int,
        given: dict[str, np.ndarray],
        output: str,
        shape: tuple[int, ...],
    ) -> Shaped[np.ndarray, "n a b c"]:
        """Compute a batch with the first idle request of a graph compiled for `concurrent` batches.

        Only the waiting runs in several threads at once: OpenVINO's bindings can deadlock if two
        threads set tensors at the same time.
        """
        with self._bindings:
            if concurrent not in self._requests:
                self._requests[concurrent] = self._open(concurrent)
        requests = self._requests[concurrent]
        request = requests.get()
        try:
            arrays = {
                name: np.require(array, self._types[name], ("C", "W"))
                for name, array in given.items()
                if name in self._types
            }
            restored = np.empty(shape, self._types[output])
            with self._bindings:
                for name, array in arrays.items():
                    request.set_tensor(name, ov.Tensor(array, shared_memory=True))
                request.set_tensor(output, ov.Tensor(restored, shared_memory=True))
                request.start_async()
            request.wait()
            return restored
        except (RuntimeError, MemoryError) as error:
            if lacks_memory(error):
                raise OutOfMemory(self.device, tile=max(shape)) from error
            raise ComputeError(f"OpenVINO failed: {' '.join(str(error).split())}") from error
        finally:
            requests.put(request)

    def _open(self, concurrent: int) -> Requests:
        """Compile the graph for this many concurrent batches."""
        config = {
            "INFERENCE_PRECISION_HINT": HINTS.get(self.precision, "f32"),
            "INFERENCE_NUM_THREADS": available_cores(),
            "NUM_STREAMS": concurrent,
        }
        if shares_cores():  # OpenVINO would bind its threads to the first cores in each process
            config["ENABLE_CPU_PINNING"] = False
        try:
            compiled = core().compile_model(str(self._graph), "CPU", config)
        except (RuntimeError, MemoryError) as error:
            if lacks_memory(error):
                raise MemoryFull("The model") from error
            said = " ".join(str(error).split())
            raise ModelError(
                f"OpenVINO cannot open {self._graph}: {said[:200]}", hint="Try --runtime onnx"
            ) from error
        requests: Requests = Queue()
        for _ in range(concurrent):
            requests.put(compiled.create_infer_request())
        return requests


def _choose_precision(precision: str, exported: str, *, has_bf16: bool) -> str:
    if exported != "fp32":  # a quantised graph keeps its precision
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
            hint="--precision auto picks the fastest",
        )
    return precision
