"""What a graph that blurdm did not export takes and returns, found by running it.

    layout       the one that it runs in
    multiple     the smallest one whose odd multiples it returns at the size that it was given
    ranges       those with which it sharpens a blurred scene most, and changes a sharp one least

Neither alone tells the ranges apart: some networks hardly change values far larger than those that
they were trained on, and deblur shifted values nearly as well.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import onnxruntime as ort
from jaxtyping import Float32

from blurdm_cli.engine.foreign import TYPES, Size, from_graph, to_graph
from blurdm_cli.engine.scene import SIDE, psnr, scene, trial_scene
from blurdm_cli.errors import ModelError, UsageError
from blurdm_cli.spec import (
    BackboneSpec,
    Channels,
    GraphSpec,
    Layout,
    ModelSpec,
    Padding,
    PriorSpec,
)

KIND = "onnx"
"""Name of the backbone of a graph that blurdm did not export."""

RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (-0.5, 0.5))
"""Values of black and white, the most common first."""

MULTIPLES = (1, 2, 4, 8, 16, 32, 64, 128)
LARGEST_TILE = 512
KEPT_SHARE = 0.1
"""Weight of the sharp scene's PSNR beside the gain on the blurred one."""

MOST_KEPT = 50.0
"""A PSNR of the sharp scene above this, in dB, is no better."""

SAME = 0.3
"""Scores that differ less, in dB, are equal: then the more common range is taken."""

LEAST_PSNR = 15.0
"""A result less like the sharp scene, in dB, is not that of a deblurring graph."""

Range = tuple[float, float]


@dataclass(frozen=True)
class Asked:
    """Facts of a graph that the user states; None if they are to be found."""

    layout: Layout | None = None
    channels: Channels = "rgb"
    input_range: Range | None = None
    output_range: Range | None = None
    multiple_of: int | None = None
    padding: Padding = "mirror"
    tile: int | None = None
    halo: int | None = None


@dataclass(frozen=True)
class Found:
    """A graph's facts, and how well it did with them."""

    spec: ModelSpec
    size: Size | None
    """Height and width in pixels of the pictures that the graph takes; None if they are free."""
    gain: float
    """Gain in PSNR over the blurred scene, in dB."""


def fixed_size(shape: Sequence[object], layout: Layout) -> Size | None:
    """Height and width of a graph's input in pixels, if one is fixed; None if both are free.

    If only one of them is fixed, it stands for both.
    """
    height, width = shape[2:] if layout == "nchw" else shape[1:3]
    sides = [side for side in (height, width) if isinstance(side, int)]
    return (sides[0], sides[-1]) if sides else None


def find_facts(session: ort.InferenceSession, name: str, asked: Asked | None = None) -> Found:
    """Find what a graph takes and returns.

    Args:
        session: the graph, opened.
        name: its name in messages, and the model's.
        asked: facts that are known.

    Raises:
        ModelError: the graph does not take one picture and return one of the same size, or does
            not deblur.
        UsageError: an option contradicts the graph.
    """
    asked = asked or Asked()
    trial = _Trial(session, name, asked)
    layout, multiple_of, output = trial.find_form()
    size = fixed_size(trial.input.shape, layout)
    if size and asked.tile and size != (asked.tile, asked.tile):
        raise UsageError(f"{name} only takes {size[0]}x{size[1]} pixels", hint="Leave out --tile")
    graph, gain = trial.find_ranges(GraphSpec(trial.input.name, output, layout), multiple_of)
    tile = max(size) if size else _round_up(asked.tile or LARGEST_TILE, multiple_of)
    spec = ModelSpec(
        name,
        BackboneSpec(KIND),
        PriorSpec("none", 0),
        multiple_of=1 if size else multiple_of,
        smallest=1 if size else trial.find_smallest(layout, multiple_of, output),
        padding=asked.padding,
        tile=tile,
        halo=halo_of(min(size or (tile,)), asked.halo),
        graph=graph,
        licence="unknown",
    )
    return Found(spec, size, gain)


def halo_of(side: int, asked: int | None) -> int:
    """The halo of tiles whose shorter side is this, in pixels.

    Raises:
        UsageError: the one that is asked for does not fit.
    """
    if asked is None:
        return side // 8
    if 3 * asked > side:
        raise UsageError(
            f"A halo of {asked} pixels does not fit in a tile of {side} pixels",
            hint=f"The halo may be at most a third of the tile; try --halo {side // 8}",
        )
    return asked


@dataclass(frozen=True)
class _Tried:
    """A graph with ranges that were tried, and PSNRs against the sharp scene in dB."""

    graph: GraphSpec
    restored: float
    kept: float
    """Of the result for the sharp scene itself."""

    @property
    def score(self) -> float:
        return self.restored + KEPT_SHARE * min(self.kept, MOST_KEPT)


class _Trial:
    """Runs a graph that may fail."""

    def __init__(self, session: ort.InferenceSession, name: str, asked: Asked) -> None:
        inputs = session.get_inputs()
        self.input = inputs[0]
        if len(inputs) != 1 or len(self.input.shape) != 4 or self.input.type not in TYPES:
            takes = ", ".join(f"{i.name}: {i.type[7:-1]} {i.shape}" for i in inputs)
            raise ModelError(
                f"{name} does not take one picture; its inputs are {takes}",
                hint="A deblurring graph has one input (n, 3, height, width) or"
                " (n, height, width, 3) of float, float16 or uint8",
            )
        self._session, self._name, self._asked = session, name, asked
        self._error = ""

    def find_form(self) -> tuple[Layout, int, str]:
        """The layout, the multiple, and the name of the output with the restored picture."""
        for layout, multiple_of in product(self._layouts(), self._multiples()):
            height, width = self._sides(layout, _odd(multiple_of, 0), _odd(multiple_of, 2))
            given = self._picture(GraphSpec("", "", layout), scene(height, width)[1])
            for name, picture in self._run(given).items():
                if picture.shape == given.shape:
                    return layout, multiple_of, name
        raise ModelError(
            f"{self._name} returns no picture of the size that it is given: {self._error}",
            hint="Graphs that enlarge, or take other inputs too, are not supported; --layout and"
            " --multiple-of state what the trial does not find",
        )

    def find_ranges(self, graph: GraphSpec, multiple_of: int) -> tuple[GraphSpec, float]:
        """The graph with its ranges, and its gain on a blurred scene."""
        sharp, blurred = trial_scene(fixed_size(self.input.shape, graph.layout), multiple_of)
        tried = list(self._ranges(graph, sharp, blurred))
        stated = self._asked.input_range or self._asked.output_range
        likely = [each for each in tried if stated or each.restored >= LEAST_PSNR]
        if not likely:
            raise ModelError(
                f"{self._name} does not return the picture that it is given, whatever the range of"
                " its values",
                hint="blurdm models import takes --input-range and --output-range",
            )
        best = max(each.score for each in likely)
        chosen = next(each for each in likely if each.score >= best - SAME)
        return chosen.graph, chosen.restored - psnr(blurred, sharp)

    def find_smallest(self, layout: Layout, multiple_of: int, output: str) -> int:
        """The smallest side that the graph takes, among doublings of its multiple."""
        side = multiple_of
        while side < SIDE:
            given = self._picture(GraphSpec("", "", layout), scene(side, side)[1])
            found = self._run(given).get(output)
            if found is not None and found.shape == given.shape and np.isfinite(found).all():
                return side
            side *= 2
        return side

    def _layouts(self) -> list[Layout]:
        """The layouts that the shape of the input allows."""
        if self._asked.layout:
            return [self._asked.layout]
        places: dict[Layout, object] = {"nchw": self.input.shape[1], "nhwc": self.input.shape[3]}
        fitting = [layout for layout, planes in places.items() if planes == 3]
        if not fitting and not any(isinstance(extent, int) for extent in self.input.shape[1:]):
            return list(places)
        return fitting

    def _multiples(self) -> Sequence[int]:
        return (self._asked.multiple_of,) if self._asked.multiple_of else MULTIPLES

    def _sides(self, layout: Layout, height: int, width: int) -> Size:
        return fixed_size(self.input.shape, layout) or (height, width)

    def _ranges(
        self,
        graph: GraphSpec,
        sharp: Float32[np.ndarray, "1 3 h w"],
        blurred: Float32[np.ndarray, "1 3 h w"],
    ) -> Iterator["_Tried"]:
        """Run the graph on both scenes in each range, and read the results in each range."""
        for taken in (self._asked.input_range,) if self._asked.input_range else RANGES:
            form = replace(graph, channels=self._asked.channels, input_range=taken)
            restored, kept = (
                self._run(self._picture(form, each)).get(graph.output) for each in (blurred, sharp)
            )
            if restored is None or kept is None or not np.isfinite(restored).all():
                continue
            outputs = dict.fromkeys((taken, *RANGES))
            for given in (self._asked.output_range,) if self._asked.output_range else outputs:
                whole = replace(form, output_range=given)
                both = (np.clip(from_graph(each, whole), 0, 1) for each in (restored, kept))
                yield _Tried(whole, *(psnr(each, sharp) for each in both))

    def _picture(self, graph: GraphSpec, tiles: Float32[np.ndarray, "1 3 h w"]) -> np.ndarray:
        return to_graph(tiles, graph, TYPES[self.input.type])

    def _run(self, given: np.ndarray) -> dict[str, Any]:
        """Outputs by name; none if the graph does not take this."""
        quiet = ort.RunOptions()
        quiet.log_severity_level = 4
        names = [output.name for output in self._session.get_outputs()]
        try:
            found = self._session.run(None, {self.input.name: given}, quiet)
        except Exception as error:  # ONNX Runtime's errors share no base class
            self._error = self._error or " ".join(str(error).split())[:200]
            return {}
        return dict(zip(names, found, strict=True))


def _odd(multiple_of: int, more: int) -> int:
    """An odd multiple of at least 64 pixels, and `more` multiples after it."""
    times = -(-64 // multiple_of)
    return (times + 1 - times % 2 + more) * multiple_of


def _round_up(side: int, multiple_of: int) -> int:
    return -(-side // multiple_of) * multiple_of
