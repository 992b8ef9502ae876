"""How much memory photos of many megapixels need.

    python benchmarks/memory.py [MEGAPIXELS ...]

Runs `blurdm deblur` on a JPEG photo and on a 16-bit TIFF photo of each size, and prints the
largest memory that the process held.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from blurdm_cli.photo.photo import Photo, write_photo

SCRIPT = "from blurdm_cli.commands.app import main; main()"
MODEL = ("--model", "blurdm-tiny", "--precision", "fp32")
SIZES = (1, 50, 200)


def photo_of(megapixels: int, dtype: type) -> Photo:
    """Soft random detail, twice as wide as high."""
    noise = np.random.default_rng(0).integers(0, 256, (125, 250, 3), dtype=np.uint8)
    patch = cv2.resize(noise, (1000, 500), interpolation=cv2.INTER_CUBIC)
    times = round((2 * megapixels) ** 0.5)
    pixels: np.ndarray = np.tile(patch, (times, times, 1)).astype(dtype)
    return Photo(pixels if dtype is np.uint8 else pixels * np.uint16(257))


def measured(source: Path, output: Path) -> tuple[float, float]:
    """Deblur a photo; returns gigabytes and seconds."""
    begin = time.monotonic()
    words = ("deblur", str(source), "-o", str(output), *MODEL)
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, *words], stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"blurdm {' '.join(words)} failed")
    return used.ru_maxrss / 2**20, time.monotonic() - begin


def main() -> None:
    print("| megapixels | format | memory, GB | seconds |")
    print("|---|---|---|---|")
    for megapixels in map(int, sys.argv[1:] or SIZES):
        for suffix, dtype in ((".jpg", np.uint8), (".tif", np.uint16)):
            with tempfile.TemporaryDirectory() as folder:
                source, output = Path(folder, f"in{suffix}"), Path(folder, f"out{suffix}")
                photo = photo_of(megapixels, dtype)
                size = photo.pixels[..., 0].size / 1e6
                write_photo(photo, source)
                del photo
                memory, seconds = measured(source, output)
                print(f"| {size:.1f} | {suffix[1:]} | {memory:.2f} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
