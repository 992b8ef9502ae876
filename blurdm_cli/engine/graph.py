"""Metadata of exported graphs, as `blurdm export onnx` writes it.

    blurdm     the contents of config.json, without training history and hashes
    precision  the graph's numeric precision: fp32, fp16, int8

The other keys (model, version, multiple_of, tile, halo, input_range, licence, weights) are
for people, and for programs other than blurdm.
"""

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

from blurdm_cli.errors import ModelError
from blurdm_cli.spec import ModelSpec, parse_json

SPEC = "blurdm"
PRECISION = "precision"

FREE = frozenset({"name", "licence", "training", "files"})
"""Fields of config.json that may differ from the graph's: they do not determine its output."""

INPUTS = ("blurred", "noise")
"""Names of the inputs: tiles (n, 3, h, w), or (n, 13, h, w) with candidates, and noise (n, c).
A model without a prior only has the tiles."""

OUTPUT = "restored"


def describe(spec: ModelSpec, precision: str) -> dict[str, str]:
    """Return the metadata of a model's graph."""
    short = replace(spec, training={}, files={})
    facts = {
        "model": spec.name,
        "version": spec.version,
        "weights": " ".join(f"{name}:{sha256}" for name, sha256 in sorted(spec.files.items())),
        "multiple_of": spec.multiple_of,
        "tile": spec.tile,
        "halo": spec.halo,
        "input_range": "0 1, sRGB-encoded RGB",
        "licence": spec.licence,
    }
    strings = {key: str(value) for key, value in facts.items()}
    return {SPEC: json.dumps(short.to_json()), PRECISION: precision, **strings}


def is_ours(metadata: Mapping[str, str]) -> bool:
    """Whether blurdm exported a graph with this metadata."""
    return SPEC in metadata and PRECISION in metadata


def understand(metadata: Mapping[str, str], graph: Path) -> tuple[ModelSpec, str]:
    """Read the spec and the precision from the metadata of a graph that blurdm exported.

    Raises:
        ModelError: a different version of blurdm exported it.
    """
    try:
        return ModelSpec.from_json(parse_json(metadata[SPEC])), metadata[PRECISION]
    except ValueError as error:
        raise ModelError(f"The metadata of {graph} cannot be read: {error}") from error


def check_config(config: ModelSpec, graph: ModelSpec, folder: Path) -> None:
    """Check that a model folder's config.json agrees with the metadata of its graph.

    Raises:
        ModelError: a field that determines the output differs.
    """
    for name in (f.name for f in fields(ModelSpec) if f.name not in FREE):
        said, true = getattr(config, name), getattr(graph, name)
        if said != true:
            raise ModelError(
                f"{folder / 'config.json'} contradicts its graph: {name} is {said}, not {true}",
                hint=f"Export it again: blurdm export onnx {folder} --into-model",
            )
