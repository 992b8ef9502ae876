"""Detection of devices, without importing their libraries."""

import ctypes
import os
import sys


def has_gpu_driver() -> bool:
    """Whether a GPU driver seems to be installed; checked without the GPU's libraries."""
    if sys.platform == "darwin":
        return os.uname().machine == "arm64"
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True
