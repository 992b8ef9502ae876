"""An imported model, ready to be written as a model folder."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from blurdm_cli.spec import ModelSpec


@dataclass(frozen=True)
class Imported:
    """What `zoo.write` writes."""

    spec: ModelSpec
    weights: Mapping[str, np.ndarray]
    card: str
    others: Mapping[str, bytes] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What was found, for people, one line each."""


def origin(*paths: Path) -> dict[str, Any]:
    """The record of the files that a model was imported from: their names and SHA-256."""
    return {"imported": {path.name: _sha256(path) for path in paths}}


def card(spec: ModelSpec, facts: str) -> str:
    """The model card of an imported model, Markdown.

    Args:
        spec: the model.
        facts: what it is, in one or several lines.
    """
    rows = [f"| {file} | `{sha}` |" for file, sha in spec.training["imported"].items()]
    return "\n".join(
        [
            f"# {spec.name}",
            "",
            facts,
            "",
            f"Licence of the weights: {spec.licence}.",
            "",
            "Imported with `blurdm models import`; blurdm's authors did not train it.",
            "",
            "| file | SHA-256 |",
            "|---|---|",
            *rows,
            "",
        ]
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
