"""TensorFlow.js graph models: JSON topology and weight shards, in a folder or an npm package.

Nothing is unpacked to the disk, and no script of a package is run.
"""

import base64
import gzip
import tarfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from blurdm_cli.errors import ModelError
from blurdm_cli.spec import parse_json

TOPOLOGY = "model.json"

SUFFIXES = {".json", ".bin", ""}
"""Endings of the names of topologies and weights."""

CHUNK = 2**20

LARGEST = 2**31
"""Largest size in bytes of the files of a package."""

TYPES = {"float32": np.float32, "float16": np.float16, "int32": np.int32, "bool": np.bool_}
CODES = {"uint8": np.uint8, "uint16": np.uint16}
"""Types of quantised weights."""

Read = Callable[[str], bytes]
"""Reads a file of a package by its path from the package's root."""


@dataclass(frozen=True)
class Node:
    """A node of the topology."""

    name: str
    op: str
    inputs: tuple[str, ...]
    """Names of the nodes whose output it takes."""
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def text(self, attribute: str) -> str:
        """An attribute that holds text."""
        return base64.b64decode(self.attributes[attribute]["s"]).decode()

    def numbers(self, attribute: str) -> list[int]:
        """An attribute that holds a list of integers; empty if there is none."""
        found = self.attributes.get(attribute, {}).get("list", {}).get("i", [])
        return [int(number) for number in found]

    def number(self, attribute: str) -> int:
        """An attribute that holds an integer or a truth value; 0 if there is none."""
        found = self.attributes.get(attribute, {})
        return int(found.get("i", found.get("b", 0)))


@dataclass(frozen=True)
class GraphModel:
    """A network: nodes and weights by name, one input and one output."""

    nodes: Mapping[str, Node]
    weights: Mapping[str, np.ndarray]
    input: str
    output: str


@dataclass(frozen=True)
class Package:
    """A graph model and what its package says of itself."""

    model: GraphModel
    name: str
    """Name in the npm registry; empty for a folder without package.json."""
    licence: str
    licence_text: bytes
    """The LICENSE file; empty if there is none."""


def is_package(path: Path) -> bool:
    """Whether a path looks like a TensorFlow.js graph model rather than a checkpoint."""
    return path.is_dir() or path.name == TOPOLOGY or path.suffix.lower() == ".tgz"


def read_package(path: Path) -> Package:
    """Read a graph model.

    Args:
        path: an npm package (.tgz), a folder with model.json, or that file.

    Raises:
        ModelError: there is none, it is damaged, or it is not one picture in and one out.
    """
    try:
        if path.is_dir() or path.name == TOPOLOGY:
            folder = path if path.is_dir() else path.parent
            near = [file for depth in ("*", "*/*") for file in folder.glob(depth) if file.is_file()]
            named = {
                file.relative_to(folder).as_posix(): file
                for file in near
                if file.name != TOPOLOGY or path in (folder, file)
            }
            return _read(path, list(named), lambda name: named[name].read_bytes())
        files = _unpack(path)
        return _read(path, list(files), files.__getitem__)
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ModelError(f"{path} is not a package, or is damaged: {error}") from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"{path} is not a TensorFlow.js graph model, or is damaged: {error}",
            hint="A graph model has a model.json with a topology and the weight files it names",
        ) from error


def _unpack(path: Path) -> dict[str, bytes]:
    """Files of a package that matter, by name, read in their order in the archive.

    Raises:
        ModelError: they are too large together.
    """
    files: dict[str, bytes] = {}
    left = LARGEST
    with gzip.open(path) as data, tarfile.open(fileobj=data, mode="r:") as archive:
        for member in archive:
            name = PurePosixPath(member.name)
            if not member.isfile() or not (name.suffix in SUFFIXES or _is_licence(member.name)):
                continue
            left -= member.size
            if left < 0:
                raise ModelError(f"{path} holds more than {LARGEST >> 30} GB")
            file = archive.extractfile(member)
            assert file is not None  # members are files
            files[member.name] = file.read()
        while data.read(CHUNK):
            pass  # gzip compares the checksum at the end
    return files


def _read(path: Path, names: list[str], read: Read) -> Package:
    topologies = [name for name in names if PurePosixPath(name).name == TOPOLOGY]
    if len(topologies) > 1:
        raise ModelError(
            f"{path} has several models: {', '.join(sorted(topologies)[:5])}",
            hint="Unpack it, and import one of these files",
        )
    if not topologies:
        hint = "A TensorFlow.js graph model has one; a folder with config.json needs no import"
        raise ModelError(f"{path} has no {TOPOLOGY}", hint=hint)
    topology = PurePosixPath(topologies[0])
    root = next((name for name in names if PurePosixPath(name).name == "package.json"), "")
    facts = parse_json(read(root)) if root else {}
    licences = filter(_is_licence, sorted(names, key=len))
    return Package(
        _graph_model(
            parse_json(read(str(topology))), lambda file: read(str(topology.parent / file))
        ),
        str(facts.get("name", "")),
        str(facts.get("license", "unknown")),
        next(map(read, licences), b""),
    )


def _is_licence(name: str) -> bool:
    path = PurePosixPath(name.lower())
    return path.stem in ("license", "licence") and path.suffix in ("", ".md", ".txt")


def _graph_model(description: Mapping[str, Any], read: Read) -> GraphModel:
    nodes = {
        node["name"]: Node(
            node["name"],
            node["op"],
            tuple(i.removesuffix(":0") for i in node.get("input", ()) if not i.startswith("^")),
            node.get("attr", {}),
        )
        for node in description["modelTopology"]["node"]
    }
    weights: dict[str, np.ndarray] = {}
    for group in description["weightsManifest"]:
        weights |= _weights(group["weights"], b"".join(map(read, group["paths"])))
    return GraphModel(nodes, weights, *_ends(description, nodes))


def _ends(description: Mapping[str, Any], nodes: Mapping[str, Node]) -> tuple[str, str]:
    """Names of the input and of the output.

    Raises:
        ModelError: there are several.
    """
    signature = description.get("signature", {})
    inputs, outputs = (
        [end["name"].removesuffix(":0") for end in signature.get(kind, {}).values()]
        for kind in ("inputs", "outputs")
    )
    inputs = inputs or [node.name for node in nodes.values() if node.op == "Placeholder"]
    used = {name for node in nodes.values() for name in node.inputs}
    outputs = outputs or [name for name in nodes if name not in used]
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelError(f"The graph has {len(inputs)} inputs and {len(outputs)} outputs, not one")
    return inputs[0], outputs[0]


def _weights(entries: list[Mapping[str, Any]], data: bytes) -> dict[str, np.ndarray]:
    """Weights by name; quantised ones are restored to floats.

    Raises:
        ValueError: the data is too short or too long.
    """
    weights: dict[str, np.ndarray] = {}
    place = 0
    for entry in entries:
        quantised = entry.get("quantization", {})
        kind = np.dtype((TYPES | CODES)[quantised.get("dtype", entry["dtype"])]).newbyteorder("<")
        count = int(np.prod(entry["shape"], dtype=np.int64))
        array = np.frombuffer(data, kind, count, place).reshape(entry["shape"])
        place += count * kind.itemsize
        if "scale" in quantised:
            array = array * np.float32(quantised["scale"]) + np.float32(quantised["min"])
        weights[entry["name"]] = array.astype(TYPES[entry["dtype"]])
    if place != len(data):
        raise ValueError(f"the weight files have {len(data)} bytes, not {place}")
    return weights
