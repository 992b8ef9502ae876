"""What each backbone costs with and without BlurDM's prior, beside the paper's Table 4.

    python benchmarks/backbones.py [--device auto] [--repeats 5] [BACKBONE...]

Untrained networks of the published sizes, in fp32, one image at a time. 1280x720 is padded to
what the backbone takes, as the engine does. Milliseconds are the median; megabytes are the
peak over what was there before, of the process on a processor, of PyTorch on a card. Each row
is a process of its own.
"""

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from blurdm_cli.engine.torch_runtime import choose_device, move
from blurdm_cli.machine import tune_allocator
from blurdm_cli.networks.build import BACKBONES, DeblurNetwork, family
from blurdm_cli.physics.diffusion import schedule
from blurdm_cli.spec import BackboneSpec, ModelSpec, PriorSpec, ScheduleSpec

PAPER = {
    ("mimo_unet", False): (153.93, 16.11, 31),
    ("mimo_unet", True): (158.10, 18.29, 42),
    ("stripformer", False): (170.02, 19.71, 48),
    ("stripformer", True): (174.18, 24.33, 55),
    ("fftformer", False): (131.53, 14.88, 131),
    ("fftformer", True): (135.69, 18.66, 141),
    ("loformer", False): (52.19, 16.35, 93),
    ("loformer", True): (56.35, 19.08, 99),
}
"""GMAC, millions of parameters and milliseconds at 256x256 on an RTX 3090: BlurDM, Table 4."""

SIZES = ((256, 256), (720, 1280))

HEAD = """
| backbone | prior | M | GMAC | ms 256x256 | MB | ms 1280x720 | MB | paper: GMAC | M | ms |
|---|---|---|---|---|---|---|---|---|---|---|"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("backbones", nargs="*", default=[k for k in BACKBONES if k != "unet"])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--row", choices=("with", "without"), help="print one row's numbers only")
    options = parser.parse_args()
    tune_allocator()
    if options.row:
        (kind,) = options.backbones
        print(json.dumps(measure(kind, options.row == "with", options.device, options.repeats)))
        return
    print(
        f"{platform.processor() or platform.machine()}, torch {torch.__version__},"
        f" {torch.get_num_threads()} threads, device {choose_device(options.device)}"
    )
    print(HEAD)
    for kind in options.backbones:
        for row in ("without", "with"):
            words = [sys.executable, __file__, kind, "--row", row]
            words += ["--device", options.device, "--repeats", str(options.repeats)]
            told = subprocess.run(words, check=True, capture_output=True, text=True).stdout
            print(_line(kind, row == "with", json.loads(told)), flush=True)


def measure(kind: str, with_prior: bool, device: str, repeats: int) -> dict[str, Any]:
    """Parameters, GMAC at 256x256, and milliseconds and megabytes at each of `SIZES`."""
    spec = _spec(kind, with_prior)
    network = DeblurNetwork(spec).eval()
    found: dict[str, Any] = {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "ms": [],
        "mb": [],
    }
    where = choose_device(device)
    move(network, where)
    for height, width in SIZES:
        padded = [-(-side // spec.multiple_of) * spec.multiple_of for side in (height, width)]
        image, noise = torch.rand(1, 3, *padded, device=where), torch.randn(1, 256, device=where)
        before = _megabytes(where)
        _run(network, image, noise)
        found["mb"].append(_megabytes(where) - before)
        seconds = [_run(network, image, noise) for _ in range(repeats)]
        found["ms"].append(1000 * statistics.median(seconds))
    found["gmac"] = _count(network, where)  # last: it takes memory of its own
    return found


def _spec(kind: str, with_prior: bool) -> ModelSpec:
    values = schedule("released")
    prior = PriorSpec("none", 0)
    if with_prior:
        named = ScheduleSpec("released", values.alpha, values.beta_bar)
        prior = PriorSpec("blurdm", 256, "paper", schedule=named)
    backbone = BackboneSpec(kind, family(kind).size(family(kind).usual))
    return family(kind).spec("benchmark", backbone, prior)


def _count(network: DeblurNetwork, where: torch.device) -> float:
    """Multiplications of convolutions, products and attention, in thousands of millions."""
    image, noise = torch.rand(1, 3, 256, 256, device=where), torch.randn(1, 256, device=where)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(image, noise)
    return counter.get_total_flops() / 2e9


@torch.inference_mode()
def _run(network: DeblurNetwork, image: Tensor, noise: Tensor) -> float:
    begin = time.perf_counter()
    network(image, noise)
    if image.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def _megabytes(device: torch.device) -> float:
    """The peak so far."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def _line(kind: str, with_prior: bool, found: dict[str, Any]) -> str:
    cells = [kind, "BlurDM" if with_prior else "none"]
    cells += [f"{found['parameters'] / 1e6:.2f}", f"{found['gmac']:.2f}"]
    for milliseconds, megabytes in zip(found["ms"], found["mb"], strict=True):
        cells += [f"{milliseconds:,.0f}", f"{megabytes:,.0f}"]
    paper = PAPER.get((kind, with_prior))
    cells += [str(number) for number in paper] if paper else ["", "", ""]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
