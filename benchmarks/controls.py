"""Does the diffusion help? The same training with each prior, and none.

    python benchmarks/controls.py PHOTOS PAIRS OUTPUT [--steps N] [--size tiny] [--seeds 0 1]
    python benchmarks/controls.py PHOTOS PAIRS OUTPUT --candidates CROPS... --held-out CROPS

Backbone, data, seeds and the number of optimiser steps are the same for all; those of a
model with a prior are shared among its three stages. A run that is there already is not
trained again. The table: gain over the blurred photo in dB on PAIRS, all seeds together,
and what of it the prior added to `none`, with 95 % intervals over the pairs (each pair's mean
over the seeds). `oracle` is the gain after stage 1, with the prior made from the answer, on 56
crops of the pairs' sharp photos, blurred as in training; `found` is that of the whole model.

With `--candidates` the models weigh candidates; CROPS are folders of `blurdm train candidates`.
`oracle` and `found` are then on 256 crops of the held-out folder, and PHOTOS are not used. The
motion of each pair is found once, for all models.
"""

import argparse
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.machine import available_cores
from blurdm_cli.motion.estimation import find_motion
from blurdm_cli.motion.found import Motion
from blurdm_cli.spec import ModelSpec
from blurdm_cli.training.candidate_crops import CandidateCrops
from blurdm_cli.training.evaluation import bootstrap
from blurdm_cli.training.layouts import PairFiles, find_pairs
from blurdm_cli.training.metrics import psnr
from blurdm_cli.training.model import Networks
from blurdm_cli.training.pairs import Batch, Order
from blurdm_cli.training.photo_crops import PhotoCrops
from blurdm_cli.training.synthesis import Synthesis
from blurdm_cli.zoo import find

PRIORS = ("none", "mlp", "noise", "blur", "blurdm")


def train(prior: str, seed: int, options: argparse.Namespace) -> Path:
    """Train one model, and return its folder."""
    run: Path = options.output / f"{options.size}-{prior}-{seed}"
    if not (run / "model").is_dir():
        words = ["train", "all", "-o", run]
        if options.candidates:
            words += [word for folder in options.candidates for word in ("--candidates", folder)]
            words += ["--val", _few_pairs(options), "--crop", 160]
        else:
            words += ["--data", options.photos, "--val", options.pairs, "--crop", 192]
        words += ["--prior", prior, "--seed", seed, "--size", options.size]
        words += ["--steps", options.steps, "--name", f"control-{prior}"]
        words += ["--batch", 4, "--prior-rate", 1]
        script = "from blurdm_cli.commands.app import main; main()"
        subprocess.run([sys.executable, "-c", script, *map(str, words)], check=True)
    return run / "model"


def _few_pairs(options: argparse.Namespace) -> Path:
    """Two of the pairs: training looks for the motion of each before it begins."""
    folder: Path = options.output / "pairs"
    for file in find_pairs(options.pairs)[:2]:
        for kind, photo in zip(("input", "target"), file.read(), strict=True):
            path = folder / kind / f"{Path(file.name).stem}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(photo.permute(1, 2, 0).numpy()).save(path)
    return folder


@cache
def _photos(pair: PairFiles) -> tuple[np.ndarray, Tensor, Tensor]:
    """The blurred photo, and both as images in [0, 1]."""
    blurred, sharp = pair.read()
    pixels = np.ascontiguousarray(blurred.permute(1, 2, 0).numpy())
    return pixels, blurred[None] / 255, sharp[None] / 255


@cache
def _motion(pair: PairFiles) -> Motion:
    return find_motion(_photos(pair)[0], available_cores())


def gains(model: Path, pairs: Path) -> np.ndarray:
    """The gain of each pair, in dB, in fp32."""
    deblurrer = Deblurrer.open(str(model), precision="fp32")
    found = []
    for pair in find_pairs(pairs):
        pixels, blurred, sharp = _photos(pair)
        motion = _motion(pair) if deblurrer.spec.candidates else None
        restored = torch.from_numpy(deblurrer.restore(pixels, motion=motion).pixels)
        after = psnr(restored.permute(2, 0, 1)[None] / 255, sharp)
        found.append((after - psnr(blurred, sharp)).item())
    return np.array(found)


def gains_on_crops(run: Path, spec: ModelSpec, crops: Batch) -> tuple[float, float]:
    """The mean gain in dB with the prior from the answer, after stage 1, and with the found one."""
    networks = Networks(spec).eval()
    found = []
    for stage, with_answer in (("stage1", True), ("stage3", False)):
        networks.load_state_dict(load_file(run / stage / "networks.safetensors"))
        with torch.no_grad():
            prior = None
            if spec.prior.kind != "none" and with_answer:
                prior = networks.oracle(crops.blurred, crops.sharp, crops.motion)
            elif spec.prior.kind != "none":
                torch.manual_seed(0)
                prior = networks.network.find_prior(crops.seen, networks.noise(crops.blurred))
            restored = networks.network.restore(crops.seen, prior).clamp(0, 1)
        gain = psnr(restored, crops.sharp) - psnr(crops.blurred, crops.sharp)
        found.append(gain.mean().item())
    return found[0], found[1]


def interval(values: np.ndarray) -> str:
    """The mean, and its bootstrap interval over the pairs."""
    low, high = bootstrap(values)
    return f"{values.mean():+.3f} ({low:+.3f} to {high:+.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("photos", "pairs", "output"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--size", default="tiny")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--candidates", type=Path, nargs="+", default=[])
    parser.add_argument("--held-out", type=Path)
    options = parser.parse_args()
    if bool(options.candidates) != bool(options.held_out):
        parser.error("--candidates and --held-out need each other")

    if options.candidates:
        crops = CandidateCrops([options.held_out]).draw(Order(256, 192, seed=7))
    else:
        sharp = [file.read()[1] for file in find_pairs(options.pairs)]
        crops = PhotoCrops(sharp, Synthesis()).draw(Order(56, 192, seed=7))
    print("| prior | seconds | oracle | found | gain | of each seed | more than `none` |")
    print("|---" * 7 + "|")
    nothing = np.zeros(0)
    for prior in PRIORS:
        models = [train(prior, seed, options) for seed in options.seeds]
        each = np.stack([gains(model, options.pairs) for model in models])
        training = [find(str(model)).spec.training for model in models]
        rows = [row for run in training for key, row in run.items() if key.startswith("stage")]
        seconds = sum(row["seconds"] for row in rows) / len(models)
        on_crops = [gains_on_crops(model.parent, find(str(model)).spec, crops) for model in models]
        oracle, found = np.mean(on_crops, axis=0)
        nothing = each.mean(axis=0) if prior == "none" else nothing
        seeds = ", ".join(f"{mean:+.3f}" for mean in each.mean(axis=1))
        more = interval(each.mean(axis=0) - nothing) if prior != "none" else ""
        print(
            f"| `{prior}` | {seconds:.0f} | {oracle:+.3f} | {found:+.3f}"
            f" | {interval(each.mean(axis=0))} | {seeds} | {more} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
