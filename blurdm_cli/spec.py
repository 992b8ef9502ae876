"""Contents of a model folder's config.json: everything that determines a model's output.

This module does not import the networks: names of backbones and priors are checked
where they are built.
"""

import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass, replace
from difflib import get_close_matches
from typing import Any, Literal

from blurdm_cli.errors import ModelError

FORMAT = 1
"""Version of the folder format; other versions are refused."""

CANDIDATE_PLANES = 10
"""Number of planes of a photo's candidates; see `motion.candidates`."""

PriorKind = Literal["none", "mlp", "noise", "blur", "blurdm"]
EncoderKind = Literal["paper", "light", "spectral"]
PriorScope = Literal["tile", "region", "image"]
FusionKind = Literal["one_plus_scale", "scale"]
Layout = Literal["nchw", "nhwc"]
Channels = Literal["rgb", "bgr"]
OpenVinoPrecision = Literal["bf16", "fp32", "none"]
Padding = Literal["mirror", "edge", "zeros"]


@dataclass(frozen=True)
class ScheduleSpec:
    """An exposure schedule, defined by its values; the name is only for people."""

    name: str
    alpha: tuple[float, ...]
    """α_0 … α_T: exposures, in units of the sharp image's exposure."""
    beta_bar: tuple[float, ...]
    """β̄_0 … β̄_T: standard deviations of the accumulated noise, in units of the latent."""


@dataclass(frozen=True)
class PriorSpec:
    """The network that estimates the latent prior, and its size."""

    kind: PriorKind = "blurdm"
    channels: int = 256
    """Length of the latent; 0 if `kind` is "none"."""
    encoder: EncoderKind = "light"
    scope: PriorScope = "tile"
    """"tile": one latent per tile, with tiles about as large as the training crop; "region":
    one per region of a tile, whatever its size (networks/regions.py); "image": one per photo."""
    schedule: ScheduleSpec | None = None
    """None if the prior is not a diffusion."""
    fusion: FusionKind = "one_plus_scale"
    """Transform of a feature F: (1 + scale) F + shift, or scale F + shift as in the paper."""


@dataclass(frozen=True)
class BackboneSpec:
    """A backbone and its sizes: the keyword arguments of its class."""

    kind: str
    sizes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class GraphSpec:
    """How a third-party graph takes and returns a picture."""

    input: str
    """Name of the input."""
    output: str
    """Name of the output."""
    layout: Layout = "nchw"
    channels: Channels = "rgb"
    input_range: tuple[float, float] = (0.0, 1.0)
    """Values of black and white in the input."""
    output_range: tuple[float, float] = (0.0, 1.0)
    """Values of black and white in the output."""
    one_by_one: bool = False
    """Whether the graph takes a batch of 1 only."""
    openvino: OpenVinoPrecision = "fp32"
    """Fastest precision in which OpenVINO gives the results of ONNX Runtime; "none" if it cannot
    run the graph."""

    def check(self) -> None:
        """Check that white is above black.

        Raises:
            ModelError: it is not, or one is not finite.
        """
        for low, high in (self.input_range, self.output_range):
            if not -math.inf < low < high < math.inf:
                raise ModelError(f"config.json: graph: white is {high:g}, and black {low:g}")


@dataclass(frozen=True)
class ModelSpec:
    """A model: its networks, the images it takes, and where its weights came from."""

    name: str
    backbone: BackboneSpec
    prior: PriorSpec
    multiple_of: int
    """Height and width of a network's input must be multiples of this."""
    candidates: bool = False
    """Whether the backbone also takes the deconvolved photo and weighs it (networks/fusion.py)."""
    tile: int = 256
    """Largest tile area that suits the model, as the side of a square in pixels."""
    halo: int = 32
    """Unreliable pixels at a tile's inner edges."""
    smallest: int = 1
    """Smallest height and width in pixels that the network takes."""
    padding: Padding = "mirror"
    """What extends a photo to a size that the network takes."""
    input_range: tuple[float, float] = (0.0, 1.0)
    """Values of black and white in the networks' input."""
    graph: GraphSpec | None = None
    """For a third-party graph; it has no prior and takes no candidates."""
    licence: str = "Apache-2.0"
    version: str = "0"
    """Changes whenever the weights do."""
    training: dict[str, Any] = field(default_factory=dict)
    """The recipe and its outcome, as recorded by `blurdm train`."""
    files: dict[str, str] = field(default_factory=dict)
    """SHA-256 of the weight files and the graph, by file name."""
    format: int = FORMAT

    @property
    def planes(self) -> int:
        """Planes of a tile: red, green and blue, and those of the candidates."""
        return 3 + CANDIDATE_PLANES * self.candidates

    @property
    def prior_channels(self) -> int:
        """Length of the noise vector that the model takes; 0 without a prior."""
        return 0 if self.prior.kind == "none" else self.prior.channels

    def to_json(self) -> dict[str, Any]:
        """Convert to plain lists, dictionaries, strings and numbers."""
        return asdict(self)

    def without_hashes(self) -> "ModelSpec":
        """The same spec without hashes, as before its weights were written."""
        return replace(self, files={})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ModelSpec":
        """Read what `to_json` wrote.

        Raises:
            ModelError: a key is unknown (the nearest known one is named), missing, of the
                wrong type or out of range, or the folder has another format.
        """
        if data.get("format") != FORMAT:
            raise ModelError(
                f"config.json has format {data.get('format')!r}; this version reads {FORMAT}",
                hint="Update blurdm, or fetch the model again",
            )
        spec: ModelSpec = _read(cls, data, "config.json")
        channels = 1 if spec.prior.kind == "none" else spec.prior.channels
        counts = {
            "multiple_of": spec.multiple_of,
            "smallest": spec.smallest,
            "tile": spec.tile,
            "channels": channels,
        }
        for name, value in counts.items():
            if value < 1:
                raise ModelError(f"config.json: {name} is {value}, which is below 1")
        if spec.smallest % spec.multiple_of and spec.smallest > 1:
            raise ModelError("config.json: smallest is not a multiple of multiple_of")
        if spec.halo < 0:
            raise ModelError(f"config.json: halo is {spec.halo}, which is below 0")
        if spec.graph:
            spec.graph.check()
            if spec.candidates or spec.prior.kind != "none":
                raise ModelError("config.json: a model with a graph has no prior and no candidates")
        return spec


def parse_json(text: str | bytes) -> Any:
    """Parse JSON from an untrusted source.

    Raises:
        ValueError: it is not JSON, or is nested too deeply for Python.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _read(kind: Any, value: Any, where: str) -> Any:
    """Turn plain JSON into `kind`: a dataclass, tuple, literal, union, or plain type."""
    if is_dataclass(kind):
        return _read_dataclass(kind, value, where)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        if value is None and type(None) in arguments:
            return None
        return _read(next(a for a in arguments if a is not type(None)), value, where)
    if origin is Literal:
        if value in arguments:
            return value
        raise ModelError(f"{where} is {value!r}, not one of {', '.join(map(str, arguments))}")
    if origin is tuple and isinstance(value, list | tuple):
        if arguments[-1] is not ... and len(value) != len(arguments):
            raise ModelError(f"{where} has {len(value)} values, not {len(arguments)}")
        return tuple(_read(arguments[0], item, where) for item in value)
    plain = origin or kind
    if plain is float and type(value) is int:
        return float(value)
    if type(value) is plain:
        return value
    raise ModelError(f"{where} is {value!r}, which is not of type {plain.__name__}")


def _read_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise ModelError(f"{where} is {value!r}, which is not an object")
    known = {f.name: f for f in fields(kind)}
    for key in value:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            raise ModelError(
                f"{where} has an unknown key {key!r}",
                hint=f"Did you mean {near[0]!r}?" if near else "Update blurdm",
            )
    for name, f in known.items():
        if name not in value and f.default is MISSING and f.default_factory is MISSING:
            raise ModelError(f"{where} has no {name!r}")
    hints = typing.get_type_hints(kind)
    return kind(**{k: _read(hints[k], v, f"{where}: {k}") for k, v in value.items()})
