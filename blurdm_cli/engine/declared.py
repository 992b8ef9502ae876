"""Read what a graph declares about its inputs and outputs: names, types and shapes."""

from collections.abc import Sequence

import onnxruntime as ort

from blurdm_cli.engine.foreign import TYPES, Size
from blurdm_cli.errors import ModelError
from blurdm_cli.spec import Layout


def picture_ends(
    session: ort.InferenceSession, name: str, layout: Layout | None
) -> tuple[ort.NodeArg, list[str]]:
    """The input of a graph that takes one picture, and the names of outputs that may be pictures.

    Args:
        session: the graph, opened.
        name: its name in messages.
        layout: the layout of its input, if it is known.

    Raises:
        ModelError: it has other inputs, or no such output.
    """
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or not _is_picture(inputs[0], layout):
        raise ModelError(
            f"{name} does not take one picture; its inputs are {_listed(inputs)}",
            hint="A deblurring graph has one input (n, 3, height, width) or"
            " (n, height, width, 3) of float, float16 or uint8",
        )
    batch = inputs[0].shape[0]
    if isinstance(batch, int) and batch != 1:
        raise ModelError(
            f"{name} only takes {batch} pictures at a time",
            hint="Export it again with a batch of 1, or of any size",
        )
    pictures = [output.name for output in outputs if output.type in TYPES]
    if not pictures:
        raise ModelError(
            f"{name} does not return a picture; its outputs are {_listed(outputs)}",
            hint="The output of a deblurring graph is of float, float16 or uint8",
        )
    return inputs[0], pictures


def layouts(shape: Sequence[object]) -> list[Layout]:
    """The layouts that the shape of a graph's input allows.

    Where the channels are not stated, the sides are both fixed or both free.

    Args:
        shape: four extents; those that are free are names or None.
    """
    places: dict[Layout, object] = {"nchw": shape[1], "nhwc": shape[3]}
    stated: list[Layout] = [layout for layout, planes in places.items() if planes == 3]
    if stated:
        return stated
    free: list[Layout] = [name for name, planes in places.items() if not isinstance(planes, int)]
    return [each for each in free if len({isinstance(s, int) for s in _sides(shape, each)}) == 1]


def fixed_size(shape: Sequence[object], layout: Layout) -> Size | None:
    """Height and width of a graph's input in pixels, if one is fixed; None if both are free.

    If only one of them is fixed, it stands for both.
    """
    sides = [side for side in _sides(shape, layout) if isinstance(side, int)]
    return (sides[0], sides[-1]) if sides else None


def _sides(shape: Sequence[object], layout: Layout) -> Sequence[object]:
    """Height and width in a shape."""
    return shape[2:] if layout == "nchw" else shape[1:3]


def _is_picture(end: ort.NodeArg, layout: Layout | None) -> bool:
    if len(end.shape) != 4 or end.type not in TYPES:
        return False
    return layout is not None or bool(layouts(end.shape))


def _listed(ends: Sequence[ort.NodeArg]) -> str:
    """Inputs or outputs with their types and shapes."""
    return ", ".join(f"{end.name}: {end.type[7:-1]} {end.shape}" for end in ends) or "none"
