"""Fit the confidence of candidates on prepared crops, and print what it is worth.

    python benchmarks/confidence.py FOLDERS... [--write]

The folders are those of `blurdm train candidates`. The networks choose, for each crop, the
blurred one or one of the two candidates. Printed are the dB that its choice is below the best one,
over crops that were not fitted (four parts of the groups in turn), beside fixed choices. `--write`
fits all crops and keeps the weights in the package.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors.numpy import save_file
from torch import Tensor
from torch.nn.functional import cross_entropy

from blurdm_cli.motion.confidence import FAR, WEIGHTS, evidence, judge
from blurdm_cli.motion.kernel import trimmed
from blurdm_cli.training.candidate_store import Prepared, Shard, shards_of

BORDER = 24
"""Pixels at the edges of a crop that are not scored."""

GROUP = 4
"""Consecutive crops that share a motion: they are fitted or tested together."""

MARGIN, MOST = 0.2, 3.0
"""dB that a candidate must be better than the blurred crop; most dB that a crop counts for."""

NETWORKS, UNITS = 12, 24
STEPS, BATCH, RATE, DECAY, DROPPED = 600, 512, 1e-2, 3e-2, 0.2

FOLDS = 4

Psnr = Float[np.ndarray, "crops 3"]
Evidence = Float[np.ndarray, "crops features"]


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
    kernels = (trimmed(k) if k.any() else k for k in crop.kernels.astype(np.float32))
    return evidence(blurred, planes, *kernels), [
        min(-10 * np.log10(e + 1e-9), 42.0) for e in errors
    ]


def fit(found: Evidence, psnr: Psnr) -> dict[str, np.ndarray]:
    """Fit the networks; crops count by the dB that their choice decides."""
    merit = psnr + np.array([MARGIN, 0, 0])
    ordered = np.sort(merit, 1)
    counts = torch.from_numpy(np.clip(ordered[:, 2] - ordered[:, 1], 0.05, MOST)).float()
    best = torch.from_numpy(merit.argmax(1))
    mean, scale = np.nanmean(found, 0), np.nanstd(found, 0) + 1e-6
    known = torch.from_numpy(np.nan_to_num((found - mean) / scale)).float().clamp(-FAR, FAR)
    rng = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return (torch.randn(shape, generator=rng) / shape[1] ** 0.5).requires_grad_()

    hidden, output = random(NETWORKS, known.shape[1], UNITS), random(NETWORKS, UNITS, 3)
    biases = [torch.zeros(NETWORKS, 1, n, requires_grad=True) for n in (UNITS, 3)]
    optimizer = torch.optim.AdamW([hidden, output, *biases], lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        drawn = torch.randint(len(known), (BATCH,), generator=rng)
        seen = known[drawn].expand(NETWORKS, -1, -1)
        kept = torch.rand(seen.shape, generator=rng) > DROPPED
        scores = torch.tanh(seen * kept / (1 - DROPPED) @ hidden + biases[0]) @ output + biases[1]
        losses = cross_entropy(
            scores.transpose(1, 2), best[drawn].expand(NETWORKS, -1), reduction="none"
        )
        optimizer.zero_grad()
        ((losses * counts[drawn]).sum() / counts[drawn].sum()).backward()
        optimizer.step()
        schedule.step()
    arrays = {"mean": mean, "scale": scale, "hidden": hidden, "output": output}
    arrays |= {"hidden_bias": biases[0].squeeze(1), "output_bias": biases[1].squeeze(1)}
    return {name: _plain(array) for name, array in arrays.items()}


def _plain(array: Tensor | np.ndarray) -> np.ndarray:
    values = array.detach().numpy() if isinstance(array, Tensor) else array
    return np.ascontiguousarray(values, np.float32)


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
        known = np.where(np.isnan(found), weights["mean"], found)
        chosen[fold == part] = [judge(weights, each).argmax() for each in known[fold == part]]
    best = psnr.max(1)
    helped = best > psnr[:, 0] + 0.5
    print(f"{len(found)} crops; on {helped.mean():.0%} a candidate gains 0.5 dB or more\n")
    print("| choice | dB below the best | where a candidate helps | elsewhere |")
    print("|---|---|---|---|")
    fixed = {name: np.full(len(psnr), n) for n, name in enumerate(("blurred", "linear", "encoded"))}
    ways = {**fixed, "networks": chosen}
    for name, way in ways.items():
        lost = best - psnr[np.arange(len(psnr)), way]
        cells = (f"{part.mean():.2f}" for part in (lost, lost[helped], lost[~helped]))
        print(f"| {name} | {' | '.join(cells)} |")
    if options.write:
        save_file(fit(found, psnr), WEIGHTS)


if __name__ == "__main__":
    main()
