"""The table of README and model card: what a model gains on pairs, and leaves of sharp photos.

    python benchmarks/gains.py [--model MODEL] [--expert MODEL] PAIRS...

One row a folder: PSNR in dB of blurred and restored photos against the sharp ones, as `blurdm eval`
scores them, plain and after the best shift of each (`--align shift`, up to 24 pixels); the least
and the most gain; and the PSNR between sharp photos and what the model makes of them.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.machine import tune_allocator
from blurdm_cli.training.evaluation import Align, deblurred, score
from blurdm_cli.training.metrics import psnr
from blurdm_cli.training.pairs import read_pairs
from blurdm_cli.zoo import DEFAULT

ALIGNMENTS: tuple[Align, ...] = ("none", "shift")


def row(deblurrer: Deblurrer, folder: Path, *, each: bool) -> str:
    """A folder's figures."""
    before: list[list[float]] = []
    after: list[list[float]] = []
    kept: list[float] = []
    for name, (blurred, sharp) in read_pairs(folder).items():
        wanted = sharp[None].float() / 255
        seen = blurred[None].float() / 255
        found = deblurred(deblurrer, blurred)[None].float() / 255
        before.append([score(seen, wanted, align)[0] for align in ALIGNMENTS])
        after.append([score(found, wanted, align)[0] for align in ALIGNMENTS])
        kept.append(psnr(deblurred(deblurrer, sharp)[None].float() / 255, wanted).item())
        if each:
            gained = np.subtract(after[-1], before[-1])
            print(f"{name:40} {gained[0]:+.2f} {gained[1]:+.2f} sharp {kept[-1]:.1f}", flush=True)
    gains = np.subtract(after, before)
    cells = [folder.name, str(len(gains))]
    for place in range(len(ALIGNMENTS)):
        cells += [
            f"{np.mean(before, axis=0)[place]:.2f}",
            f"{np.mean(after, axis=0)[place]:.2f}",
            f"**{gains[:, place].mean():+.2f}**",
            f"{gains[:, place].min():+.2f} to {gains[:, place].max():+.2f}",
        ]
    cells.append(f"{np.mean(kept):.1f} ({min(kept):.1f})")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", nargs="+", type=Path, help="folders of pairs")
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--expert", help="another model beside it, as blurdm deblur takes it")
    parser.add_argument("--each", action="store_true", help="print each pair too")
    options = parser.parse_args()
    tune_allocator()
    torch.set_num_threads(1)
    deblurrer = Deblurrer.open(options.model, expert=options.expert)
    runtime = deblurrer.runtime
    models = " with ".join(filter(None, (options.model, options.expert)))
    print(f"{models}, {runtime.name} on {runtime.device} in {runtime.precision}\n")
    heads = ["blurred", "restored", "gain", "least to most"]
    aligned = [f"{head}, aligned" for head in heads]
    heads = ["pairs", "photos", *heads, *aligned, "sharp photo kept (least)"]
    print(f"| {' | '.join(heads)} |")
    print("|---" * len(heads) + "|")
    for folder in options.pairs:
        print(row(deblurrer, folder, each=options.each), flush=True)


if __name__ == "__main__":
    main()
