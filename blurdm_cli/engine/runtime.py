"""The narrow waist: the one interface between the engine and whatever runs the networks."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from blurdm_cli import zoo
from blurdm_cli.errors import RuntimeMissing, UsageError
from blurdm_cli.spec import ModelSpec

RUNTIMES = ("auto", "torch")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")


@runtime_checkable
class Runtime(Protocol):
    """Runs a model on batches of tiles.

    Host arrays go in and host arrays come out, whatever the device, so that the
    engine needs no library of tensors. A runtime is not thread-safe.
    """

    name: str
    """What the user is told: "torch"."""
    device: str
    """What the user is told: "cpu", "cuda:0"."""
    precision: str
    """What the networks compute in: "fp32", "bf16", "fp16"."""

    def restore(
        self, blurred: Float32[np.ndarray, "n 3 h w"], noise: Float32[np.ndarray, "n c"]
    ) -> Float32[np.ndarray, "n 3 h w"]:
        """Deblur each tile, starting the diffusion from the given noise.

        Args:
            blurred: sRGB-encoded tiles in [0, 1]; height and width are multiples of
                the model's `multiple_of`.
            noise: one standard normal vector a tile, as long as the model's prior
                (of length 0 for a model without a prior).

        Raises:
            OutOfMemory: the batch does not fit on the device.
            ComputeError: the runtime failed for another reason.
        """
        ...


def open_runtime(
    model: str, runtime: str = "auto", device: str = "auto", precision: str = "auto"
) -> tuple[Runtime, ModelSpec]:
    """Find a model, and open it in a runtime.

    Args:
        model: a name in the zoo, or the path of a model folder.
        runtime: one of `RUNTIMES`.
        device: "auto", "cpu", "cuda", "cuda:1", "mps"; only "auto" looks for another one
            where the first is missing.
        precision: one of `PRECISIONS`; "auto" is the fastest that the device computes in
            without a visible change.

    Raises:
        UsageError: there is no such runtime or precision.
        ModelError: the model cannot be found, or is damaged.
        RuntimeMissing: the runtime, device or precision is not on this machine.
    """
    _check("runtime", runtime, RUNTIMES)
    _check("precision", precision, PRECISIONS)
    found = zoo.find(model)
    try:
        from blurdm_cli.engine.torch_runtime import TorchRuntime
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise RuntimeMissing(
            "PyTorch is not installed", hint="pip install 'blurdm-cli[torch]'"
        ) from error
    return TorchRuntime(found, device, precision), found.spec


def _check(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(f"There is no {option} {value!r}", hint=f"Known: {', '.join(known)}")
