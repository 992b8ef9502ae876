"""Gains of the choice between model and expert, with other numbers than those in use.

    python benchmarks/experts.py --expert EXPERT [--model MODEL] PAIRS...

Two tables of all pairs together: the mean gain in PSNR (dB) of the blurred photos after the best
shift, and the mean PSNR between sharp photos and what is made of them. One row each for the model
alone, for the expert alone, and for each `LEAD` and `LEAST` of blurdm_cli/engine/expert.py.
"""

import argparse
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from blurdm_cli.engine import expert as chosen
from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.engine.restored import Restored
from blurdm_cli.machine import tune_allocator
from blurdm_cli.training.evaluation import score
from blurdm_cli.training.metrics import psnr
from blurdm_cli.training.pairs import read_pairs
from blurdm_cli.zoo import DEFAULT

LEADS = (1.0, 1.1, 4 / 3)
LEASTS = (0.0, 0.3, 0.5, 0.8)

Photo = UInt8[np.ndarray, "h w 3"]


def pictures(photo: Photo, own: Restored, other: Restored) -> dict[str, Photo]:
    """The pictures of both models, and those of each choice."""
    found = {"model": own.pixels, "expert": other.pixels}
    for chosen.LEAD, chosen.LEAST in product(LEADS, LEASTS):
        name = f"lead {chosen.LEAD:.2f}, least {chosen.LEAST:.2f}"
        found[name] = chosen.choose(photo, replace(own, pixels=own.pixels.copy()), other).pixels
    return found


def figures(photo: Tensor, wanted: Tensor, model: Deblurrer, expert: Deblurrer) -> dict[str, float]:
    """PSNR of each picture, in dB: after the best shift, unless the photo is the sharp one."""
    pixels = np.ascontiguousarray(photo.permute(1, 2, 0).numpy())
    made = pictures(pixels, model.restore(pixels), expert.restore(pixels))
    tensors = {name: _unit(each) for name, each in ({"photo": pixels} | made).items()}
    target = wanted[None].float() / 255
    if photo is wanted:
        return {name: psnr(each, target).item() for name, each in tensors.items()}
    return {name: score(each, target, "shift")[0] for name, each in tensors.items()}


def _unit(pixels: Photo) -> Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", nargs="+", type=Path, help="folders of pairs")
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--expert", required=True)
    options = parser.parse_args()
    tune_allocator()
    torch.set_num_threads(1)
    model, expert = Deblurrer.open(options.model), Deblurrer.open(options.expert)
    gains: list[dict[str, float]] = []
    kept: list[dict[str, float]] = []
    for folder in options.pairs:
        for blurred, sharp in read_pairs(folder).values():
            found = figures(blurred, sharp, model, expert)
            gains.append({name: value - found["photo"] for name, value in found.items()})
            kept.append(figures(sharp, sharp, model, expert))
    print(f"{len(gains)} pairs\n\n| | gain, aligned | sharp photo kept |\n|---|---|---|")
    for name in list(gains[0])[1:]:
        gain, sharp_kept = (np.mean([each[name] for each in some]) for some in (gains, kept))
        print(f"| {name} | {gain:+.2f} | {sharp_kept:.1f} |")


if __name__ == "__main__":
    main()
