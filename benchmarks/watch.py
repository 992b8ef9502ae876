"""Whether `blurdm watch` loses nothing while files arrive and it is killed again and again.

    python benchmarks/watch.py [--photos 200] [--kills 20] [--seed 0] [--poll SECONDS]

Photos arrive in a folder: copied in pieces, or renamed into place. The watcher is killed (SIGKILL)
after random times and started again. At the end there must be one result for each photo, with the
bytes that `blurdm deblur` writes, and nothing else. Of many photos, each 200th is the same.
"""

import argparse
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Thread

from kills import contents, make_photos

from blurdm_cli import Deblurrer
from blurdm_cli.pipeline.batch import deblur_files
from blurdm_cli.pipeline.options import ModelOptions, PhotoOptions, RunOptions, VideoOptions
from blurdm_cli.pipeline.reporter import Silent

MODEL = ModelOptions("blurdm-tiny", precision="fp32")
PATIENCE = 120
"""Seconds without a new result after which the rest counts as lost."""

DIFFERENT = 200
"""Photos of different content, at most."""


def multiply(folder: Path, count: int) -> None:
    """Copy the photos of a folder, in their order, until there are so many."""
    files = sorted(folder.glob("day */*"))
    for number in range(len(files), count):
        path = files[number % len(files)]
        shutil.copyfile(path, path.with_stem(f"{path.stem}-{number // len(files)}"))


def arrive(source: Path, folder: Path, chance: random.Random, seconds: float) -> None:
    """Let photos arrive one after another, all within so many seconds."""
    photos = sorted(path for path in source.rglob("*") if path.is_file())
    chance.shuffle(photos)
    for photo in photos:
        target = folder / photo.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if chance.random() < 0.5:
            part = target.with_name(f"{target.name}.part")
            shutil.copyfile(photo, part)
            part.rename(target)
        else:
            data = photo.read_bytes()
            with target.open("wb") as file:
                for first in range(0, len(data), 500):
                    file.write(data[first : first + 500])
                    file.flush()
                    time.sleep(chance.random() * seconds / len(photos) / 4)
        time.sleep(chance.random() * seconds / len(photos))


def watcher(folder: Path, output: Path, poll: float | None) -> subprocess.Popen[bytes]:
    script = "from blurdm_cli.commands.app import main; main()"
    words = ["watch", str(folder), "-o", str(output), "--model", MODEL.model]
    words += ["--precision", MODEL.precision, "--settle", "0.5", "--quiet"]
    words += [] if poll is None else ["--poll", str(poll)]
    return subprocess.Popen([sys.executable, "-c", script, *words])


def results(output: Path) -> int:
    """Number of files in the output folder."""
    return sum(path.is_file() and ".blurdm" not in path.parts for path in output.rglob("*"))


def peak_memory(pid: int) -> int:
    """Largest memory of a process so far, in MB."""
    found = re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) // 1024 if found else 0


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--photos", type=int, default=200)
    arguments.add_argument("--kills", type=int, default=20)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--poll", type=float)
    options = arguments.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        source, folder, output, wanted = (Path(name, each) for each in ("from", "in", "out", "ok"))
        make_photos(source, min(options.photos, DIFFERENT))
        folder.mkdir()
        run = RunOptions([str(source)], output=str(wanted))
        opened = Deblurrer.open(MODEL.model, precision=MODEL.precision)
        deblur_files(run, MODEL, PhotoOptions(), VideoOptions(), Silent(), opened)
        multiply(source, options.photos)
        multiply(wanted, options.photos)
        begin = time.monotonic()
        arriving = Thread(
            target=arrive, args=(source, folder, random.Random(options.seed), 3 * options.kills)
        )
        arriving.start()
        for _ in range(options.kills):
            running = watcher(folder, output, options.poll)
            time.sleep(chance.uniform(1, 6))
            running.kill()
            running.wait()
        arriving.join()
        running = watcher(folder, output, options.poll)
        count, changed, memory = 0, time.monotonic(), 0
        while count < options.photos and time.monotonic() - changed < PATIENCE:
            time.sleep(1)
            memory = peak_memory(running.pid)
            if (now := results(output)) > count:
                count, changed = now, time.monotonic()
        running.terminate()
        running.wait(10)
        seconds = time.monotonic() - begin
        journal = (output / ".blurdm" / "run.ndjson").stat().st_size
        made, right = contents(output), contents(wanted)
    print(f"{options.photos} photos, {options.kills} kills, {seconds:.0f} s")
    print(f"{len(made)} results, {sum(made.get(k) == v for k, v in right.items())} right")
    print(f"{memory} MB at most after the last kill; journal of {journal / 1e6:.1f} MB")
    if made != right:
        different = sorted(k for k in made.keys() | right.keys() if made.get(k) != right.get(k))
        sys.exit(f"lost, wrong or too many: {different[:10]}")


if __name__ == "__main__":
    main()
