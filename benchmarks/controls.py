"""Does the diffusion help? The same training with each prior, and none.

    python benchmarks/controls.py PHOTOS PAIRS OUTPUT [--steps N] [--size tiny] [--seeds 0 1]

Backbone, data, seeds and the number of optimiser steps are the same for all; those of a
model with a prior are shared among its three stages. A run that is there already is not
trained again. The table: gain over the blurred photo in dB on PAIRS, all seeds together,
and what of it the prior added to `none`, with 95 % intervals over the pairs (each pair's mean
over the seeds). `oracle` is stage 1's PSNR gain on crops, with the prior made from the sharp photo.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np

from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.training.evaluation import bootstrap, evaluate
from blurdm_cli.training.layouts import find_pairs
from blurdm_cli.zoo import find

PRIORS = ("none", "mlp", "noise", "blur", "blurdm")


def train(prior: str, seed: int, options: argparse.Namespace) -> Path:
    """Train one model, and return its folder."""
    run: Path = options.output / f"{options.size}-{prior}-{seed}"
    if not (run / "model").is_dir():
        words = ["train", "all", "--data", options.photos, "--val", options.pairs, "-o", run]
        words += ["--prior", prior, "--seed", seed, "--size", options.size]
        words += ["--steps", options.steps, "--name", f"control-{prior}"]
        script = "from blurdm_cli.commands.app import main; main()"
        subprocess.run([sys.executable, "-c", script, *map(str, words)], check=True)
    return run / "model"


def gains(model: Path, pairs: Path) -> np.ndarray:
    """The gain of each pair, in dB, in fp32."""
    deblurrer = Deblurrer.open(str(model), precision="fp32")
    read = ((file.name, file.read()) for file in find_pairs(pairs))
    return np.array([scores.gain for scores in evaluate(deblurrer, read)])


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

    print("| prior | seconds | oracle | gain | of each seed | more than `none` |")
    print("|---" * 6 + "|")
    nothing = np.zeros(0)
    for prior in PRIORS:
        models = [train(prior, seed, options) for seed in options.seeds]
        each = np.stack([gains(model, options.pairs) for model in models])
        training = [find(str(model)).spec.training for model in models]
        rows = [row for run in training for key, row in run.items() if key.startswith("stage")]
        seconds = sum(row["seconds"] for row in rows) / len(models)
        first = [run["stage1"] for run in training if "stage1" in run]
        oracle = [row["psnr_restored"] - row["psnr_blurred"] for row in first]
        nothing = each.mean(axis=0) if prior == "none" else nothing
        seeds = ", ".join(f"{mean:+.3f}" for mean in each.mean(axis=1))
        more = interval(each.mean(axis=0) - nothing) if prior != "none" else ""
        print(
            f"| `{prior}` | {seconds:.0f} | {f'{np.mean(oracle):+.3f}' if oracle else ''}"
            f" | {interval(each.mean(axis=0))} | {seeds} | {more} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
