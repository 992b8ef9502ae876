"""Runtime for exported graphs on ONNX Runtime. It needs no PyTorch."""

import re
from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import onnxruntime as ort
from jaxtyping import Float32, Shaped

from blurdm_cli.engine.declared import fixed_size
from blurdm_cli.engine.devices import has_gpu_driver
from blurdm_cli.engine.foreign import TYPES, restore_with
from blurdm_cli.engine.graph import INPUTS, OUTPUT, is_ours, understand
from blurdm_cli.engine.runtime import Runtime
from blurdm_cli.engine.trial import find_facts
from blurdm_cli.errors import ComputeError, MemoryFull, ModelError, OutOfMemory, RuntimeMissing
from blurdm_cli.machine import available_cores, lacks_memory
from blurdm_cli.spec import ModelSpec

ERRORS_ONLY = 3
"""Log level. ONNX Runtime's warnings are about its own optimisations."""

SILENT = 4
"""Log level of a graph. ONNX Runtime raises its errors as well."""

PREFIX = re.compile(
    r"^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from .* failed:)?"
    r"(/onnxruntime_src/.*?\d .*?\) )?"
)
"""Start of ONNX Runtime's messages: codes, and names of its own functions."""

HINTS = {
    "external": "Files with the graph's weights have to be beside it, with the names they had",
    "opset import for domain": "It uses operations that are not part of ONNX: export it without",
    "not a registered function": "It uses operations that are not part of ONNX: export it without",
    "opset": "Update ONNX Runtime, or export it with a lower opset (--opset)",
    "ir version": "Update ONNX Runtime, or export it with a lower opset",
}
"""Hints by a part of ONNX Runtime's message, in small letters; the first counts."""


class OnnxRuntime(Runtime):
    """Runs a graph on one device. See `Runtime`.

    Input and output buffers stay on the device between batches of the same shape, so a photo's
    tiles allocate nothing. Threads take turns.
    """

    name = "onnx"

    def __init__(
        self,
        graph: Path,
        device: str = "auto",
        precision: str = "auto",
        spec: ModelSpec | None = None,
    ) -> None:
        """Open a graph.

        Args:
            graph: the file.
            device: "auto", "cpu", "cuda", "cuda:1".
            precision: "auto", or the graph's own.
            spec: the model, if its graph does not hold it; None reads it from the graph, or
                finds it by trying if blurdm did not export the graph.

        Raises:
            ModelError: the graph is missing, damaged, or does not deblur pictures.
            RuntimeMissing: the device is not available, or the graph has another precision.
        """
        self._session, self.device = open_session(graph, device)
        inputs = {entry.name: entry for entry in self._session.get_inputs()}
        outputs = self._session.get_outputs()
        self.types = {
            entry.name: TYPES[entry.type]
            for entry in (*inputs.values(), *outputs)
            if entry.type in TYPES
        }
        metadata = self._session.get_modelmeta().custom_metadata_map
        if is_ours(metadata):
            self.spec, self.precision = understand(metadata, graph)
        else:
            self.spec = spec or find_facts(self._session, graph.stem).spec
            self.precision = _precision(self.types.values())
        if precision not in ("auto", self.precision):
            raise RuntimeMissing(
                f"{graph.name} computes in {self.precision}, not in {precision}",
                hint=f"blurdm export onnx … --precision {precision}, or another --runtime",
            )
        own = self.spec.graph
        for end in (own.input, own.output) if own else (INPUTS[0], OUTPUT):
            if end not in self.types:
                raise ModelError(
                    f"{graph} has no input or output {end!r} that is a picture",
                    hint="It is not the graph that config.json describes: import it again",
                )
        shape = inputs[own.input if own else INPUTS[0]].shape
        self.fixed_size = fixed_size(shape, own.layout if own else "nchw")
        self._shape: tuple[int, ...] = ()
        self._binding: Any = None
        self._values: dict[str, Any] = {}
        self._turn = Lock()

    def restore(
        self, blurred: Float32[np.ndarray, "n planes h w"], noise: Float32[np.ndarray, "n c"]
    ) -> Float32[np.ndarray, "n 3 h w"]:
        graph = self.spec.graph
        if graph is None:
            given = dict(zip(INPUTS, (blurred, noise), strict=True))
            return self._run(given, OUTPUT, (len(blurred), 3, *blurred.shape[2:]))
        return restore_with(
            graph,
            lambda pictures: self._run({graph.input: pictures}, graph.output, pictures.shape),
            self.types[graph.input],
            blurred,
        )

    def _run(
        self, given: dict[str, np.ndarray], output: str, shape: tuple[int, ...]
    ) -> Shaped[np.ndarray, "n a b c"]:
        """Run the graph.

        Args:
            given: inputs by name; those that the graph lacks are left out.
            output: name of the output.
            shape: its shape.
        """
        given = {name: array for name, array in given.items() if name in self.types}
        try:
            with self._turn:
                first = next(iter(given.values()))
                if first.shape != self._shape:
                    self._bind({name: array.shape for name, array in given.items()}, output, shape)
                    self._shape = first.shape
                for name, array in given.items():
                    self._values[name].update_inplace(np.ascontiguousarray(array))
                self._session.run_with_iobinding(self._binding)
                return self._values[output].numpy().copy()
        except Exception as error:  # ONNX Runtime's errors share no base class
            if lacks_memory(error):
                self._shape = ()
                raise OutOfMemory(self.device, tile=max(shape)) from error
            raise ComputeError(f"ONNX Runtime failed on {self.device}: {error}") from error

    def _bind(
        self, inputs: dict[str, tuple[int, ...]], output: str, shape: tuple[int, ...]
    ) -> None:
        """Allocate device memory for batches of these shapes.

        A value created from an array in host memory would share the caller's memory, and the next
        batch would overwrite it.
        """
        kind, _, number = self.device.partition(":")
        place = (kind, int(number or 0))
        self._shape, self._values = (), {}  # free the old buffers before allocating new ones
        self._binding = self._session.io_binding()
        for name, wanted in (*inputs.items(), (output, shape)):
            self._values[name] = ort.OrtValue.ortvalue_from_shape_and_type(
                wanted, self.types[name], *place
            )
        for name in inputs:
            self._binding.bind_ortvalue_input(name, self._values[name])
        self._binding.bind_ortvalue_output(output, self._values[output])


def _precision(types: Iterable[np.dtype[Any]]) -> str:
    """Precision of a graph that does not state it, by the types of its inputs and outputs."""
    return "fp16" if np.dtype(np.float16) in types else "fp32"


def open_session(graph: Path, device: str) -> tuple[ort.InferenceSession, str]:
    """Open a graph on a device, and return the session and the device's name."""
    ort.set_default_logger_severity(ERRORS_ONLY)
    options = ort.SessionOptions()
    options.intra_op_num_threads = available_cores()
    options.inter_op_num_threads = 1
    options.log_severity_level = SILENT
    kind, _, number = device.partition(":")
    if kind == "auto":
        kind = "cuda" if has_cuda() else "cpu"
    if kind not in ("cpu", "cuda") or not (number or "0").isdigit() or (kind == "cpu" and number):
        raise RuntimeMissing(
            f"ONNX Runtime has no device {device!r} here", hint="Try --device cpu, or cuda"
        )
    providers: list[Any] = ["CPUExecutionProvider"]
    if kind == "cuda":
        _check_cuda(device)
        place = {"device_id": number or "0", "cudnn_conv_algo_search": "HEURISTIC"}
        providers.insert(0, ("CUDAExecutionProvider", place))
    session = _load(graph, options, providers)
    if kind == "cuda" and session.get_providers()[0] != "CUDAExecutionProvider":
        raise RuntimeMissing(
            "CUDA was requested, but ONNX Runtime only loaded the CPU provider",
            hint="blurdm doctor shows what is missing; --device cpu works without CUDA",
        )
    return session, f"cuda:{number or 0}" if kind == "cuda" else "cpu"


def _load(graph: Path, options: ort.SessionOptions, providers: list[Any]) -> ort.InferenceSession:
    if not graph.is_file():
        raise ModelError(f"There is no graph {graph}", hint="blurdm models list shows the models")
    try:
        return ort.InferenceSession(str(graph), options, providers=providers)
    except Exception as error:  # ONNX Runtime's errors share no base class
        if lacks_memory(error):
            raise MemoryFull("The model") from error
        said = PREFIX.sub("", " ".join(str(error).split()))
        hint = next(
            (hint for word, hint in HINTS.items() if word in said.lower()),
            "It is damaged or not an ONNX graph: copy or export it again",
        )
        raise ModelError(f"ONNX Runtime cannot open {graph}: {said[:200]}", hint=hint) from error


def has_cuda() -> bool:
    """Whether this ONNX Runtime includes CUDA, and a driver is installed.

    ONNX Runtime lists CUDA on machines without a GPU too, and falls back without an error.
    """
    return has_gpu_driver() and "CUDAExecutionProvider" in ort.get_available_providers()


def _check_cuda(device: str) -> None:
    if not has_cuda():
        what = "driver" if not has_gpu_driver() else "provider in ONNX Runtime"
        raise RuntimeMissing(
            f"The device {device!r} was requested, but there is no CUDA {what} here",
            hint="blurdm doctor shows what is missing; --device cpu works without CUDA",
        )
    ort.preload_dlls()
