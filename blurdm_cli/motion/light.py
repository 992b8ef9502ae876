"""Encoded values and linear light, by the sRGB curve (IEC 61966-2-1)."""

import cv2
import numpy as np
from jaxtyping import Float32

Values = Float32[np.ndarray, "*shape"]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue, ITU-R BT.601."""


def to_linear(encoded: Values) -> Values:
    """Light of sRGB-encoded values, both in [0, 1]."""
    curved: Values = cv2.pow((encoded + np.float32(0.055)) / np.float32(1.055), 2.4)
    return _choose(encoded <= 0.04045, encoded / np.float32(12.92), curved)


def to_encoded(linear: Values) -> Values:
    """sRGB-encoded values of light; what is not in [0, 1] is clipped."""
    linear = np.clip(linear, 0, 1)
    curved: Values = cv2.pow(linear, 1 / 2.4)
    curved = curved * np.float32(1.055) - np.float32(0.055)
    return _choose(linear <= 0.0031308, linear * np.float32(12.92), curved)


def as_encoded(values: Values, *, linear: bool) -> Values:
    """Encoded values of linear light, or of what is encoded already."""
    return to_encoded(values) if linear else values


def _choose(low: np.ndarray, straight: Values, curved: Values) -> Values:
    curved = curved.reshape(straight.shape)
    np.copyto(curved, straight, where=low)
    return curved
