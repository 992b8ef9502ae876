"""How far a frame in tiles is from the frame in one piece, for each backbone.

    python benchmarks/tiled.py PHOTO [NAME...] [--device cpu] [--prior] [--size 720 1280]

So many rows and columns of a photo go through networks in fp32, in the tiles that the backbone
takes, and whole. A name is a backbone's, or a model's folder. Backbones are of the published
sizes; their weights are random, with every parameter moved off its start, as some begin as the
identity; with --prior they have BlurDM's, one for all tiles of the photo. `change` is the root
mean square of what the network changes, `apart` that of the two results' difference: both in
levels of 255.
"""

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from blurdm_cli import zoo
from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.engine.pixels import white_of
from blurdm_cli.engine.torch_runtime import TorchRuntime
from blurdm_cli.machine import tune_allocator
from blurdm_cli.networks.build import BACKBONES, build, family
from blurdm_cli.photo.photo import read_photo
from blurdm_cli.physics.diffusion import schedule
from blurdm_cli.spec import BackboneSpec, PriorSpec, ScheduleSpec


def make_model(kind: str, with_prior: bool, folder: Path) -> zoo.Model:
    """A model folder with random weights."""
    values = schedule("released")
    named = ScheduleSpec("released", values.alpha, values.beta_bar)
    prior = (
        PriorSpec("blurdm", 256, "light", "image", named) if with_prior else PriorSpec("none", 0)
    )
    of_kind = family(kind)
    spec = of_kind.spec(kind, BackboneSpec(kind, of_kind.size(of_kind.usual)), prior)
    torch.manual_seed(0)
    network = build(spec)
    with torch.no_grad():
        for parameter in network.parameters():
            spread = 0.1 * parameter.std(correction=0) + 0.01
            parameter.add_(torch.randn_like(parameter) * spread)
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    zoo.write(folder, spec, weights, "Random weights.")
    return zoo.find(str(folder))


def rms(values: np.ndarray) -> float:
    """Root mean square, in levels of 255."""
    return float(255 * np.sqrt((values.astype(np.float64) ** 2).mean()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo", type=Path)
    parser.add_argument("names", nargs="*", default=list(BACKBONES))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--prior", action="store_true")
    parser.add_argument(
        "--size", type=int, nargs=2, default=(720, 1280), metavar=("ROWS", "COLUMNS")
    )
    options = parser.parse_args()
    tune_allocator()
    rows, columns = options.size
    pixels = cv2.resize(read_photo(options.photo).rgb(), (columns, rows))
    photo = (pixels / white_of(pixels)).astype(np.float32)
    print("| network | tile, halo | change | apart | seconds in tiles | whole |")
    print("|---" * 6 + "|")
    for name in options.names:
        with tempfile.TemporaryDirectory() as folder:
            if name in BACKBONES:
                model = make_model(name, options.prior, Path(folder, name))
            else:
                model = zoo.find(name)
            runtime = TorchRuntime(model, options.device, "fp32")
            found, seconds = [], []
            for tile in (None, max(rows, columns)):
                begin = time.perf_counter()
                found.append(Deblurrer(runtime, model.spec, tile=tile, guard="off")(photo))
                seconds.append(time.perf_counter() - begin)
        spec = model.spec
        print(
            f"| {spec.name} | {spec.tile}, {spec.halo} | {rms(found[1] - photo):.2f}"
            f" | {rms(found[0] - found[1]):.4f} | {seconds[0]:.0f} | {seconds[1]:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
