"""What a video costs: frames a second against the bare runtime's, and memory by length.

    python benchmarks/video.py [MODEL] [--runtime auto] [--frames 120]

The clip pans over the example photo at 1280 x 720, H.264, with sharp frames restored too. `bare`
is the runtime alone on the same frames' tiles, without decoding, cutting, blending, writing into
planes and encoding. Both run by turns, three times; medians. Memory is the peak of a
process of its own (Linux) that deblurs a clip of 640 x 360 and 30 frames a second with the tiny
model, from file to file.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from bare import restore_tiles

from blurdm_cli.engine.candidates import Candidates
from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.machine import tune_allocator
from blurdm_cli.motion.found import Motion
from blurdm_cli.photo.photo import read_photo
from blurdm_cli.pipeline.clip import deblur_clip
from blurdm_cli.pipeline.options import VideoOptions
from blurdm_cli.video.losses import Losses
from blurdm_cli.video.reader import open_clip, read_frames
from blurdm_cli.video.yuv import to_rgb
from blurdm_cli.zoo import DEFAULT, example_photo

ROUNDS = 3
RATE = 30
LENGTHS = (10, 60)
"""Seconds of the clips whose memory is compared."""

PEAK = """
import sys
from pathlib import Path
from blurdm_cli.pipeline.clip import deblur_clip
from blurdm_cli.pipeline.options import VideoOptions
from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.machine import tune_allocator
tune_allocator()
source, target = map(Path, sys.argv[1:3])
deblurrer = Deblurrer.open("blurdm-tiny", runtime=sys.argv[3])
deblur_clip(source, target, deblurrer, VideoOptions(all_frames=True), settings="")
status = Path("/proc/self/status").read_text()  # a child's ru_maxrss begins at its parent's
print(int(status.split("VmHWM:")[1].split()[0]) / 1024)
"""


def make_clip(path: Path, height: int, width: int, frames: int) -> Path:
    """A slow pan over the example photo, to and fro."""
    example = example_photo()
    if example is None:
        raise SystemExit("the example photo is not installed")
    pixels = read_photo(example).rgb().astype(np.uint8)
    photo = cv2.resize(pixels, (width + 128, height)).astype(np.uint8)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=RATE, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            left = abs((3 * number) % 256 - 128)
            part = np.ascontiguousarray(photo[:, left : left + width])
            frame = av.VideoFrame.from_ndarray(part, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def frame_rates(deblurrer: Deblurrer, source: Path, frames: int) -> tuple[float, float]:
    """Frames a second of the bare runtime, and from file to file."""
    picture = to_rgb(next(read_frames(open_clip(source), Losses())))
    plan = deblurrer.tiles.plan(*picture.shape[:2])
    noise = np.zeros((1, deblurrer.spec.prior_channels), np.float32)
    tiles = [plan.cut(picture, [corner], 1.0) for corner in plan.corners]
    if deblurrer.spec.candidates:  # of videos, motion is not looked for
        still = Candidates(np.ascontiguousarray(picture, np.float32), Motion())
        tiles = [still.cut(plan, corner, 1.0) for corner in plan.corners]
    restore_tiles(deblurrer.runtime, tiles, noise)
    bare, whole = list[float](), list[float]()
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        restore_tiles(deblurrer.runtime, tiles * frames, noise)
        bare.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        target = source.with_name("out.mp4")
        deblur_clip(source, target, deblurrer, VideoOptions(all_frames=True), settings="")
        whole.append(time.perf_counter() - begin)
    return frames / statistics.median(bare), frames / statistics.median(whole)


def peak(folder: Path, seconds: int, runtime: str) -> float:
    """Peak memory in MB."""
    source = make_clip(folder / f"{seconds}.mp4", 360, 640, seconds * RATE)
    run = [sys.executable, "-c", PEAK, str(source), str(folder / "out.mp4"), runtime]
    return float(subprocess.run(run, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default=DEFAULT)
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--frames", type=int, default=120)
    options = parser.parse_args()
    tune_allocator()
    deblurrer = Deblurrer.open(options.model, runtime=options.runtime)
    runtime = deblurrer.runtime
    print(f"{options.model}, {runtime.name} on {runtime.device} in {runtime.precision}")
    with tempfile.TemporaryDirectory() as name:
        source = make_clip(Path(name) / "clip.mp4", 720, 1280, options.frames)
        bare, whole = frame_rates(deblurrer, source, options.frames)
        print(f"1280 x 720, bare runtime   {bare:8.2f} frames/s")
        print(f"  from file to file        {whole:8.2f} frames/s: {whole / bare:.2f} of the bare")
        short, long = (peak(Path(name), seconds, options.runtime) for seconds in LENGTHS)
    for seconds, memory in zip(LENGTHS, (short, long), strict=True):
        print(f"peak memory, {seconds} s         {memory:8.0f} MB")
    print(f"  longer clip              {100 * (long / short - 1):+8.1f} %")


if __name__ == "__main__":
    main()
