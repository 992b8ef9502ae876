"""Check that a graph of pictures gives what the model gives without its motion."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime as ort
from jaxtyping import Float32, UInt8

from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.engine.torch_runtime import TorchRuntime
from blurdm_cli.export.picture import PICTURE
from blurdm_cli.export.verify import Agreement, check, compare, middle
from blurdm_cli.zoo import Model

Run = Callable[[Float32[np.ndarray, "1 3 h w"]], Float32[np.ndarray, "1 3 h w"]]


def verify_picture(
    model: Model,
    graph: Path,
    photo: UInt8[np.ndarray, "height width 3"],
    precision: str,
    size: tuple[int, int] | None = None,
    seed: int = 0,
) -> list[Agreement]:
    """Deblur pictures with the model in PyTorch, as `--motion off` does, and with the graph.

    Args:
        model: the model that the graph was exported from.
        graph: an ONNX graph, run by ONNX Runtime and, if it is installed, OpenVINO; or a file of
            OpenVINO.
        photo: a photo.
        precision: of the graph.
        size: the only height and width that it takes, if they are fixed.
        seed: seed of its noise.

    Returns:
        The agreement of each runtime, on noise of three sizes and on the middle of the photo.

    Raises:
        VerificationError: they differ by more than is allowed.
    """
    exact = TorchRuntime(model, "cpu", "fp32")
    deblur = Deblurrer(exact, model.spec, seed=seed, motion="off", guard="off")
    runs = dict(_runs(graph))
    found = []
    for what, picture in _pictures(model, photo, size):
        wanted = deblur(np.ascontiguousarray(picture[0].transpose(1, 2, 0)))
        for name, run in runs.items():
            found.append(compare(f"{what}, {name}", wanted.transpose(2, 0, 1)[None], run(picture)))
    return check(found, precision)


def _runs(graph: Path) -> Iterator[tuple[str, Run]]:
    """The runtimes that are installed here and read the file."""
    if graph.suffix == ".onnx":
        session = ort.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
        yield "onnx", lambda picture: session.run(None, {PICTURE: picture})[0]
    if find_spec("openvino"):
        from blurdm_cli.engine.openvino_runtime import core

        config = {"INFERENCE_PRECISION_HINT": "f32"}
        compiled = core().compile_model(str(graph), "CPU", config)
        yield "openvino", lambda picture: compiled(picture)[0]


def _pictures(
    model: Model, photo: UInt8[np.ndarray, "height width 3"], size: tuple[int, int] | None
) -> Iterator[tuple[str, Float32[np.ndarray, "1 3 h w"]]]:
    rng, step = np.random.default_rng(1), model.spec.multiple_of
    sizes = [size] if size else [(4 * step, 6 * step), (5 * step + 3, 4 * step + 7), (9, 2 * step)]
    for height, width in sizes:
        yield f"noise {height}x{width}", rng.random((1, 3, height, width), np.float32)
    height, width = size or (min(side, model.spec.tile, 500) for side in photo.shape[:2])
    yield f"the photo {height}x{width}", middle(photo, height, width)
