"""The model zoo: find a model by name or path, check its hashes, read it, write it.

A model is a folder:

    config.json            the fields of `spec.ModelSpec`
    *.safetensors          weights, in shards
    graph.onnx             the graph, if there is one; it reads its weights from the shards
    README.md              the model card
    *                      weights of a third-party graph, and licence notices

config.json holds the hashes of weights and graph.
"""

import hashlib
import json
import os
import shutil
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from blurdm_cli.errors import ModelError
from blurdm_cli.spec import ModelSpec, parse_json

DEFAULT = "blurdm-fast"
"""The model that is used if none is named."""

GRAPH = "graph.onnx"
"""File name of the graph in a model folder."""

SHARD_BYTES = 15 * 2**20
"""Largest size of a weight file, unless a single tensor is larger."""


@dataclass(frozen=True)
class Model:
    """A model folder and the contents of its config.json."""

    folder: Path
    spec: ModelSpec

    def weights(self) -> dict[str, np.ndarray]:
        """Read all weights, by parameter name, in their stored precision.

        Raises:
            ModelError: a file is missing, damaged, or not the one that was published.
        """
        from safetensors.numpy import load

        weights: dict[str, np.ndarray] = {}
        for name in self.shards:
            weights |= load(self._read(name))
        return weights

    @property
    def shards(self) -> list[str]:
        """The names of the weight files; none if the graph holds the weights."""
        if self.spec.graph:
            return []
        return [name for name in self.spec.files if name.endswith(".safetensors")]

    @property
    def has_graph(self) -> bool:
        """Whether the model has a graph, so that it can run without building its networks."""
        return GRAPH in self.spec.files

    def graph(self) -> Path:
        """Path of the model's graph, after checking the hashes of the graph and its weights.

        Raises:
            ModelError: there is none, or a file is missing, damaged, or not the one that
                was published.
        """
        if not self.has_graph:
            raise ModelError(
                f"The model {self.spec.name!r} has no graph",
                hint=f"blurdm export onnx {self.folder} -o {self.spec.name}.onnx",
            )
        for name in self.spec.files:
            self._read(name)
        return self.folder / GRAPH

    def _read(self, name: str) -> bytes:
        data = _read_bytes(self.folder / name)
        if hashlib.sha256(data).hexdigest() != self.spec.files[name]:
            raise ModelError(
                f"{self.folder / name} is damaged: its hash is not the one in config.json",
                hint="Fetch the model again, or install blurdm again",
            )
        return data

    def card(self) -> str:
        """The model card, Markdown."""
        return _read_bytes(self.folder / "README.md").decode()

    @property
    def size_bytes(self) -> int:
        """Size of weights and graph on disk.

        Raises:
            ModelError: a file is missing.
        """
        return sum(len(_read_bytes(self.folder / name)) for name in self.spec.files)

    @property
    def parameters(self) -> int:
        """Number of parameters of the networks; 0 if only the graph holds them."""
        return sum(array.size for array in self.weights().values())


def search_path() -> list[Path]:
    """Folders that hold model folders, in order of precedence."""
    named = os.environ.get("BLURDM_MODELS", "").split(os.pathsep)
    folders = [Path(entry) for entry in named if entry]
    checkout = Path(__file__).parents[1]
    if (checkout / "pyproject.toml").is_file():
        folders.append(checkout / "models")
    folders.append(user_folder())
    folders.append(Path(sysconfig.get_path("data")) / "share" / "blurdm" / "models")
    return [folder for folder in folders if folder.is_dir()]


def user_folder() -> Path:
    """The user's own models."""
    import platformdirs

    return Path(platformdirs.user_data_dir("blurdm", appauthor=False)) / "models"


def find(name: str) -> Model:
    """Find a model by its name in the zoo, or by the path of its folder.

    Raises:
        ModelError: there is no such model (the nearest name is given), or its
            config.json cannot be read.
    """
    if (Path(name) / "config.json").is_file():
        return _open(Path(name))
    for folder in search_path():
        if (folder / name / "config.json").is_file():
            return _open(folder / name)
    known = [folder.name for folder in every()]
    near = get_close_matches(name, known, n=1)
    raise ModelError(
        f"There is no model {name!r}",
        hint=f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known) or 'none'}",
    )


def fingerprint(name: str) -> str:
    """SHA-256 of the file that determines a model's output: its config.json, or a graph file.

    Raises:
        ModelError: there is no such model, or it cannot be read.
    """
    path = Path(name) if Path(name).is_file() else find(name).folder / "config.json"
    return hashlib.sha256(_read_bytes(path)).hexdigest()


def every() -> list[Path]:
    """Folders of all models, sorted by name; of two with the same name, the first one wins."""
    found: dict[str, Path] = {}
    for parent in search_path():
        for config in parent.glob("*/config.json"):
            found.setdefault(config.parent.name, config.parent)
    return [found[name] for name in sorted(found)]


def write(
    folder: Path,
    spec: ModelSpec,
    weights: Mapping[str, np.ndarray],
    card: str,
    others: Mapping[str, bytes] | None = None,
) -> Model:
    """Write a model folder; an existing one is replaced at the very end.

    Args:
        folder: the destination; its parent exists.
        spec: the model; its `files` are filled in.
        weights: arrays by parameter name, in the precision to store them in.
        card: the model card, Markdown.
        others: further files by name, such as a graph.

    Raises:
        ModelError: a weight is not finite in its precision; nothing is written.
    """
    from safetensors.numpy import save

    _check_finite(spec.name, weights)
    metadata = {"config": json.dumps(spec.without_hashes().to_json())}
    files = {name: save(shard, metadata) for name, shard in _shards(weights)} | dict(others or {})
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    spec = replace(spec, files=hashes)
    partial = folder.with_name(folder.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, data in files.items():
        (partial / name).write_bytes(data)
    (partial / "config.json").write_text(json.dumps(spec.to_json(), indent=2) + "\n")
    (partial / "README.md").write_text(card)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return Model(folder, spec)


def add_graph(model: Model, graph: Path) -> Model:
    """Move a graph into a model's folder, and add its hash to config.json.

    Args:
        model: a model folder.
        graph: the file, on the same disk as the folder; it is moved.
    """
    files = model.spec.files | {GRAPH: hashlib.sha256(_read_bytes(graph)).hexdigest()}
    added = Model(model.folder, replace(model.spec, files=files))
    config = model.folder / "config.json.part"
    config.write_text(json.dumps(added.spec.to_json(), indent=2) + "\n")
    graph.replace(model.folder / GRAPH)
    config.replace(model.folder / "config.json")
    return added


def example_photo() -> Path | None:
    """The blurred photo that comes with blurdm."""
    checkout, data = Path(__file__).parents[1], Path(sysconfig.get_path("data"))
    places = (checkout / "examples", data / "share" / "blurdm" / "examples")
    return next((p / "market.jpg" for p in places if (p / "market.jpg").is_file()), None)


def _open(folder: Path) -> Model:
    try:
        data: Any = parse_json(_read_bytes(folder / "config.json"))
    except ValueError as error:
        raise ModelError(f"{folder / 'config.json'} is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise ModelError(f"{folder / 'config.json'} is not a JSON object")
    try:
        return Model(folder, ModelSpec.from_json(data))
    except ModelError as error:
        raise ModelError(f"{folder}: {error}", hint=error.hint) from error


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read: {error.strerror}", hint="Fetch the model again"
        ) from error


def _check_finite(name: str, weights: Mapping[str, np.ndarray]) -> None:
    for key, array in weights.items():
        if not np.isfinite(array).all():
            raise ModelError(
                f"The weights {key!r} of the model {name!r} are not all finite in {array.dtype}",
                hint="They come from a damaged file or from a training run that went wrong",
            )


def _shards(weights: Mapping[str, np.ndarray]) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Split the weights into files of at most `SHARD_BYTES`, in the order of their names."""
    shards: list[dict[str, np.ndarray]] = [{}] if weights else []
    size = 0
    for name in sorted(weights):
        array = np.ascontiguousarray(weights[name])
        if shards[-1] and size + array.nbytes > SHARD_BYTES:
            shards.append({})
            size = 0
        shards[-1][name] = array
        size += array.nbytes
    for number, shard in enumerate(shards, start=1):
        last = f"-{number}-of-{len(shards)}" if len(shards) > 1 else ""
        yield f"model{last}.safetensors", shard
