"""How well the blur score tells blurred photos from sharp ones.

    python benchmarks/score.py PAIRS...

PAIRS are folders with `input/` (blurred) and `target/` (sharp). AUC is the chance that a
blurred photo has a higher score than a sharp one, whatever their scenes; "same scene" is the
share of pairs in which the blurred one has.
"""

import sys
from pathlib import Path

import numpy as np

from blurdm_cli.photo.blur_score import BLURRED, blur_score
from blurdm_cli.photo.photo import read_photo


def scores(folder: Path) -> np.ndarray:
    return np.array([blur_score(read_photo(path).pixels) for path in sorted(folder.iterdir())])


def main() -> None:
    print(f"| pairs | AUC | same scene | blurred: over {BLURRED} | sharp: over {BLURRED} |")
    print("|---|---|---|---|---|")
    for folder in map(Path, sys.argv[1:]):
        blurred, sharp = scores(folder / "input"), scores(folder / "target")
        higher = blurred[:, None] > sharp
        equal = blurred[:, None] == sharp
        print(
            f"| {len(blurred)} of {folder.name} | {np.mean(higher + equal / 2):.3f}"
            f" | {np.mean(blurred > sharp):.2f}"
            f" | {np.mean(blurred > BLURRED):.2f} | {np.mean(sharp > BLURRED):.2f} |"
        )


if __name__ == "__main__":
    main()
