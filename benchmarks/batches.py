"""Whether tiles cost less in batches than one by one.

    python benchmarks/batches.py [--model blurdm-fast] [--side 256]

Prints the processor's time for each tile, in ms, of each runtime and number of tiles in a batch:
the least of several runs.
"""

import argparse
import time

import numpy as np

from blurdm_cli.engine.opening import open_runtime
from blurdm_cli.engine.runtime import Runtime
from blurdm_cli.spec import ModelSpec

BATCHES = (1, 2, 4, 8)
RUNTIMES = (("openvino", "bf16"), ("openvino", "fp32"), ("onnx", "fp32"))
RUNS = 5


def cost(runtime: Runtime, spec: ModelSpec, count: int, side: int) -> float:
    """Processor time for one of so many tiles in a batch, in ms."""
    rng = np.random.default_rng(0)
    tiles = rng.random((count, spec.planes, side, side), dtype=np.float32)
    noise = rng.standard_normal((count, spec.prior_channels)).astype(np.float32)
    runtime.restore(tiles, noise)  # allocates
    seconds = []
    for _ in range(RUNS):
        begin = time.process_time()
        runtime.restore(tiles, noise)
        seconds.append(time.process_time() - begin)
    return 1000 * min(seconds) / count


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--model", default="blurdm-fast")
    arguments.add_argument("--side", type=int, default=256)
    options = arguments.parse_args()
    print("| runtime |" + "".join(f" {count} |" for count in BATCHES))
    print("|---" * (1 + len(BATCHES)) + "|")
    for name, precision in RUNTIMES:
        runtime, spec = open_runtime(options.model, name, "cpu", precision)
        costs = (cost(runtime, spec, count, options.side) for count in BATCHES)
        print(f"| {name}, {precision} |" + "".join(f" {ms:.0f} |" for ms in costs), flush=True)


if __name__ == "__main__":
    main()
