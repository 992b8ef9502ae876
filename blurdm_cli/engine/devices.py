"""Detection of devices, without importing their libraries."""

import ctypes
import os
import sys

from blurdm_cli.errors import RuntimeMissing, UsageError

ALL_CUDA = "all-cuda"
"""Name of all graphics cards that this process may use."""


def has_gpu_driver() -> bool:
    """Whether a GPU driver seems to be installed; checked without the GPU's libraries."""
    if sys.platform == "darwin":
        return os.uname().machine == "arm64"
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def cuda_count() -> int:
    """Number of CUDA devices that the driver shows this process.

    The driver heeds CUDA_VISIBLE_DEVICES and the limits of containers.
    """
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return 0
    return count.value


def list_devices(device: str) -> list[str]:
    """List the devices that an option names: one, several with commas, or "all-cuda".

    Raises:
        UsageError: one is named twice, or "auto" or "all-cuda" is one of several.
        RuntimeMissing: there is no CUDA device.
    """
    if device == ALL_CUDA:
        if count := cuda_count():
            return [f"cuda:{number}" for number in range(count)]
        raise RuntimeMissing(
            "There is no CUDA device here",
            hint="blurdm doctor shows what is missing; --device auto picks what works",
        )
    names = [name.strip() for name in device.split(",")]
    alone = {"", "auto", ALL_CUDA} & set(names)
    if len(names) > 1 and (alone or len(set(names)) < len(names)):
        raise UsageError(
            f"--device cannot be {device}", hint="Name each device once, as in cuda:0,cuda:1"
        )
    return names
