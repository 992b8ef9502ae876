"""How good the candidates are, before any network: gains of the deconvolved photos on pairs.

    python benchmarks/motion.py PAIRS...

For each folder, the mean gain in dB over the blurred photos, plain and after the best shift, of the
photo deconvolved in linear light, of the one in encoded values, and of the best of the two and the
blurred photo itself; how many paths turned; and the processor's seconds.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from blurdm_cli.motion.candidates import make_candidates
from blurdm_cli.motion.estimation import find_motion
from blurdm_cli.motion.windows import in_unit_range
from blurdm_cli.training.evaluation import score
from blurdm_cli.training.pairs import read_pairs


def scores(found: torch.Tensor, sharp: torch.Tensor) -> tuple[float, float]:
    """PSNR in dB, plain and after the best shift."""
    return score(found, sharp, "none")[0], score(found, sharp, "shift")[0]


def rounded(image: torch.Tensor) -> torch.Tensor:
    return (image.clamp(0, 1) * 255).round() / 255


def look(folder: Path) -> str:
    """One row of the table."""
    gains, turned, found_in, made_in, pixels = [], 0, 0.0, 0.0, 0
    for blurred, sharp in read_pairs(folder).values():
        photo = np.ascontiguousarray(blurred.permute(1, 2, 0).numpy())
        begin = time.process_time()
        motion = find_motion(photo)
        middle = time.process_time()
        planes = make_candidates(in_unit_range(photo), motion)
        found_in, made_in = found_in + middle - begin, made_in + time.process_time() - middle
        pixels += photo[..., 0].size
        turned += motion.best.camera is not None
        wanted = sharp[None] / 255
        before = scores(blurred[None] / 255, wanted)
        row = [(0.0, 0.0)]
        for first in (0, 3):
            after = scores(rounded(torch.from_numpy(planes[None, first : first + 3])), wanted)
            row.append((after[0] - before[0], after[1] - before[1]))
        gains.append([row[1], row[2], tuple(np.max(row, axis=0))])
    linear, encoded, best = np.mean(gains, axis=0)
    cells = (f"{plain:+.2f} / {aligned:+.2f}" for plain, aligned in (linear, encoded, best))
    each = pixels / 1e6
    costs = f"{found_in / each:.1f} | {made_in / each:.1f}"
    return f"| {folder.name} | {len(gains)} | {' | '.join(cells)} | {turned} | {costs} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", nargs="+", type=Path, help="folders of pairs")
    torch.set_num_threads(1)
    print("| pairs | photos | linear | encoded | best | turned | find, s/MP | deconvolve, s/MP |")
    print("|---" * 8 + "|")
    for folder in parser.parse_args().pairs:
        print(look(folder), flush=True)


if __name__ == "__main__":
    main()
