"""Graphs that take a picture and return it restored, for other programs.

    picture ── planes, noise ── network ── cropped and clipped ── restored picture

The noise of a seed is part of the graph. A model that takes candidates gets the picture itself in
their place, without confidence, as if no motion had been found. Pictures may have any size: they
are padded as by `engine.tiling`.
"""

from dataclasses import replace

import numpy as np
import onnx
import torch
from jaxtyping import Float
from onnx import compose, helper, numpy_helper
from torch import Tensor, nn

from blurdm_cli.engine.graph import INPUTS, OUTPUT, describe
from blurdm_cli.engine.trial import KIND
from blurdm_cli.export.onnx import Options, check, make_graph, trace
from blurdm_cli.spec import CANDIDATE_PLANES, BackboneSpec, GraphSpec, ModelSpec, PriorSpec
from blurdm_cli.zoo import Model

PICTURE, RESTORED = "input", "output"
"""Names of the input and the output."""

PREFIX = "picture_"
"""Prefix of names in the part before the network."""

FACTS = CANDIDATE_PLANES - 6
"""Planes of candidates besides the two pictures."""


class NetworkInputs(nn.Module):
    """Makes a network's inputs from pictures: planes of a size that it takes, and noise."""

    def __init__(self, spec: ModelSpec, seed: int) -> None:
        super().__init__()
        drawn = np.random.default_rng(seed).standard_normal((1, spec.prior_channels))
        self.multiple_of, self.candidates = spec.multiple_of, spec.candidates
        self.has_prior = spec.prior_channels > 0
        self.register_buffer("drawn", torch.from_numpy(drawn).float())

    def forward(
        self, pictures: Float[Tensor, "n 3 _ _"]
    ) -> tuple[Float[Tensor, "n planes h w"], Float[Tensor, "n c"]] | Float[Tensor, "n planes h w"]:
        planes = self.padded(self.padded(pictures, axis=2), axis=3)
        if self.candidates:
            facts = torch.zeros_like(planes[:, :1]).expand(-1, FACTS, -1, -1)
            planes = torch.cat([planes, planes, planes, facts], dim=1)
        if not self.has_prior:
            return planes
        return planes, self.get_buffer("drawn").expand(pictures.shape[0], -1)

    def padded(self, pictures: Float[Tensor, "n 3 _ _"], axis: int) -> Float[Tensor, "n 3 _ _"]:
        """Mirror the last rows or columns, up to a multiple."""
        length = pictures.shape[axis]
        whole = (length + self.multiple_of - 1) // self.multiple_of * self.multiple_of
        place = torch.arange(whole)
        mirrored = torch.minimum(place, 2 * length - 2 - place)
        return pictures.index_select(axis, torch.maximum(mirrored, torch.zeros_like(place)))


def make_picture_graph(model: Model, options: Options, seed: int) -> onnx.ModelProto:
    """Make a graph from `input` (n, 3, height, width), sRGB in [0, 1], to `output` of this shape.

    Args:
        model: the model.
        options: of the export; the size may be any.
        seed: seed of the noise that the diffusion starts from.

    Raises:
        UsageError, ModelError: as `export.onnx.make_graph`.
    """
    spec, size = model.spec, options.size
    up = [-(-side // spec.multiple_of) * spec.multiple_of for side in size or ()]
    network = make_graph(model, replace(options, size=(up[0], up[1]) if size else None))
    height, width = size or (spec.multiple_of + 3, 2 * spec.multiple_of + 5)
    axes = None if size else {"pictures": {0: "batch", 2: "height", 3: "width"}}
    names = list(INPUTS[: 2 if spec.prior_channels else 1])
    before = trace(
        NetworkInputs(spec, seed),
        (torch.rand(1 if size else 2, 3, height, width),),
        ([PICTURE], names),
        axes,
        options.opset,
    )
    joints = [(PREFIX + name, name) for name in names]
    before.ir_version = network.ir_version
    graph = compose.merge_models(
        compose.add_prefix(before, PREFIX, inplace=True), network, io_map=joints
    )
    _finish(graph.graph)
    del graph.metadata_props[:]
    helper.set_model_props(graph, describe(picture_spec(spec, size), options.precision))
    check(graph)
    return graph


def picture_spec(spec: ModelSpec, size: tuple[int, int] | None) -> ModelSpec:
    """The model that such a graph is: one of a third-party graph, without prior and candidates."""
    return replace(
        spec,
        backbone=BackboneSpec(KIND),
        prior=PriorSpec("none", 0),
        candidates=False,
        multiple_of=1,
        smallest=1,
        graph=GraphSpec(PICTURE, RESTORED, one_by_one=size is not None, openvino="bf16"),
    )


def _finish(graph: onnx.GraphProto) -> None:
    """Name the input, crop the output to its size and clip it."""
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name == PREFIX + PICTURE:
                node.input[place] = PICTURE
    [given] = graph.input
    given.name = PICTURE
    axes = {"from": [0, 0], "axes": [2, 3]}
    graph.initializer.extend(
        [
            *(numpy_helper.from_array(np.array(v), f"{PREFIX}{k}") for k, v in axes.items()),
            numpy_helper.from_array(np.array(0, np.float32), f"{PREFIX}black"),
            numpy_helper.from_array(np.array(1, np.float32), f"{PREFIX}white"),
        ]
    )
    size, cropped, names = f"{PREFIX}size", f"{PREFIX}cropped", [f"{PREFIX}{k}" for k in axes]
    clipped = [cropped, f"{PREFIX}black", f"{PREFIX}white"]
    graph.node.extend(
        [
            helper.make_node("Shape", [PICTURE], [size], start=2),
            helper.make_node("Slice", [OUTPUT, names[0], size, names[1]], [cropped]),
            helper.make_node("Clip", clipped, [RESTORED]),
        ]
    )
    del graph.output[:]
    graph.output.add().CopyFrom(given)
    graph.output[0].name = RESTORED
