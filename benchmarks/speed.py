"""What a photo costs: start of the command, seconds and memory of 12 megapixels.

    python benchmarks/speed.py [MODEL] [--runtime auto] [--expert MODEL]

`finding the motion` and `deconvolution` (of one tile, times their number) are what models with
candidates need before. `bare` is the runtime alone on the photo's tiles, without reading, cutting,
blending and writing. `eager` is the same network in PyTorch as it comes: fp32, NCHW, no graph;
measured on every eighth tile. Where two times are compared, they are of one process, by turns.
With an expert only the start, and the memory and time of one photo from file to file are measured.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from bare import restore_tiles
from PIL import Image

from blurdm_cli.engine.candidates import Candidates
from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.machine import available_cores, tune_allocator
from blurdm_cli.motion.estimation import find_motion
from blurdm_cli.photo.photo import read_photo, write_photo
from blurdm_cli.zoo import DEFAULT, example_photo, find

PHOTO = (3000, 4000)
"""Height and width of 12 megapixels."""

RUNS, ROUNDS = 7, 3
"""Runs of a whole command, and of each of the times that are compared."""

T = TypeVar("T")

MAIN = "from blurdm_cli.commands.app import main; main()"
WITHOUT_TORCH = f"import sys; sys.modules['torch'] = None; {MAIN}"


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """Run something; its result and the seconds it took."""
    begin = time.perf_counter()
    return work(), time.perf_counter() - begin


def command(script: str, *words: str, runs: int = RUNS) -> float:
    """Median time of a whole process."""
    run = [sys.executable, "-c", script, *words]
    return statistics.median(
        seconds(lambda: subprocess.run(run, check=True, capture_output=True)) for _ in range(runs)
    )


@dataclass(frozen=True)
class Cost:
    """Cost of a process that deblurs one photo."""

    memory: float
    """Peak memory in MB."""
    seconds: float
    """Time from file to file, without the start of the process."""
    cpu_seconds: float
    """Processor time in these seconds, of all threads."""


def cost(options: argparse.Namespace, path: Path) -> Cost:
    """Deblur one photo in a process of its own, from file to file."""
    script = f"""
import resource, time
from pathlib import Path
from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.photo.photo import read_photo, write_photo
from blurdm_cli.machine import tune_allocator
tune_allocator()
path = Path({str(path)!r})
model, runtime, expert = {options.model!r}, {options.runtime!r}, {options.expert!r}
deblurrer = Deblurrer.open(model, runtime=runtime, expert=expert)
begin, before = time.perf_counter(), time.process_time()
photo = read_photo(path)
write_photo(photo.with_rgb(deblurrer(photo.rgb())), path.with_name("out.jpg"))
taken = time.perf_counter() - begin, time.process_time() - before
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, *taken)
"""
    run = [sys.executable, "-c", script]
    printed = subprocess.run(run, check=True, stdout=subprocess.PIPE, text=True).stdout
    return Cost(*map(float, printed.split()))


def make_photo(path: Path, height: int, width: int) -> None:
    """A photo of soft random detail."""
    noise = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default=DEFAULT)
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--expert", help="another model beside it, as blurdm deblur takes it")
    options = parser.parse_args()
    tune_allocator()
    deblurrer = Deblurrer.open(options.model, runtime=options.runtime)
    runtime = deblurrer.runtime
    with_expert = f" with {options.expert}" if options.expert else ""
    where = f"{runtime.name} on {runtime.device} in {runtime.precision}"
    print(f"{options.model}{with_expert}, {where}")
    print(f"blurdm --help              {command(MAIN, '--help'):8.2f} s")
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "first.jpg")
        words = ["deblur", str(example_photo()), "-o", out, "--on-exists", "overwrite"]
        words += ["--model", options.model]
        words += ["--expert", options.expert] if options.expert else []
        first = command(WITHOUT_TORCH, *words, runs=1 if options.expert else RUNS)
        print(f"0.26 megapixels, no torch  {first:8.2f} s, whole command")
        small, large = Path(folder) / "small.jpg", Path(folder) / "large.jpg"
        make_photo(small, 64, 64)
        make_photo(large, *PHOTO)
        least, most = cost(options, small), cost(options, large)
        print(f"interpreter and model      {least.memory:8.0f} MB")
        print(f"12 megapixels, over that   {most.memory - least.memory:8.0f} MB")
        if options.expert:
            print(
                f"12 megapixels              {most.seconds:8.1f} s, {most.cpu_seconds:.1f} of CPU"
            )
            return
        compare(deblurrer, options.model, large)


def compare(deblurrer: Deblurrer, model: str, path: Path) -> None:
    """From file to file, against the bare runtime, and against eager PyTorch."""
    import torch

    from blurdm_cli.networks.build import build

    spec, runtime = deblurrer.spec, deblurrer.runtime
    network = build(spec, find(model).weights()).eval().requires_grad_(False)
    plan = deblurrer.tiles.plan(*PHOTO)
    pixels = read_photo(path).rgb()
    noise = np.zeros((1, spec.prior_channels), np.float32)

    def whole() -> None:
        photo = read_photo(path)
        write_photo(photo.with_rgb(deblurrer(photo.rgb())), path.with_name("out.jpg"))

    def bare() -> None:
        restore_tiles(runtime, [tile] * len(plan.corners), noise)

    def eager() -> None:
        with torch.inference_mode():
            for _ in plan.corners[::8]:
                network(torch.from_numpy(tile), torch.from_numpy(noise))

    tile = plan.cut(pixels, plan.corners[:1], 255.0)
    if spec.candidates:
        motion, found_in = timed(lambda: find_motion(pixels, available_cores()))
        candidates = Candidates(pixels, motion)
        tile, cut_in = timed(lambda: candidates.cut(plan, plan.corners[0], 255.0))
        deconvolved_in = cut_in * len(plan.corners)
    bare()
    times = [[seconds(work) for work in (whole, bare, eager)] for _ in range(ROUNDS)]
    full, alone, plain = (statistics.median(column) for column in zip(*times, strict=True))
    plain *= len(plan.corners) / len(plan.corners[::8])
    print(f"12 megapixels              {full:8.1f} s, {len(plan.corners)} tiles")
    if spec.candidates:
        print(f"  finding the motion       {found_in:8.1f} s")
        print(f"  deconvolution            {deconvolved_in:8.1f} s")
    print(f"  bare runtime             {alone:8.1f} s: file to file takes {full / alone:.2f} times")
    print(f"  eager PyTorch, fp32 NCHW {plain:8.1f} s: {plain / alone:.2f} times the bare runtime")


if __name__ == "__main__":
    main()
