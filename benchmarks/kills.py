"""Whether a run over a folder survives being killed at any moment.

    python benchmarks/kills.py [--photos 300] [--kills 20] [--seed 0]

Makes small photos in a temporary folder, and runs `blurdm deblur` over them; kills it (SIGKILL)
after a random time, again and again; then lets it end. Every result must have the bytes of a run
that nothing disturbed, and there must be nothing else.
"""

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

SUFFIXES = (".jpg", ".png", ".webp", ".tif")


def make_photos(folder: Path, count: int) -> None:
    """Small photos of several formats, in several folders."""
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        path = folder / f"day {number % 5}" / f"{number:03d}{SUFFIXES[number % len(SUFFIXES)]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise).resize((64, 48), Image.Resampling.BICUBIC).save(path)


def command(source: Path, output: Path) -> list[str]:
    words = ("deblur", source, "-o", output, "--model", "blurdm-tiny", "--precision", "fp32")
    script = "from blurdm_cli.commands.app import main; main()"
    return [sys.executable, "-c", script, *map(str, words)]


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    inside = {path.relative_to(folder): path for path in files}
    return {str(n): path.read_bytes() for n, path in inside.items() if n.parts[0] != ".blurdm"}


def kill_after(words: list[str], seconds: float) -> bool:
    """Start a command and kill it; returns whether it was still at work."""
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True
    return False


def partial_files(folder: Path, whole: dict[str, bytes]) -> list[str]:
    """Files under final names whose bytes are not those of the undisturbed run."""
    found = contents(folder).items()
    return [n for n, data in found if not n.endswith(".part") and whole.get(n) != data]


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--photos", type=int, default=300)
    arguments.add_argument("--kills", type=int, default=20)
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        source, output, undisturbed = (Path(name, part) for part in ("in", "out", "whole"))
        make_photos(source, options.photos)
        begin = time.monotonic()
        subprocess.run(command(source, undisturbed), check=True, stderr=subprocess.DEVNULL)
        whole, seconds = contents(undisturbed), time.monotonic() - begin
        kills = 0
        while kills < options.kills:
            if not kill_after(command(source, output), chance.uniform(0, seconds)):
                shutil.rmtree(output)  # it came to its end: all over again
                continue
            kills += 1
            wrong = partial_files(output, whole)
            print(f"kill {kills}: {len(contents(output))} files, {len(wrong)} of them wrong")
            if wrong:
                sys.exit(f"wrong: {wrong}")
        subprocess.run(command(source, output), check=True, stderr=subprocess.DEVNULL)
        same = sum(whole[n] == data for n, data in contents(output).items())
        print(f"{same} of {options.photos} files right, {len(contents(output)) - same} others")
        if same != options.photos or contents(output) != whole:
            sys.exit(1)


if __name__ == "__main__":
    main()
