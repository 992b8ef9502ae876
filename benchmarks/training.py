"""How fast training goes here, and how near that is to what the machine can do.

    python benchmarks/training.py CROPS [--model blurdm-fast] [--batch 32] [--crop 256] [--compile]
    python benchmarks/training.py PHOTOS --model blurdm-tiny
    torchrun --nproc-per-node 2 benchmarks/training.py CROPS --batch 64

A model that weighs candidates draws from prepared CROPS, others blur PHOTOS on the device.

Drawing alone, then stage 3 as `blurdm train` runs it, with drawing and logging: crops per second,
the median of the rates that losses.csv keeps. The ceiling is what a 3x3 convolution of 256
channels reaches in the same precision, channels last. With torchrun, batches, rates and the ceiling
are those of all cards together.
"""

import argparse
import csv
import os
import platform
import statistics
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from blurdm_cli import zoo
from blurdm_cli.engine.torch_runtime import choose_device, has_fast_bf16, move
from blurdm_cli.networks.build import build
from blurdm_cli.training import ranks
from blurdm_cli.training.candidate_crops import CandidateCrops
from blurdm_cli.training.model import Networks
from blurdm_cli.training.pairs import Order, Source, read_photos
from blurdm_cli.training.photo_crops import PhotoCrops
from blurdm_cli.training.recipe import FUSION_RECIPE
from blurdm_cli.training.run import RunFolder
from blurdm_cli.training.stage3 import Stage3, WholeModel
from blurdm_cli.training.synthesis import Synthesis
from blurdm_cli.training.trainer import LOG_EVERY, Machine, Trainer


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path, help="a folder of prepared crops, or of photos")
    parser.add_argument("--model", default="blurdm-fast")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch", type=int, nargs="+", default=[32])
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--looks", type=int, default=4, help=f"of {LOG_EVERY} steps each")
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    torch.backends.cudnn.benchmark = True
    device = choose_device(ranks.device_of(options.device))
    if device.type == "cuda":
        torch.cuda.set_device(device)
    machine = Machine(device, has_fast_bf16(device), options.compile)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    print(f"{name}, torch {torch.__version__}, bf16 {machine.bf16}, compiled {machine.compiled}")
    model = zoo.find(options.model)
    source, own = _source(options.data, device, candidates=model.spec.candidates)
    ceiling = _ceiling(machine) * ranks.count()
    print(f"{ranks.count()} processes, convolution: {ceiling / 1e12:.1f} TFLOP/s")
    print("| batch | drawing alone, crops/s | training | waiting | TFLOP/s | of the ceiling |")
    print("|---|---|---|---|---|---|")
    for batch in options.batch:
        steps = LOG_EVERY * options.looks
        recipe = Stage3(**own | {"batch": batch, "crop": options.crop, "steps": steps})
        drawing = _drawing(source, recipe, device)
        networks = _networks(model)
        move(networks, device)
        work = _work(networks, source, recipe)
        rows = _rows(networks, source, recipe, machine)[1:]  # the first is compiled, and tuned
        rate = statistics.median(float(row["crops_per_second"]) for row in rows)
        waiting = statistics.median(float(row["drawing_share"]) for row in rows)
        reached = rate * work
        print(
            f"| {batch} | {drawing:.0f} | {rate:.0f} | {waiting:.0%} | {reached / 1e12:.2f}"
            f" | {reached / ceiling:.0%} |",
            flush=True,
        )


def _source(data: Path, device: torch.device, *, candidates: bool) -> tuple[Source, dict[str, Any]]:
    """The training crops, and what the recipe changes for them."""
    if candidates:
        return CandidateCrops([data], device), dict(FUSION_RECIPE)
    begin = time.monotonic()
    photos = list(read_photos(data).values())
    source = PhotoCrops(photos, Synthesis(), device)
    print(f"{len(photos)} photos read in {time.monotonic() - begin:.1f} s")
    return source, {}


def _networks(model: zoo.Model) -> Networks:
    networks = Networks(model.spec)
    networks.network = build(model.spec, model.weights())
    return networks


def _ceiling(machine: Machine) -> float:
    """FLOP per second of a large convolution, forwards."""
    large = machine.device.type == "cuda"
    dtype = torch.bfloat16 if machine.bf16 else torch.float32
    convolution = nn.Conv2d(256, 256, 3, padding=1, device=machine.device, dtype=dtype)
    images = torch.randn(32 if large else 1, 256, 128, 128, device=machine.device, dtype=dtype)
    move(convolution, machine.device)
    images = images.contiguous(memory_format=torch.channels_last)
    repeats, seconds = (20 if large else 3), []
    with torch.inference_mode():
        for _ in range(6):
            begin = time.monotonic()
            for _ in range(repeats):
                convolution(images)
            _wait(machine.device)
            seconds.append(time.monotonic() - begin)
    return 2 * 9 * 256**2 * images.numel() / 256 * repeats / statistics.median(seconds)


def _drawing(source: Source, recipe: Stage3, device: torch.device) -> float:
    """Crops per second where nothing is learnt from them."""
    steps, mine = 16, ranks.shares(recipe.batch, 1)
    for seed in (1, 2):  # the first warms up
        begin = time.monotonic()
        for step in range(steps):
            first = step * recipe.batch
            source.draw(Order(recipe.batch, recipe.crop, seed, first, only=mine))
        _wait(device)
        seconds = time.monotonic() - begin
    return steps * recipe.batch / seconds


def _work(networks: Networks, source: Source, recipe: Stage3) -> float:
    """FLOP of one crop, forwards and backwards."""
    batch = source.draw(Order(2, recipe.crop, seed=3))
    with FlopCounterMode(display=False) as counter:
        WholeModel(networks, recipe).loss(batch).backward()
    return counter.get_total_flops() / 2


def _rows(
    networks: Networks, source: Source, recipe: Stage3, machine: Machine
) -> list[dict[str, str]]:
    """What losses.csv keeps of a run."""
    validation = source.draw(Order(4, recipe.crop, seed=4))
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Path(folder))
        Trainer(WholeModel(networks, recipe), source, validation, recipe, machine, run).fit()

        def rows() -> list[dict[str, str]]:
            with (run.folder / "losses.csv").open() as file:
                return [row for row in csv.DictReader(file) if row["crops_per_second"]]

        return ranks.from_first(rows)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    with (
        ranks.joined(),
        open(os.devnull, "w") as nowhere,
        redirect_stdout(nowhere if ranks.rank() else sys.stdout),
    ):
        main()
