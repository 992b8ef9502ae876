"""How far the default model's answers are from what the guard takes for garbage.

    python benchmarks/guard.py PHOTOS... [--model NAME]

PHOTOS are folders, searched through. An alarm on a photo that the model restored as it should
is a false one.
"""

import argparse

import numpy as np

from blurdm_cli.engine import guard
from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.engine.pixels import white_of
from blurdm_cli.files.inputs import gather
from blurdm_cli.photo.photo import read_photo
from blurdm_cli.zoo import DEFAULT


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("photos", nargs="+")
    arguments.add_argument("--model", default=DEFAULT)
    arguments.add_argument("--every", type=int, default=1, help="take each n-th photo")
    options = arguments.parse_args()
    deblurrer = Deblurrer.open(options.model)
    alarms, drifts, scatters = 0, [], []
    for path, _ in gather(options.photos)[:: options.every]:
        pixels = read_photo(path).rgb()
        restored = deblurrer.restore(pixels)
        alarms += restored.guarded
        drifted, scattered = guard.drift(pixels, restored.pixels, white_of(pixels))
        drifts.append(np.abs(drifted).max())
        scatters.append(scattered.max())
    print(f"{len(drifts)} photos, {alarms} alarms")
    for what, values, limit in (
        ("a square's light", drifts, guard.LARGEST_DRIFT),
        ("its values beside that", scatters, guard.LARGEST_SCATTER),
    ):
        shares = "median {:.3f}, 99 % {:.3f}, all {:.3f}".format(
            *np.quantile(values, [0.5, 0.99, 1])
        )
        print(f"largest change of {what}: {shares}; the limit is {limit}")


if __name__ == "__main__":
    main()
