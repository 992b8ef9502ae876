"""Export of a model to Core ML: an 8-bit RGB image of one size in, and one out.

coremltools converts on any system, but only macOS runs the result: it is not verified.
"""

from pathlib import Path

import coremltools as ct
import torch
from jaxtyping import Float
from torch import Tensor, nn

from blurdm_cli.errors import ModelError
from blurdm_cli.export.onnx import Options, check_options, silence
from blurdm_cli.export.picture import PICTURE, RESTORED, NetworkInputs
from blurdm_cli.networks.build import build
from blurdm_cli.zoo import Model


class PictureNetwork(nn.Module):
    """A model's networks, as a function from pictures in [0, 1] to pictures in [0, 255]."""

    def __init__(self, model: Model, seed: int) -> None:
        super().__init__()
        self.inputs = NetworkInputs(model.spec, seed)
        self.network = build(model.spec, model.weights())

    def forward(self, pictures: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
        given = self.inputs(pictures)
        restored = self.network(*given) if isinstance(given, tuple) else self.network(given)
        height, width = pictures.shape[2:]
        return (restored[:, :, :height, :width] * 255).clamp(0, 255)


def write_coreml(model: Model, folder: Path, size: tuple[int, int], seed: int) -> None:
    """Write an .mlpackage, in fp32: the power of a spectrum exceeds the range of fp16.

    Raises:
        UsageError: the model cannot be exported.
        ModelError: coremltools does not convert the model.
    """
    check_options(model, Options())
    network = PictureNetwork(model, seed).eval().requires_grad_(False)
    picture = torch.rand(1, 3, *size)
    with silence():
        program = torch.export.export(network, (picture,)).run_decompositions({})
        for node in list(program.graph.nodes):
            if node.target is torch.ops.aten.alias.default:  # coremltools does not know it
                node.replace_all_uses_with(node.args[0])
                program.graph.erase_node(node)
        try:
            package = ct.convert(
                program,
                convert_to="mlprogram",
                inputs=[ct.ImageType(name=PICTURE, shape=picture.shape, scale=1 / 255)],
                outputs=[ct.ImageType(name=RESTORED)],
                compute_precision=ct.precision.FLOAT32,
                minimum_deployment_target=ct.target.macOS13,
            )
        except (NotImplementedError, RuntimeError, ValueError, TypeError) as error:
            said = " ".join(str(error).split())[:200]
            raise ModelError(
                f"coremltools cannot convert the model {model.spec.name!r}: {said}",
                hint="Export it as .onnx",
            ) from error
    package.license = model.spec.licence
    package.short_description = f"Removes motion blur: {model.spec.name} of blurdm"
    package.version = model.spec.version
    package.save(str(folder))
    (folder / "executorch_debug_handle_mapping.json").unlink(missing_ok=True)  # not Core ML's
