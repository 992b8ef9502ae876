import numpy as np
import pytest


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """Smooth random detail."""
    import cv2

    small = np.random.default_rng(0).integers(0, 256, (20, 25, 3), dtype=np.uint8)
    return cv2.resize(small, (100, 80), interpolation=cv2.INTER_CUBIC)
