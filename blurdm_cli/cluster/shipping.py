"""Bring the driver's model to nodes that lack it or have another one of its name."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import ray

from blurdm_cli import zoo
from blurdm_cli.errors import ModelError


@dataclass(frozen=True)
class Parcel:
    """A model, to be opened on a node."""

    name: str
    """Its name or path."""
    fingerprint: str
    """As `zoo.fingerprint` returns it."""
    contents: ray.ObjectRef[dict[str, bytes]]
    """Its files by name, in the object store."""


def pack(name: str) -> Parcel:
    """Put a model into the object store.

    Raises:
        ModelError: there is no such model, or it cannot be read.
    """
    paths = [Path(name)] if Path(name).is_file() else sorted(zoo.find(name).folder.iterdir())
    files = {path.name: path.read_bytes() for path in paths if path.is_file()}
    return Parcel(name, zoo.fingerprint(name), ray.put(files))


def unpack(parcel: Parcel) -> tuple[str, Path | None]:
    """Find the model on this machine, or write it to a temporary folder.

    Returns:
        Its name or path, and the temporary folder.
    """
    with suppress(ModelError):
        if zoo.fingerprint(parcel.name) == parcel.fingerprint:
            return parcel.name, None
    folder = Path(tempfile.mkdtemp(prefix="blurdm-model-"))
    files = ray.get(parcel.contents)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    graph = Path(parcel.name).name
    return str(folder / graph if graph in files else folder), folder
