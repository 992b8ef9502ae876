"""Measure a model on photos out of focus.

    python benchmarks/focus.py [--model MODEL] PAIRS...

The sharp photos of the folders are blurred by discs in linear light, with a little noise. One row a
diameter: in how many photos the disc is found, by how much its diameter is off, the mean gain in dB
after the best shift of up to 24 pixels with the motion that was found, and the least. Of the sharp
photos, it prints in how many a disc is found.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import UInt8

from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.machine import available_cores, tune_allocator
from blurdm_cli.motion.estimation import find_motion
from blurdm_cli.motion.focus import disc
from blurdm_cli.motion.found import FOCUS
from blurdm_cli.motion.light import to_encoded, to_linear
from blurdm_cli.motion.windows import in_unit_range
from blurdm_cli.training.evaluation import score
from blurdm_cli.training.pairs import read_pairs
from blurdm_cli.zoo import DEFAULT

DIAMETERS = (5, 10, 16, 25, 40, 64)

NOISE = 0.005
"""Standard deviation, of white."""

Picture = UInt8[np.ndarray, "h w 3"]


def out_of_focus(photo: Picture, diameter: float) -> Picture:
    """A sharp photo, blurred."""
    light = to_linear(in_unit_range(photo))
    soft = cv2.filter2D(light, -1, disc(diameter), borderType=cv2.BORDER_REFLECT)
    grain = NOISE * np.random.default_rng(0).standard_normal(soft.shape)
    return np.rint(np.clip(to_encoded(np.maximum(soft, 0)) + grain, 0, 1) * 255).astype(np.uint8)


def gain(photo: Picture, restored: np.ndarray, sharp: Picture) -> float:
    """Gain in dB, each picture after its best shift."""
    before, after, wanted = (
        torch.from_numpy(np.ascontiguousarray(each)).permute(2, 0, 1)[None] / 255
        for each in (photo, restored, sharp)
    )
    return score(after, wanted, "shift")[0] - score(before, wanted, "shift")[0]


def row(deblurrer: Deblurrer, photos: list[Picture], diameter: float) -> str:
    """A diameter's figures."""
    off: list[float] = []
    gains: list[float] = []
    for sharp in photos:
        photo = out_of_focus(sharp, diameter)
        motion = find_motion(photo, available_cores())
        if motion.best.name == FOCUS:
            off.append(abs(motion.best.length / diameter - 1))
        gains.append(gain(photo, deblurrer.restore(photo, motion=motion).pixels, sharp))
    error = f"{np.mean(off):.0%}" if off else ""
    cells = (diameter, len(photos), len(off), error, f"{np.mean(gains):+.2f}", f"{min(gains):+.2f}")
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", nargs="+", type=Path, help="folders of pairs")
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--every", type=int, default=1, help="take every so-many-th photo")
    options = parser.parse_args()
    tune_allocator()
    deblurrer = Deblurrer.open(options.model)
    pairs = [pair for folder in options.pairs for pair in read_pairs(folder).values()]
    photos = [sharp.permute(1, 2, 0).contiguous().numpy() for _, sharp in pairs[:: options.every]]
    print("| diameter | photos | disc found | off by | gain, aligned | least |")
    print("|---|---|---|---|---|---|")
    for diameter in DIAMETERS:
        print(row(deblurrer, photos, diameter), flush=True)
    found = sum(find_motion(photo, available_cores()).best.name == FOCUS for photo in photos)
    print(f"| sharp | {len(photos)} | {found} | | | |")


if __name__ == "__main__":
    main()
