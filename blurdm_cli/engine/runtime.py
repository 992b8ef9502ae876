"""The interface between the engine and the libraries that run the networks."""

from abc import ABC, abstractmethod

import numpy as np
from jaxtyping import Float32


class Runtime(ABC):
    """Runs a model on batches of tiles.

    Inputs and outputs are host arrays on every device, so the engine needs no tensor library.
    Threads may share a runtime.
    """

    name: str
    """Name in options: "torch", "onnx", "openvino"."""
    device: str
    """Name in options: "cpu", "cuda:0"."""
    precision: str
    """Numeric precision: "fp32", "bf16", "fp16", "int8"."""
    fixed_size: tuple[int, int] | None = None
    """Height and width of tiles in pixels, if the graph only takes this size and a batch of 1."""
    max_concurrent: int = 1
    """Number of threads that `restore_concurrently` serves at a time."""
    has_photo_prior: bool = False
    """Whether tiles can share the prior of their whole photo; see `for_photo`."""

    @abstractmethod
    def restore(
        self, blurred: Float32[np.ndarray, "n planes h w"], noise: Float32[np.ndarray, "n c"]
    ) -> Float32[np.ndarray, "n 3 h w"]:
        """Deblur each tile, starting the diffusion from the given noise.

        Args:
            blurred: sRGB-encoded tiles in [0, 1], followed by their candidates if the model takes
                them; height and width are multiples of the model's `multiple_of`.
            noise: one standard normal vector per tile, as long as the model's prior
                (of length 0 for a model without a prior).

        Raises:
            OutOfMemory: the batch does not fit on the device.
            ComputeError: the runtime failed for another reason.
        """

    def restore_concurrently(
        self, blurred: Float32[np.ndarray, "n planes h w"], noise: Float32[np.ndarray, "n c"]
    ) -> Float32[np.ndarray, "n 3 h w"]:
        """Compute exactly what `restore` does, with a share of the device."""
        return self.restore(blurred, noise)

    def for_photo(
        self, blurred: Float32[np.ndarray, "1 3 h w"], noise: Float32[np.ndarray, "1 c"]
    ) -> "Runtime":
        """Compute the prior of a photo once, and return a runtime that restores its tiles with it.

        Args:
            blurred: the photo, sRGB-encoded, in [0, 1]; its sides are multiples of the model's
                `multiple_of`.
            noise: standard normal, as long as the model's prior; tiles then need none.

        Raises:
            OutOfMemory: the photo does not fit on the device.
            ComputeError: the runtime failed for another reason.
            NotImplementedError: `has_photo_prior` is false.
        """
        raise NotImplementedError(f"{self.name} has no prior for whole photos")
