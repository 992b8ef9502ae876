"""The narrow waist: the one interface between the engine and whatever runs the networks."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from blurdm_cli.errors import RuntimeMissing
from blurdm_cli.zoo import Model

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
