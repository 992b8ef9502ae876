"""Motion that streaks of light show: made night scenes, and photos in which there should be none.

    python benchmarks/night.py [--scenes N] [--model MODEL] [PHOTOS...]

A scene has discs in the dark, 8 to 44 small lights of widths and brightnesses that differ by up to
150 times, windows, and noise; half are JPEGs. Each is looked at as it is, and blurred by a path of
12 to 60 pixels. `found` counts photos in which streaks of light show a motion, whatever else is
found in them. Likeness is that of the kernel to the true one; gain is that of the restored photo
in dB, with this motion and without any. PHOTOS are folders of sharp photos; each is looked at as it
is, and darkened: smaller, with noise, and with its highlights lifted to lights.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from blurdm_cli.engine.deblur import Deblurrer
from blurdm_cli.files.formats import PHOTO_SUFFIXES
from blurdm_cli.machine import tune_allocator
from blurdm_cli.motion.deconvolution import noise_of
from blurdm_cli.motion.found import Motion
from blurdm_cli.motion.kernel import DELTA, Kernel, likeness, normalised
from blurdm_cli.motion.light import to_encoded, to_linear
from blurdm_cli.motion.night import motion_of_lights
from blurdm_cli.motion.windows import Views, in_unit_range
from blurdm_cli.photo.photo import read_photo
from blurdm_cli.physics.trajectory import random_trajectory
from blurdm_cli.zoo import DEFAULT

SIZE = 420, 560
"""Rows and columns of a scene."""

EDGE = 32
"""Pixels around a scene that gains leave out."""

Picture = UInt8[np.ndarray, "h w 3"]


def draw(rng: np.random.Generator) -> Float32[np.ndarray, "h w 3"]:
    """A night scene in linear light; lights exceed white."""
    scene = np.full((*SIZE, 3), 0.3, np.float32)
    for _ in range(700):
        radius = int(min(2 / max(rng.random(), 0.02), 90))
        centre = [int(rng.integers(side)) for side in SIZE[::-1]]
        cv2.circle(scene, centre, radius, rng.uniform(0, 0.9, 3).tolist(), -1, cv2.LINE_AA)
    scene *= np.float32(rng.uniform(0.01, 0.1)) * np.array([1, 0.85, 0.6], np.float32)
    for _ in range(rng.integers(6)):
        top, left = (int(rng.integers(10, side - 40)) for side in SIZE)
        height, width = rng.integers(2, 30, 2)
        scene[top : top + height, left : left + width] += rng.uniform(0.1, 1.5)
    width = rng.uniform(0.4, 1.6)
    for _ in range(rng.integers(8, 45)):
        row, column = (rng.uniform(0, side) for side in SIZE)
        own = width * rng.uniform(0.8, 1.3)
        rows, columns = (np.arange(side) - at for side, at in zip(SIZE, (row, column), strict=True))
        spots = [np.exp(-(away**2) / (2 * own**2)) for away in (rows, columns)]
        power = np.exp(rng.uniform(np.log(2), np.log(300))) / (2 * np.pi * own**2)
        colour = power * rng.uniform(0.5, 1, 3)
        scene += np.multiply.outer(np.outer(*spots), colour).astype(np.float32)
    return scene


def expose(
    scene: Float32[np.ndarray, "h w 3"], kernel: Kernel, rng: np.random.Generator
) -> tuple[Picture, Picture]:
    """A photo of a scene, blurred with a kernel, and one that is sharp."""
    noise, quality = np.exp(rng.uniform(np.log(0.004), np.log(0.04))), int(rng.integers(60, 96))
    taken = []
    for each in (kernel, DELTA):
        light = cv2.filter2D(scene, -1, each[::-1, ::-1].copy(), borderType=cv2.BORDER_REFLECT)
        light = np.maximum(light, 0)
        grain = noise * np.sqrt(0.002 + np.minimum(light, 1)) * rng.standard_normal(light.shape)
        photo = np.rint(to_encoded((light + grain).astype(np.float32)) * 255).astype(np.uint8)
        if quality >= 78:
            coded = cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
            photo = cv2.imdecode(coded, cv2.IMREAD_COLOR)
        taken.append(photo)
    return taken[0], taken[1]


def darkened(photo: np.ndarray, rng: np.random.Generator) -> Picture:
    """A photo as if it was taken at night: its highlights are the lights."""
    size = rng.uniform(0.4, 1)
    small = cv2.resize(in_unit_range(photo), None, fx=size, fy=size, interpolation=cv2.INTER_AREA)
    light = to_linear(small)
    highlight = np.quantile(light.max(axis=2), rng.uniform(0.9, 0.995))
    dark = light * np.exp(rng.uniform(np.log(0.03), np.log(0.4)))
    light = dark + rng.uniform(1, 10) * np.maximum(light - highlight, 0)
    grain = rng.uniform(0.005, 0.05) * np.sqrt(0.001 + np.minimum(light, 1))
    light = np.maximum(light + grain * rng.standard_normal(light.shape), 0)
    return np.rint(to_encoded(light.astype(np.float32)) * 255).astype(np.uint8)


def look(photo: np.ndarray) -> Motion:
    """The motion that streaks of light show in a photo."""
    views = Views(photo, [1])
    return motion_of_lights(photo, views, noise_of(views.grey("encoded", 1)))


def psnr(photo: Picture, sharp: Picture) -> float:
    inner = np.s_[EDGE:-EDGE, EDGE:-EDGE]
    difference = (photo[inner].astype(np.float32) - sharp[inner]) / 255
    return float(-10 * np.log10(np.mean(difference**2)))


def scenes(count: int, deblurrer: Deblurrer) -> str:
    """The row of made scenes."""
    alike, gains, sharp_found = [], [], 0
    for number in range(count):
        rng = np.random.default_rng(number)
        length = float(np.exp(rng.uniform(np.log(12), np.log(60))))
        path = random_trajectory(rng, length, 1000.0).centred()
        kernel = normalised(path.density(int(length) // 2 + 4))
        blurred, sharp = expose(draw(rng), kernel, rng)
        sharp_found += look(sharp).reach > 1
        motion = look(blurred)
        if motion.reach > 1:
            alike.append(likeness(motion.linear.kernel, kernel))
            before = psnr(blurred, sharp)
            results = [deblurrer.restore(blurred, motion=m).pixels for m in (motion, Motion())]
            gains.append([psnr(result, sharp) - before for result in results])
    own, none = np.mean(gains, axis=0)
    return (
        f"| scenes, blurred | {count} | {len(alike)} | {np.mean(alike):.2f} | {min(alike):.2f}"
        f" | {own:+.2f} | {none:+.2f} |\n| scenes, sharp | {count} | {sharp_found} | | | | |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="*", type=Path, help="folders of photos")
    parser.add_argument("--scenes", type=int, default=40)
    parser.add_argument("--model", default=DEFAULT)
    options = parser.parse_args()
    tune_allocator()
    print("| photos | number | found | likeness | least | gain | gain without |")
    print("|---" * 7 + "|")
    print(scenes(options.scenes, Deblurrer.open(options.model)), flush=True)
    for folder in options.photos:
        paths = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in PHOTO_SUFFIXES]
        rng = np.random.default_rng(0)
        found: dict[str, list[str]] = {"": [], ", darkened": []}
        for path in paths:
            photo = read_photo(path).rgb()
            for kind, each in zip(found, (photo, darkened(photo, rng)), strict=True):
                found[kind] += [path.name] if look(each).reach > 1 else []
        for kind, names in found.items():
            print(
                f"| {folder.name}{kind} | {len(paths)} | {len(names)} | | | | |", *names, flush=True
            )


if __name__ == "__main__":
    main()
