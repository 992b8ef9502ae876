"""blurdm bench: measure the speed and memory of each runtime on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blurdm_cli.commands.console import hold_progress, print_data, print_json, warn
from blurdm_cli.errors import BlurdmError, ComputeError
from blurdm_cli.machine import tune_allocator

if TYPE_CHECKING:
    import numpy as np

CANDIDATES = (
    ("torch", "fp32"),
    ("torch", "bf16"),
    ("torch", "fp16"),
    ("onnx", "auto"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
    ("auto", "auto"),
)
"""Runtime and precision of each row; unavailable ones are skipped."""


@dataclass(frozen=True)
class Row:
    """Measurements of one runtime in one precision, in its own process."""

    asked: str
    """The requested runtime; "auto" is the one that `deblur` uses."""
    runtime: str
    device: str
    precision: str
    start_seconds: float
    """Time from the start of the process to the first restored tile."""
    ms_per_megapixel: float
    """Median over the runs, including tiling and blending."""
    megapixels_per_second: float
    peak_mb: float


def bench(
    photo: Annotated[
        Path | None, typer.Argument(help="Photo to deblur.", show_default="a generated one")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Name, model folder or ONNX graph.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    megapixels: Annotated[
        float, typer.Option(min=0.1, max=100, help="Size of the generated photo.")
    ] = 2.0,
    runs: Annotated[
        int, typer.Option(min=1, max=100, help="Runs per runtime; the median counts.")
    ] = 3,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON array, one object per runtime.")
    ] = False,
) -> None:
    """Measure speed and memory of each runtime and precision on this machine."""
    from blurdm_cli import zoo
    from blurdm_cli.photo.photo import read_photo

    zoo.fingerprint(model or zoo.DEFAULT)  # fail on a wrong name instead of printing an empty table
    if photo:
        read_photo(photo)  # fail on an unreadable photo too
    rows = []
    with hold_progress("bench") as advance:
        for number, (runtime, precision) in enumerate(CANDIDATES):
            advance(number / len(CANDIDATES), f"{runtime} {precision}")
            settings = [model or zoo.DEFAULT, runtime, precision, device, photo and str(photo)]
            answer = _in_own_process([*settings, megapixels, runs])
            if isinstance(answer, Row):
                rows.append(answer)
            elif not as_json:
                warn(f"{runtime} {precision}: {answer}")
    if not rows:
        raise ComputeError("No runtime can run this here", hint="blurdm doctor shows why")
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    print_data(
        f"{'runtime':<10}{'device':<8}{'precision':<10}{'start, s':>9}"
        f"{'ms/megapixel':>14}{'megapixels/s':>14}{'peak, MB':>10}"
    )
    for row in rows:
        print_data(
            f"{row.runtime:<10}{row.device:<8}{row.precision:<10}{row.start_seconds:>9.2f}"
            f"{row.ms_per_megapixel:>14.0f}{row.megapixels_per_second:>14.2f}{row.peak_mb:>10.0f}"
            f"{'  <- auto' if row.asked == 'auto' else ''}"
        )


def _in_own_process(settings: list[object]) -> Row | str:
    """Measure in a fresh process; return the reason as text if nothing can be measured."""
    script = "import sys; from blurdm_cli.commands.bench import measure; measure(sys.argv[1])"
    words = [sys.executable, "-c", script, json.dumps([*settings, time.time()])]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ComputeError(f"The measuring process failed: {done.stderr.strip()[-300:]}")
    answer = json.loads(done.stdout.splitlines()[-1])
    return answer if isinstance(answer, str) else Row(**answer)


def measure(settings: str) -> None:
    """Measure in this process; print a row, or the reason why there is none, as JSON."""
    import statistics

    import numpy as np

    from blurdm_cli.engine.deblur import Deblurrer
    from blurdm_cli.photo.photo import read_photo

    tune_allocator()
    model, runtime, precision, device, photo, megapixels, runs, begin = json.loads(settings)
    try:
        where = {"runtime": runtime, "device": device, "precision": precision}
        deblurrer = Deblurrer.open(model, **where, motion="off")  # compares only runtimes
        side = deblurrer.tiles.side
        deblurrer(np.full((side, side, 3), 128, np.uint8))
        start = time.time() - begin
        pixels = read_photo(Path(photo)).rgb() if photo else _make_photo(megapixels)
    except BlurdmError as error:
        print(json.dumps(str(error)))
        return
    times = []
    for _ in range(runs):
        before = time.perf_counter()
        deblurrer(pixels)
        times.append(time.perf_counter() - before)
    seconds = statistics.median(times) / (pixels.shape[0] * pixels.shape[1] / 1e6)
    used = deblurrer.runtime
    speed = (1000 * seconds, 1 / seconds)
    row = Row(runtime, used.name, used.device, used.precision, start, *speed, _peak_mb())
    print(json.dumps(asdict(row)))


def _make_photo(megapixels: float) -> np.ndarray:
    """Generate a 4:3 photo with soft random detail."""
    import cv2
    import numpy as np

    height, width = (round((megapixels * 1e6 * ratio) ** 0.5) for ratio in (3 / 4, 4 / 3))
    small = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def _peak_mb() -> float:
    """Peak memory of this process, in MB."""
    if sys.platform == "win32":
        return float("nan")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024
