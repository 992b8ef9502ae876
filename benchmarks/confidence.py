"""Fit the confidence of candidates on prepared crops, and print what it is worth.

    python benchmarks/confidence.py FOLDERS... [--write]

The folders are those of `blurdm train candidates`. The regression chooses, for each crop, the
blurred one or one of the two candidates. Printed are the dB that its choice is below the best one,
over crops that were not fitted (six parts of the groups in turn), beside fixed choices. `--write`
fits all crops and keeps the weights in the package.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize

from blurdm_cli.motion.confidence import WEIGHTS, evidence
from blurdm_cli.training.candidate_store import Prepared, Shard, shards_of

BORDER = 24
"""Pixels at the edges of a crop that are not scored."""

GROUP = 4
"""Consecutive crops that share a motion: they are fitted or tested together."""

MARGIN, MOST = 0.2, 3.0
"""dB that a candidate must be better than the blurred crop; most dB that a crop counts for."""

PRICE = 3e-4
"""Of squared weights."""

FOLDS = 6

Psnr = Float[np.ndarray, "crops 3"]
Evidence = Float[np.ndarray, "crops features"]
Weights = Float[np.ndarray, "3 terms"]


def seen(crop: Prepared) -> tuple[np.ndarray, list[float]]:
    """Evidence of a crop; PSNR of the blurred crop and of the candidates, dB, at most 42."""
    blurred, sharp, images = (
        each.astype(np.float32) / 255 for each in (crop.blurred, crop.sharp, crop.planes)
    )
    planes = np.concatenate([images[:6], np.zeros_like(images[:2]), images[6:]])
    inner = np.s_[:, BORDER:-BORDER, BORDER:-BORDER]
    errors = [
        np.mean((image[inner] - sharp[inner]) ** 2) for image in (blurred, images[:3], images[3:6])
    ]
    return evidence(blurred, planes), [min(-10 * np.log10(e + 1e-9), 42.0) for e in errors]


def fit(found: Evidence, psnr: Psnr) -> Weights:
    """Multinomial logistic regression; crops count by the dB that their choice decides."""
    merit = psnr + np.array([MARGIN, 0, 0])
    best, ordered = merit.argmax(1), np.sort(merit, 1)
    counts = np.clip(ordered[:, 2] - ordered[:, 1], 0.05, MOST)
    counts /= counts.sum()
    mean, scale = found.mean(0), found.std(0) + 1e-6
    terms = np.c_[(found - mean) / scale, np.ones(len(found))]
    wanted = np.eye(3)[best]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(3, -1)
        scores = terms @ weights.T
        scores -= scores.max(1, keepdims=True)
        logarithms = scores - np.log(np.exp(scores).sum(1, keepdims=True))
        slopes = ((np.exp(logarithms) - wanted) * counts[:, None]).T @ terms
        slopes[:, :-1] += PRICE * weights[:, :-1]
        price = PRICE / 2 * (weights[:, :-1] ** 2).sum()
        return float(price - (counts * (logarithms * wanted).sum(1)).sum()), slopes.ravel()

    flat = minimize(loss, np.zeros(3 * terms.shape[1]), jac=True, method="L-BFGS-B").x
    weights = flat.reshape(3, -1)
    plain = weights[:, :-1] / scale
    return np.c_[plain, weights[:, -1] - plain @ mean]


def choices(found: Evidence, weights: Weights) -> np.ndarray:
    """0 for the blurred crop, 1 for the linear, 2 for the encoded candidate."""
    return (np.c_[found, np.ones(len(found))] @ weights.T).argmax(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--write", action="store_true", help="keep the weights in the package")
    options = parser.parse_args()
    shards = [Shard(path) for folder in options.folders for path in shards_of(folder)]
    crops = [seen(shard.read(number)) for shard in shards for number in range(shard.count)]
    found, psnr = (np.array(column) for column in zip(*crops, strict=True))
    chosen = np.zeros(len(found), int)
    fold = np.arange(len(found)) // GROUP % FOLDS
    for part in range(FOLDS):
        weights = fit(found[fold != part], psnr[fold != part])
        chosen[fold == part] = choices(found[fold == part], weights)
    best = psnr.max(1)
    helped = best > psnr[:, 0] + 0.5
    print(f"{len(found)} crops; on {helped.mean():.0%} a candidate gains 0.5 dB or more\n")
    print("| choice | dB below the best | where a candidate helps | elsewhere |")
    print("|---|---|---|---|")
    fixed = {name: np.full(len(psnr), n) for n, name in enumerate(("blurred", "linear", "encoded"))}
    ways = {**fixed, "regression": chosen}
    for name, way in ways.items():
        lost = best - psnr[np.arange(len(psnr)), way]
        cells = (f"{part.mean():.2f}" for part in (lost, lost[helped], lost[~helped]))
        print(f"| {name} | {' | '.join(cells)} |")
    if options.write:
        rounded = [[float(f"{value:.5g}") for value in row] for row in fit(found, psnr)]
        WEIGHTS.write_text(json.dumps({"crops": len(found), "weights": rounded}) + "\n")


if __name__ == "__main__":
    main()
