"""Detect what a third-party graph takes and returns, by running it.

    layout       the one that it runs in
    multiple     the smallest one whose odd multiples it returns at the size that it was given
    output       of those of the input's size, the one that is the sharpened scene
    ranges       those with which it sharpens a blurred scene most, and changes a sharp one least

Both criteria are needed to tell the ranges apart: some networks hardly change values far larger
than those that they were trained on, and others deblur shifted values nearly as well.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import onnxruntime as ort
from jaxtyping import Float32

from blurdm_cli.engine.declared import fixed_size, layouts, picture_ends
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
"""Name of the backbone of a third-party graph."""

RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (-0.5, 0.5))
"""Values of black and white, the most common first."""

MULTIPLES = (1, 2, 4, 8, 16, 32, 64, 128)
LARGEST_TILE = 512

SMALLEST_SIZE = 8
"""Least side in pixels of a graph of fixed size."""

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
class StatedFacts:
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
class GraphFacts:
    """A graph's facts, and how well it did with them."""

    spec: ModelSpec
    size: Size | None
    """Height and width in pixels of the pictures that the graph takes; None if they are free."""
    gain: float
    """Gain in PSNR over the blurred scene, in dB."""


def find_facts(
    session: ort.InferenceSession, name: str, stated: StatedFacts | None = None
) -> GraphFacts:
    """Find what a graph takes and returns.

    Args:
        session: the graph, opened.
        name: its name in messages, and the model's.
        stated: facts that are known.

    Raises:
        ModelError: the graph does not take one picture and return one of the same size, or does
            not deblur.
        UsageError: an option contradicts the graph.
    """
    stated = stated or StatedFacts()
    trial = _Trial(session, name, stated)
    layout, multiple_of, outputs = trial.find_form()
    size = fixed_size(trial.input.shape, layout)
    if size and min(size) < SMALLEST_SIZE:
        raise ModelError(
            f"{name} only takes {size[0]}x{size[1]} pixels, too few to deblur",
            hint=f"Export it again with sides that are free, or at least {SMALLEST_SIZE} pixels",
        )
    if size and stated.tile and size != (stated.tile, stated.tile):
        raise UsageError(f"{name} only takes {size[0]}x{size[1]} pixels", hint="Leave out --tile")
    graphs = [GraphSpec(trial.input.name, output, layout) for output in outputs]
    graph, gain = trial.find_ranges(graphs, multiple_of)
    tile = max(size) if size else _round_up(stated.tile or LARGEST_TILE, multiple_of)
    graph = replace(graph, one_by_one=trial.takes_one_by_one(graph, multiple_of))
    spec = ModelSpec(
        name,
        BackboneSpec(KIND),
        PriorSpec("none", 0),
        multiple_of=1 if size else multiple_of,
        smallest=1 if size else trial.find_smallest(graph, multiple_of),
        padding=stated.padding,
        tile=tile,
        halo=halo_of(min(size or (tile,)), stated.halo),
        graph=graph,
        licence="unknown",
    )
    return GraphFacts(spec, size, gain)


def halo_of(side: int, stated: int | None) -> int:
    """The halo of tiles whose shorter side is this, in pixels.

    Raises:
        UsageError: the one that is asked for does not fit.
    """
    if stated is None:
        return side // 8
    if 3 * stated > side:
        raise UsageError(
            f"A halo of {stated} pixels does not fit in a tile of {side} pixels",
            hint=f"The halo may be at most a third of the tile; try --halo {side // 8}",
        )
    return stated


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

    def __init__(self, session: ort.InferenceSession, name: str, stated: StatedFacts) -> None:
        self.input, self._outputs = picture_ends(session, name, stated.layout)
        self._session, self._name, self._stated = session, name, stated
        self._layouts = [stated.layout] if stated.layout else layouts(self.input.shape)
        self._error = ""

    def find_form(self) -> tuple[Layout, int, list[str]]:
        """The layout, the multiple, and the names of the outputs of the input's size."""
        for layout, multiple_of in product(self._layouts, self._multiples()):
            height, width = self._sides(layout, _odd(multiple_of, 0), _odd(multiple_of, 2))
            given = self._picture(GraphSpec("", "", layout), scene(height, width)[1])
            found = self._run(given)
            same = [name for name, picture in found.items() if picture.shape == given.shape]
            if same:
                return layout, multiple_of, same
            for name, picture in found.items():
                self._error = self._error or f"{name} is {picture.shape} for {given.shape}"
        raise ModelError(
            f"{self._name} returns no picture of the size that it is given: {self._error}",
            hint="Graphs that enlarge, or take other inputs too, are not supported; --layout and"
            " --multiple-of state what the trial does not find",
        )

    def find_ranges(self, graphs: Sequence[GraphSpec], multiple_of: int) -> tuple[GraphSpec, float]:
        """The graph with its output and its ranges, and its gain on a blurred scene.

        Args:
            graphs: the graph with each of the outputs that may be the restored picture.
            multiple_of: the sides of pictures are multiples of this.
        """
        size = fixed_size(self.input.shape, graphs[0].layout)
        sharp, blurred = trial_scene(size, multiple_of)
        tried = [each for graph in graphs for each in self._ranges(graph, sharp, blurred)]
        is_stated = self._stated.input_range or self._stated.output_range
        likely = [each for each in tried if is_stated or each.restored >= LEAST_PSNR]
        if not likely:
            raise ModelError(
                f"{self._name} does not return the picture that it is given, whatever the range of"
                " its values",
                hint="blurdm models import takes --input-range and --output-range",
            )
        best = max(each.score for each in likely)
        chosen = next(each for each in likely if each.score >= best - SAME)
        return chosen.graph, chosen.restored - psnr(blurred, sharp)

    def takes_one_by_one(self, graph: GraphSpec, multiple_of: int) -> bool:
        """Whether the graph does not take two pictures at a time."""
        height, width = self._sides(graph.layout, _odd(multiple_of, 0), _odd(multiple_of, 2))
        given = self._picture(graph, np.repeat(scene(height, width)[1], 2, axis=0))
        found = self._run(given).get(graph.output)
        return found is None or found.shape != given.shape

    def find_smallest(self, graph: GraphSpec, multiple_of: int) -> int:
        """The smallest side that the graph takes, among doublings of its multiple."""
        side = multiple_of
        while side < SIDE:
            given = self._picture(graph, scene(side, side)[1])
            found = self._run(given).get(graph.output)
            if found is not None and found.shape == given.shape and np.isfinite(found).all():
                return side
            side *= 2
        return side

    def _multiples(self) -> Sequence[int]:
        return (self._stated.multiple_of,) if self._stated.multiple_of else MULTIPLES

    def _sides(self, layout: Layout, height: int, width: int) -> Size:
        return fixed_size(self.input.shape, layout) or (height, width)

    def _ranges(
        self,
        graph: GraphSpec,
        sharp: Float32[np.ndarray, "1 3 h w"],
        blurred: Float32[np.ndarray, "1 3 h w"],
    ) -> Iterator["_Tried"]:
        """Run the graph on both scenes in each range, and read the results in each range."""
        for taken in (self._stated.input_range,) if self._stated.input_range else RANGES:
            form = replace(graph, channels=self._stated.channels, input_range=taken)
            restored, kept = (
                self._run(self._picture(form, each)).get(graph.output) for each in (blurred, sharp)
            )
            if restored is None or kept is None:
                continue
            if not (np.isfinite(restored).all() and np.isfinite(kept).all()):
                continue
            outputs = dict.fromkeys((taken, *RANGES))
            for given in (self._stated.output_range,) if self._stated.output_range else outputs:
                whole = replace(form, output_range=given)
                both = (np.clip(from_graph(each, whole), 0, 1) for each in (restored, kept))
                yield _Tried(whole, *(psnr(each, sharp) for each in both))

    def _picture(self, graph: GraphSpec, tiles: Float32[np.ndarray, "n 3 h w"]) -> np.ndarray:
        return to_graph(tiles, graph, TYPES[self.input.type])

    def _run(self, given: np.ndarray) -> dict[str, Any]:
        """Outputs of the types of pictures, by name; none if the graph does not take this."""
        quiet = ort.RunOptions()
        quiet.log_severity_level = 4
        try:
            found = self._session.run(self._outputs, {self.input.name: given}, quiet)
        except Exception as error:  # ONNX Runtime's errors share no base class
            self._error = self._error or " ".join(str(error).split())[:200]
            return {}
        return dict(zip(self._outputs, found, strict=True))


def _odd(multiple_of: int, more: int) -> int:
    """An odd multiple of at least 64 pixels, and `more` multiples after it."""
    times = -(-64 // multiple_of)
    return (times + 1 - times % 2 + more) * multiple_of


def _round_up(side: int, multiple_of: int) -> int:
    return -(-side // multiple_of) * multiple_of
