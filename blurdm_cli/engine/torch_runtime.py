"""Runtime for the networks themselves, on PyTorch."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from blurdm_cli.engine.runtime import Runtime
from blurdm_cli.errors import ComputeError, OutOfMemory, RuntimeMissing
from blurdm_cli.machine import available_cores, lacks_memory
from blurdm_cli.networks.build import build
from blurdm_cli.zoo import Model

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchRuntime(Runtime):
    """Runs a model's networks on one device. See `Runtime`."""

    has_photo_prior = True

    name = "torch"

    def __init__(self, model: Model, device: str = "auto", precision: str = "auto") -> None:
        """Load the weights onto the device.

        Raises:
            ModelError: the weights cannot be used.
            RuntimeMissing: the device or the precision is not available here.
        """
        self._device = choose_device(device)
        self._dtype = DTYPES[_choose_precision(precision, self._device)]
        self.device = str(self._device)
        self.precision = next(name for name, dtype in DTYPES.items() if dtype == self._dtype)
        self._network = build(model.spec, model.weights()).eval().requires_grad_(False)
        move(self._network, self._device)
        if self._device.type == "cpu":
            torch.set_num_threads(available_cores())

    def restore(
        self, blurred: Float32[np.ndarray, "n planes h w"], noise: Float32[np.ndarray, "n c"]
    ) -> Float32[np.ndarray, "n 3 h w"]:
        return self.run(self._network, blurred, noise).contiguous().cpu().numpy()

    def for_photo(
        self, blurred: Float32[np.ndarray, "1 3 h w"], noise: Float32[np.ndarray, "1 c"]
    ) -> "GuidedRuntime":
        prior = self.run(self._network.find_photo_prior, blurred, noise)
        return GuidedRuntime(self, self._network.restore, prior.cpu().numpy())

    @torch.inference_mode()
    def run(
        self,
        compute: Callable[[Tensor, Tensor], Tensor],
        blurred: Float32[np.ndarray, "n planes h w"],
        vectors: Float32[np.ndarray, "n c"],
    ) -> Float[Tensor, "n *shape"]:
        """Apply a function to tiles and their vectors on the device; the result is in fp32."""
        try:
            blurred, vectors = (np.require(a, np.float32, ("C", "W")) for a in (blurred, vectors))
            tiles = torch.from_numpy(blurred).to(self._device, memory_format=torch.channels_last)
            latents = torch.from_numpy(vectors).to(self._device)
            mixed = self._dtype != torch.float32
            with torch.autocast(self._device.type, self._dtype, enabled=mixed):
                return compute(tiles, latents).float()
        except (RuntimeError, MemoryError) as error:
            if lacks_memory(error):
                raise OutOfMemory(self.device, tile=blurred.shape[-1]) from error
            raise ComputeError(f"torch failed on {self.device}: {error}") from error


class GuidedRuntime(Runtime):
    """Restores the tiles of one photo, whose prior is known. See `Runtime`."""

    def __init__(
        self,
        whole: TorchRuntime,
        restore: Callable[[Tensor, Tensor], Tensor],
        prior: Float32[np.ndarray, "1 c"],
    ) -> None:
        self.name, self.device, self.precision = whole.name, whole.device, whole.precision
        self._whole, self._restore, self._prior = whole, restore, prior

    def restore(
        self, blurred: Float32[np.ndarray, "n planes h w"], noise: Float32[np.ndarray, "n c"]
    ) -> Float32[np.ndarray, "n 3 h w"]:
        priors = np.tile(self._prior, (len(blurred), 1))
        return self._whole.run(self._restore, blurred, priors).contiguous().cpu().numpy()


def move(network: nn.Module, device: torch.device) -> None:
    """Move a network to a device, in the memory layout that is fastest for convolutions."""
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def choose_device(device: str) -> torch.device:
    """Return a device by its name; "auto" is the best one available.

    Raises:
        RuntimeMissing: this machine lacks the device; there is no fallback.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda:0")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, _, number = device.partition(":")
    there = {
        "cpu": 1,
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
    }
    if kind not in there or not (number or "0").isdigit() or int(number or 0) >= there[kind]:
        built = torch.version.cuda or "no CUDA"
        raise RuntimeMissing(
            f"The device {device!r} is not on this machine (torch {torch.__version__}, {built})",
            hint="blurdm doctor shows what works; --device auto picks the best device",
        )
    return torch.device(kind, int(number or 0)) if kind == "cuda" else torch.device(kind)


def has_fast_bf16(device: torch.device) -> bool:
    """Whether the device supports bfloat16 in hardware, and so runs it faster than fp32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        found = torch.cpu.get_capabilities()
        return bool(found.get("avx512_bf16") or found.get("amx_bf16"))
    return False


def _choose_precision(precision: str, device: torch.device) -> str:
    if precision == "auto":
        return "bf16" if has_fast_bf16(device) else "fp32"
    if precision not in DTYPES:
        raise RuntimeMissing(
            f"PyTorch does not compute in {precision} here",
            hint="Export a graph: blurdm export onnx … --int8 PHOTOS",
        )
    if precision == "fp16" and device.type == "cpu":
        raise RuntimeMissing(
            "fp16 is slower than fp32 on a processor", hint="--precision auto picks the fastest"
        )
    return precision
