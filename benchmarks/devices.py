"""Whether a card restores what the processor does, and how fast.

    python benchmarks/devices.py PHOTO [--model NAME] [--megapixels 12]

PyTorch in each precision on each device against the processor's fp32: the mean and the largest
difference in levels of 8 bits. Megapixels a second are of the photo repeated to the size that is
asked for, tiles and blending included, for the best of some batches; megabytes are PyTorch's peak.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from blurdm_cli import Deblurrer
from blurdm_cli.errors import BlurdmError
from blurdm_cli.photo.photo import read_photo
from blurdm_cli.zoo import DEFAULT

BATCHES = (1, 4, 16)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("photo", type=Path)
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--megapixels", type=float, default=12.0)
    options = parser.parse_args()
    photo = read_photo(options.photo).rgb().astype(np.float32) / 255
    reference = _open(options.model, "cpu", "fp32", 1)(photo)
    card = torch.cuda.is_available()
    print(torch.cuda.get_device_name() if card else "no card", f"torch {torch.__version__}")
    print("| device | precision | mean | largest | batch | megapixels/s | MB |")
    print("|---|---|---|---|---|---|---|")
    large = _repeated(photo, options.megapixels)
    for device, precision in (
        *(("cuda", name) for name in ("fp32", "bf16", "fp16") if card),
        ("cpu", "bf16"),
    ):
        try:
            apart = 255 * np.abs(_open(options.model, device, precision, 1)(photo) - reference)
        except BlurdmError as error:
            print(f"| {device} | {precision} | {error} |")
            continue
        speeds = {
            batch: _speed(_open(options.model, device, precision, batch), large)
            for batch in (BATCHES if device == "cuda" else BATCHES[:1])
        }
        best = max(speeds, key=lambda batch: speeds[batch])
        peak = torch.cuda.max_memory_allocated() / 1e6 if device == "cuda" else 0
        print(
            f"| {device} | {precision} | {apart.mean():.4f} | {apart.max():.2f}"
            f" | {best} | {speeds[best]:.1f} | {peak:.0f} |",
            flush=True,
        )


def _open(model: str, device: str, precision: str, batch: int) -> Deblurrer:
    return Deblurrer.open(model, runtime="torch", device=device, precision=precision, batch=batch)


def _repeated(photo: np.ndarray, megapixels: float) -> np.ndarray:
    """The photo beside itself, as often as it takes."""
    times = int(np.ceil(np.sqrt(megapixels * 1e6 / (photo.shape[0] * photo.shape[1]))))
    return np.tile(photo, (times, times, 1))


def _speed(deblurrer: Deblurrer, photo: np.ndarray) -> float:
    """Megapixels a second, the better of two runs after one that warms up."""
    seconds = []
    for _ in range(3):
        begin = time.monotonic()
        deblurrer(photo)
        seconds.append(time.monotonic() - begin)
    return photo.shape[0] * photo.shape[1] / 1e6 / min(seconds[1:])


if __name__ == "__main__":
    main()
