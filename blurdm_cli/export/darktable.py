"""Models for darktable 5.6 and later: a zip file with a description and a graph of pictures.

    denoise-NAME/config.json   name, task and sizes
    denoise-NAME/model.onnx    a graph of `export.picture`

Source: the description of models in darktable's sources (src/ai/README.md) and how it installs
them (src/common/ai_models.c).
"""

import json
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from blurdm_cli.spec import ModelSpec

TASK = "denoise"
"""darktable has no task for deblurring; this one takes pictures and keeps their size."""


def write_package(
    path: Path, graph: Path, spec: ModelSpec, size: tuple[int, int] | None = None
) -> None:
    """Write a package.

    Args:
        path: the file to write, `.dtmodel`.
        graph: a graph of pictures, ONNX.
        spec: of the model that it was exported from.
        size: the only height and width that it takes, if they are fixed; a square.
    """
    name = f"{TASK}-{spec.name}"
    config = {
        "id": name,
        "name": spec.name,
        "description": "Removes motion blur, without an estimate of the motion",
        "task": TASK,
        "version": spec.version,
        "backend": "onnx",
        "num_inputs": 1,
        "tiling": True,
        "spatial_dims": ["height", "width"],
    }
    if size:
        config["attributes"] = {"input_sizes": [size[0]]}
    with ZipFile(path, "w", ZIP_DEFLATED) as package:
        package.writestr(f"{name}/config.json", json.dumps(config, indent=2))
        package.write(graph, f"{name}/model.onnx")
