"""The smallest model that ships, and tiles for it."""

import numpy as np

from blurdm_cli import zoo

TINY = "blurdm-tiny"
GRAPH = zoo.find(TINY).folder / zoo.GRAPH


def tiles(count: int = 2, height: int = 64, width: int = 64) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    blurred = rng.random((count, 3, height, width), dtype=np.float32)
    return blurred, rng.standard_normal((count, 64)).astype(np.float32)
