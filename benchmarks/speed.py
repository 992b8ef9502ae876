"""What a photo costs: start of the command, seconds and memory of 12 megapixels.

python benchmarks/speed.py [MODEL]
"""

import statistics
import subprocess
import sys
import time

from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.zoo import DEFAULT

PHOTO = (3000, 4000)
"""Height and width of 12 megapixels."""


def help_seconds(runs: int = 11) -> float:
    """Median time of `blurdm --help`, as a whole process."""
    command = [sys.executable, "-c", "from blurdm_cli.commands.app import main; main()", "--help"]
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def peak_and_seconds(model: str, height: int, width: int) -> tuple[float, float]:
    """Peak memory in MB of a process that deblurs one photo from file to file, and its seconds."""
    script = f"""
import resource, tempfile, time
from pathlib import Path
import numpy as np
from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.media.image import read_photo, write_photo
from PIL import Image
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "photo.jpg"
    noise = np.random.default_rng(0).integers(0, 256, ({height} // 8, {width} // 8, 3), np.uint8)
    Image.fromarray(noise).resize(({width}, {height}), Image.Resampling.BICUBIC).save(path)
    del noise
    deblurrer = Deblurrer.open({model!r})
    begin = time.perf_counter()
    photo = read_photo(path)
    write_photo(photo.with_rgb(deblurrer(photo.rgb())), path.with_name("out.jpg"))
    seconds = time.perf_counter() - begin
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, seconds)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    megabytes, seconds = map(float, done.stdout.split())
    return megabytes, seconds


def main() -> None:
    model = sys.argv[1] if len(sys.argv) > 1 else DEFAULT
    runtime = Deblurrer.open(model).runtime
    print(f"{model}, {runtime.name} on {runtime.device} in {runtime.precision}")
    print(f"blurdm --help              {help_seconds():8.2f} s")
    base, _ = peak_and_seconds(model, 64, 64)
    peak, seconds = peak_and_seconds(model, *PHOTO)
    print(f"interpreter and model      {base:8.0f} MB")
    print(f"12 megapixels, over that   {peak - base:8.0f} MB")
    print(f"12 megapixels              {seconds:8.1f} s")


if __name__ == "__main__":
    main()
