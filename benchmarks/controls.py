"""Does the diffusion help? The same training with each prior, and none.

    python benchmarks/controls.py PHOTOS PAIRS OUTPUT [--steps N] [--size tiny] [--seeds 0 1]

Backbone, data, seeds and the number of optimiser steps are the same for all; those of a
model with a prior are shared among its three stages. A run that is there already is not
trained again. The table: gain over the blurred photo in dB on PAIRS, all seeds together,
and what of it the prior added to `none`, with 95 % intervals over the pairs (each pair's mean
over the seeds). `oracle` is the gain after stage 1, with the prior made from the answer, on 56
crops of the pairs' sharp photos, blurred as in training; `found` is that of the whole model.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.spec import ModelSpec
from blurdm_cli.training.evaluation import bootstrap, evaluate
from blurdm_cli.training.layouts import find_pairs
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
        words = ["train", "all", "--data", options.photos, "--val", options.pairs, "-o", run]
        words += ["--prior", prior, "--seed", seed, "--size", options.size]
        words += ["--steps", options.steps, "--name", f"control-{prior}"]
        words += ["--batch", 4, "--crop", 192, "--prior-rate", 1]
        script = "from blurdm_cli.commands.app import main; main()"
        subprocess.run([sys.executable, "-c", script, *map(str, words)], check=True)
    return run / "model"


def gains(model: Path, pairs: Path) -> np.ndarray:
    """The gain of each pair, in dB, in fp32."""
    deblurrer = Deblurrer.open(str(model), precision="fp32")
    read = ((file.name, file.read()) for file in find_pairs(pairs))
    return np.array([scores.gain for scores, _ in evaluate(deblurrer, read)])


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
                prior = networks.network.find_prior(crops.blurred, networks.noise(crops.blurred))
            restored = networks.network.restore(crops.blurred, prior).clamp(0, 1)
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
    options = parser.parse_args()

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
