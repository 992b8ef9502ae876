"""Pixel types of the engine, and their value of white."""

import numpy as np
from jaxtyping import Float32, UInt8, UInt16

Pixels = (
    UInt8[np.ndarray, "height width 3"]
    | UInt16[np.ndarray, "height width 3"]
    | Float32[np.ndarray, "height width 3"]
)
"""A photo, sRGB-encoded: 8 bit, 16 bit, or float in [0, 1]."""

WHITE = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0, np.dtype(np.float32): 1.0}


def white_of(pixels: Pixels) -> float:
    """The value of white in this type of pixels."""
    if pixels.dtype not in WHITE or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise ValueError(f"{pixels.dtype} pixels of shape {pixels.shape} are not an RGB photo")
    if pixels.dtype == np.float32 and not (pixels.min() >= 0 and pixels.max() <= 1):
        raise ValueError(f"float pixels from {pixels.min()} to {pixels.max()} are not in [0, 1]")
    return WHITE[pixels.dtype]


def quantise(values: Float32[np.ndarray, "3 rows width"], into: Pixels, white: float) -> None:
    """Write values in [0, 1] as pixels, rounded half up; overwrites the values."""
    if into.dtype == np.float32:
        np.clip(values, 0, 1, out=into.transpose(2, 0, 1))
        return
    values *= white
    values += 0.5
    np.clip(values, 0, white, out=values)
    np.copyto(into, values.transpose(1, 2, 0), casting="unsafe")
