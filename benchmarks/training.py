"""How fast training goes here, and how near that is to what the machine can do.

    python benchmarks/training.py PHOTOS [--model blurdm-fast] [--batch 32] [--crop 256] [--compile]

Drawing alone (photos are blurred on the device), then stage 3 as `blurdm train` runs it, with
drawing and logging: crops per second, the median of the rates that losses.csv keeps. The ceiling
is what a 3x3 convolution of 256 channels reaches in the same precision, channels last.
"""

import argparse
import csv
import platform
import statistics
import tempfile
import time
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from blurdm_cli import zoo
from blurdm_cli.engine.torch_runtime import choose_device, has_fast_bf16, move
from blurdm_cli.networks.build import build
from blurdm_cli.training.model import Networks
from blurdm_cli.training.pairs import Order, read_photos
from blurdm_cli.training.photo_crops import PhotoCrops
from blurdm_cli.training.run import RunFolder
from blurdm_cli.training.stage3 import Stage3, WholeModel
from blurdm_cli.training.synthesis import Synthesis
from blurdm_cli.training.trainer import LOG_EVERY, Machine, Trainer


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", type=Path)
    parser.add_argument("--model", default="blurdm-fast")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch", type=int, nargs="+", default=[32])
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--looks", type=int, default=4, help=f"of {LOG_EVERY} steps each")
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    torch.backends.cudnn.benchmark = True
    device = choose_device(options.device)
    machine = Machine(device, has_fast_bf16(device), options.compile)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    print(f"{name}, torch {torch.__version__}, bf16 {machine.bf16}, compiled {machine.compiled}")
    begin = time.monotonic()
    photos = list(read_photos(options.photos).values())
    source = PhotoCrops(photos, Synthesis(), device)
    print(f"{len(photos)} photos read in {time.monotonic() - begin:.1f} s")
    ceiling = _ceiling(machine)
    print(f"convolution: {ceiling / 1e12:.1f} TFLOP/s")
    print("| batch | drawing alone, crops/s | training | waiting | TFLOP/s | of the ceiling |")
    print("|---|---|---|---|---|---|")
    for batch in options.batch:
        recipe = Stage3(batch=batch, crop=options.crop, steps=LOG_EVERY * options.looks)
        drawing = _drawing(source, recipe, device)
        networks = _networks(options.model)
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


def _networks(name: str) -> Networks:
    model = zoo.find(name)
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


def _drawing(source: PhotoCrops, recipe: Stage3, device: torch.device) -> float:
    """Crops per second where nothing is learnt from them."""
    steps = 16
    for seed in (1, 2):  # the first warms up
        begin = time.monotonic()
        for step in range(steps):
            source.draw(Order(recipe.batch, recipe.crop, seed, step * recipe.batch))
        _wait(device)
        seconds = time.monotonic() - begin
    return steps * recipe.batch / seconds


def _work(networks: Networks, source: PhotoCrops, recipe: Stage3) -> float:
    """FLOP of one crop, forwards and backwards."""
    batch = source.draw(Order(2, recipe.crop, seed=3))
    with FlopCounterMode(display=False) as counter:
        WholeModel(networks, recipe).loss(batch).backward()
    return counter.get_total_flops() / 2


def _rows(
    networks: Networks, source: PhotoCrops, recipe: Stage3, machine: Machine
) -> list[dict[str, str]]:
    """What losses.csv keeps of a run."""
    validation = source.draw(Order(4, recipe.crop, seed=4))
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Path(folder))
        Trainer(WholeModel(networks, recipe), source, validation, recipe, machine, run).fit()
        with (run.folder / "losses.csv").open() as file:
            return [row for row in csv.DictReader(file) if row["crops_per_second"]]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
