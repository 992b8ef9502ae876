"""Gains with the found and the true motion: the worth of a better estimate.

    python benchmarks/true_motion.py [--model MODEL] PAIRS...

The true motion of a pair is the kernel that turns the sharp photo into the blurred one best, fitted
in linear light and in encoded values; roll, zoom and moving objects it does not know. Gain in dB
after the best shift. `searched` counts pairs whose true kernel scores better than the found one by
more than 0.01: it was not searched for in the right place. `chosen` counts those where it scores
worse by as much: the score prefers a wrong one.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.machine import tune_allocator
from blurdm_cli.motion.confidence import with_confidence
from blurdm_cli.motion.deconvolution import noise_of
from blurdm_cli.motion.fit import fit, gradients
from blurdm_cli.motion.found import Found, Motion
from blurdm_cli.motion.kernel import centred, normalised, pruned, trimmed
from blurdm_cli.motion.light import LUMA, to_linear
from blurdm_cli.motion.score import score as score_kernel
from blurdm_cli.training.evaluation import score
from blurdm_cli.training.pairs import read_pairs
from blurdm_cli.zoo import DEFAULT

SIDE = 91
"""Rows and columns of a true kernel, at most."""

FAR = 0.01


def true_kernel(blurred: np.ndarray, sharp: np.ndarray, *, linear: bool) -> Found:
    """The kernel of a pair of photos in [0, 1], (height, width, 3)."""
    before, after = (
        np.ascontiguousarray((to_linear(photo) if linear else photo) @ LUMA)
        for photo in (sharp, blurred)
    )
    kernel = fit(gradients(before), gradients(after), SIDE, 1.0, iterations=300)
    kernel = trimmed(centred(pruned(normalised(kernel), 0.02, 0.01)))
    return Found(kernel, score_kernel(after, kernel), "true")


def look(deblurrer: Deblurrer, folder: Path) -> str:
    """One row of the table."""
    gains, differences = [], []
    for blurred, sharp in read_pairs(folder).values():
        photo, wanted = (
            np.ascontiguousarray(image.permute(1, 2, 0).numpy()) for image in (blurred, sharp)
        )
        found = deblurrer.find_motion(photo) or Motion()
        seen, clear = (image.astype(np.float32) / 255 for image in (photo, wanted))
        linear, encoded = (true_kernel(seen, clear, linear=linear) for linear in (True, False))
        true = with_confidence(photo, Motion(linear, encoded, noise_of(seen @ LUMA)))
        row = [
            score(_tensor(image), _tensor(wanted), "shift")[0]
            for image in (
                photo,
                *(deblurrer.restore(photo, motion=m).pixels for m in (found, true)),
            )
        ]
        gains.append([row[1] - row[0], row[2] - row[0]])
        if found.best.kernel.size > 1 and true.best.kernel.size > 1:
            same = true.linear if found.best is found.linear else true.encoded
            differences.append(same.score - found.best.score)
    cells = [folder.name, str(len(gains)), *(f"{gain:+.2f}" for gain in np.mean(gains, axis=0))]
    apart = np.array(differences)
    return f"| {' | '.join(cells)} | {(apart < -FAR).sum()} | {(apart > FAR).sum()} |"


def _tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.transpose(2, 0, 1).copy())[None].float() / 255


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", nargs="+", type=Path, help="folders of pairs")
    parser.add_argument("--model", default=DEFAULT)
    options = parser.parse_args()
    tune_allocator()
    torch.set_num_threads(1)
    deblurrer = Deblurrer.open(options.model)
    print("| pairs | photos | found | true | searched | chosen |")
    print("|---" * 6 + "|")
    for folder in options.pairs:
        print(look(deblurrer, folder), flush=True)


if __name__ == "__main__":
    main()
