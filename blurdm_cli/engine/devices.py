"""Which devices this machine has, without their libraries."""

import ctypes
import os
import sys


def has_gpu_driver() -> bool:
    """Whether a graphics card's driver is here, as far as can be told without its libraries."""
    if sys.platform == "darwin":
        return os.uname().machine == "arm64"
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True
