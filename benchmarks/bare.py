"""A runtime alone on tiles, without what the engine does around it: for the other benchmarks."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from blurdm_cli.engine.runtime import Runtime


def restore_tiles(runtime: Runtime, tiles: Sequence[np.ndarray], noise: np.ndarray) -> None:
    """Restore tiles as fast as the runtime can, and drop what comes out."""
    with ThreadPoolExecutor(runtime.max_concurrent) as threads:
        for _ in threads.map(lambda tile: runtime.restore_concurrently(tile, noise), tiles):
            pass
