"""A runtime alone on tiles, without what the engine does around it: for the other benchmarks."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from blurdm_cli.engine.runtime import BesideRuntime, Runtime


def restore_tiles(runtime: Runtime, tiles: Sequence[np.ndarray], noise: np.ndarray) -> None:
    """Restore tiles as fast as the runtime can, and drop what comes out."""
    restore, abreast = runtime.restore, 1
    if isinstance(runtime, BesideRuntime):
        restore, abreast = runtime.restore_beside, runtime.abreast
    with ThreadPoolExecutor(abreast) as threads:
        for _ in threads.map(lambda tile: restore(tile, noise), tiles):
            pass
