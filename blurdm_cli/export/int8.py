"""Conversion of an fp32 graph to int8: static quantisation of the backbone's convolutions.

Activations become uint8 and weights int8, with one scale per channel. CPUs with VNNI multiply
these fastest. The prior network, the backbone's first and last convolution, and the sum that
gives the restored image stay in fp32: they cost little and determine the colours.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from jaxtyping import Float32
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from blurdm_cli.engine.graph import INPUTS
from blurdm_cli.export.names import BACKBONE


class _Tiles(CalibrationDataReader):  # type: ignore[misc]
    """Calibration tiles, all with the same noise."""

    def __init__(
        self, tiles: Sequence[Float32[np.ndarray, "1 3 h w"]], prior_channels: int
    ) -> None:
        noise = np.random.default_rng(0).standard_normal((1, prior_channels)).astype(np.float32)
        values = ((tile, noise) if prior_channels else (tile,) for tile in tiles)
        self._feeds = iter([dict(zip(INPUTS, value, strict=False)) for value in values])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._feeds, None)


def quantise(
    graph: onnx.ModelProto, tiles: Sequence[Float32[np.ndarray, "1 3 h w"]], prior_channels: int
) -> onnx.ModelProto:
    """Quantise a graph.

    Args:
        graph: in fp32.
        tiles: blurred, in [0, 1]; they determine the ranges of activations.
        prior_channels: length of the noise vector; 0 without a prior.
    """
    with tempfile.TemporaryDirectory() as folder:
        plain, prepared, done = (Path(folder) / f"{name}.onnx" for name in ("a", "b", "c"))
        onnx.save(graph, plain)
        quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(done),
            _Tiles(tiles, prior_channels),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=_kept(onnx.load(prepared)),
        )
        return onnx.load(done)


def _kept(graph: onnx.ModelProto) -> list[str]:
    """The convolutions that stay in fp32."""
    convolutions = [node for node in graph.graph.node if node.op_type == "Conv"]
    inside = [node for node in convolutions if node.input[1].startswith(BACKBONE)]
    edges = {id(node) for node in (inside[:1] + inside[-1:])}
    quantised = {id(node) for node in inside} - edges
    return [node.name for node in convolutions if id(node) not in quantised]
