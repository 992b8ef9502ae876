"""Conversion of tiles to the inputs of a third-party graph, and of its outputs to tiles."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float32, Shaped

from blurdm_cli.spec import GraphSpec, ModelSpec

TYPES: dict[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(uint8)": np.dtype(np.uint8),
}
"""Types of values that pictures come in, by ONNX Runtime's names."""

CHANNELS_LAST = (0, 2, 3, 1)
CHANNELS_FIRST = (0, 3, 1, 2)

Size = tuple[int, int]
"""Height and width in pixels."""

Picture = Shaped[np.ndarray, "n a b c"]
"""Pictures in a graph's own layout, range and type."""


def restore_with(
    graph: GraphSpec,
    run: Callable[[Picture], Picture],
    kind: np.dtype[Any],
    tiles: Float32[np.ndarray, "n 3 h w"],
) -> Float32[np.ndarray, "n 3 h w"]:
    """Restore tiles with a graph.

    Args:
        graph: how it takes and returns pictures.
        run: runs the graph.
        kind: type of its input's values.
        tiles: sRGB-encoded, in [0, 1].
    """
    given = to_graph(tiles, graph, kind)
    if not graph.one_by_one:
        return from_graph(run(given), graph)
    return np.concatenate([from_graph(run(each[None]), graph) for each in given])


def to_graph(
    tiles: Float32[np.ndarray, "n 3 h w"], graph: GraphSpec, kind: np.dtype[Any]
) -> Picture:
    """Convert tiles from [0, 1] to a graph's input."""
    low, high = graph.input_range
    values = _ordered(tiles, graph) * np.float32(high - low) + np.float32(low)
    if graph.layout == "nhwc":
        values = values.transpose(CHANNELS_LAST)
    if kind == np.uint8:
        values = np.clip(np.rint(values), 0, 255)
    return np.ascontiguousarray(values, dtype=kind)


def from_graph(pictures: Picture, graph: GraphSpec) -> Float32[np.ndarray, "n 3 h w"]:
    """Convert a graph's output to tiles in [0, 1]; they are not clipped."""
    if graph.layout == "nhwc":
        pictures = pictures.transpose(CHANNELS_FIRST)
    low, high = graph.output_range
    values = (pictures.astype(np.float32) - np.float32(low)) / np.float32(high - low)
    return np.ascontiguousarray(_ordered(values, graph))


def _ordered(
    pictures: Float32[np.ndarray, "n 3 h w"], graph: GraphSpec
) -> Float32[np.ndarray, "n 3 h w"]:
    return pictures[:, ::-1] if graph.channels == "bgr" else pictures


def describe(spec: ModelSpec, size: Size | None) -> str:
    """One line on how the graph of a model takes and returns pictures.

    Args:
        spec: a model whose graph blurdm did not export.
        size: the fixed size of its pictures; None if it is free.
    """
    graph = spec.graph
    assert graph is not None  # callers know
    (low, high), (out_low, out_high) = graph.input_range, graph.output_range
    multiples = "any size" if spec.multiple_of == 1 else f"multiples of {spec.multiple_of} pixels"
    return (
        f"layout {graph.layout.upper()} · {graph.channels.upper()} · {low:g}..{high:g} in,"
        f" {out_low:g}..{out_high:g} out"
        f" · {f'{size[0]}x{size[1]} pixels' if size else multiples}"
        f" · padding {spec.padding} · tiles of {spec.tile}, halo {spec.halo}"
    )
