"""How much a restored clip flickers where its scene stands still, and what smoothing changes.

    python benchmarks/flicker.py [PHOTO...] [--model MODEL] [--frames 24]

A locked-off clip is made of each photo: the same camera shake in every frame, a part of the
photo that moves across it, and sensor noise that is new in every frame. Still regions are those
that the moving part never touches. Two measures on them, without any warping, and one more on
where it moves, as what steadies a clip may smear it:

    change    standard deviation over time of restored minus input, in 8-bit levels: what the
              network adds and takes differently from frame to frame
    steady    PSNR of each frame against the one before, dB
    moving    PSNR against the sharp clip within the moving part and around it, dB

`new noise` draws the diffusion's noise anew for each frame; all others keep it. `prior` smooths
the latent prior over time, `light` smooths what the network changed at low frequencies (a Gaussian
of 16 pixels), both exponentially with the weight on the past that stands beside them.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

from blurdm_cli.media.image import read_photo
from blurdm_cli.networks.build import build
from blurdm_cli.zoo import DEFAULT, Model, example_photo, find

SIDE = 512
"""Pixels: one tile of the default model."""

NOISE = 2.5
"""Standard deviation of the sensor's noise, 8-bit levels."""

SHAKE = 9
"""Pixels of horizontal motion in each exposure."""


PASTS = (0.5, 0.8, 0.95)
"""Weights on what was before."""


@dataclass(frozen=True)
class LockedOff:
    """A clip whose camera stands still; frames are (frames, 3, h, w) in [0, 1]."""

    blurred: np.ndarray
    sharp: np.ndarray
    moving: np.ndarray
    """Where the moving part is in each frame: (frames, h, w)."""


def make_clip(photo: np.ndarray, frames: int) -> LockedOff:
    rng = np.random.default_rng(0)
    still = cv2.blur(photo, (SHAKE, 1))
    height, width = photo.shape[:2]
    patch = photo[height // 3 : height // 2, width // 3 : width // 2]
    rows = slice(height // 2, height // 2 + len(patch))
    blurred, sharp, moving = [], [], np.zeros((frames, height, width), bool)
    for number in range(frames):
        left = number * (width - patch.shape[1] - 1) // max(frames - 1, 1)
        where = (rows, slice(left, left + patch.shape[1]))
        frame, ideal = still.copy(), photo.copy()
        frame[where], ideal[where] = cv2.blur(patch, (SHAKE * 2, 1)), patch
        moving[number][where] = True
        noisy = frame + rng.normal(0, NOISE / 255, frame.shape)
        blurred.append(np.round(np.clip(noisy, 0, 1) * 255) / 255)
        sharp.append(ideal)

    def stacked(pictures: list[np.ndarray]) -> np.ndarray:
        return np.stack(pictures).transpose(0, 3, 1, 2).astype(np.float32)

    return LockedOff(stacked(blurred), stacked(sharp), moving)


class Network:
    """A model's two halves: from a frame to its prior, and from both to the restored frame."""

    def __init__(self, model: Model) -> None:
        self._network = build(model.spec, model.weights()).eval().requires_grad_(False)
        self._channels = model.spec.prior_channels

    @torch.inference_mode()
    def prior(self, frame: np.ndarray, seed: int = 0) -> torch.Tensor | None:
        noise = np.random.default_rng(seed).standard_normal((1, self._channels))
        return self._network.find_prior(
            torch.from_numpy(frame[None]), torch.from_numpy(noise.astype(np.float32))
        )

    @torch.inference_mode()
    def restore(self, frame: np.ndarray, prior: torch.Tensor | None) -> np.ndarray:
        tile = torch.from_numpy(frame[None])
        return self._network.restore(tile, prior)[0].clamp(0, 1).numpy()


Method = Callable[[Network, np.ndarray], Iterator[np.ndarray]]


def plain(network: Network, clip: np.ndarray, new_noise: bool = False) -> Iterator[np.ndarray]:
    for number, frame in enumerate(clip):
        yield network.restore(frame, network.prior(frame, number if new_noise else 0))


def smooth_prior(network: Network, clip: np.ndarray, past: float) -> Iterator[np.ndarray]:
    prior: torch.Tensor | None = None
    for frame in clip:
        found = network.prior(frame)
        prior = found if prior is None or found is None else past * prior + (1 - past) * found
        yield network.restore(frame, prior)


def smooth_light(network: Network, clip: np.ndarray, past: float) -> Iterator[np.ndarray]:
    light: np.ndarray | None = None
    for frame, result in zip(clip, plain(network, clip), strict=True):
        change = (result - frame).transpose(1, 2, 0)
        found = cv2.GaussianBlur(change, (0, 0), 16)
        light = found if light is None else past * light + (1 - past) * found
        yield np.clip(frame + (change - found + light).transpose(2, 0, 1), 0, 1)


METHODS: dict[str, Method] = {
    "fixed noise": plain,
    "new noise": partial(plain, new_noise=True),
    **{f"prior {past}": partial(smooth_prior, past=past) for past in PASTS},
    **{f"light {past}": partial(smooth_light, past=past) for past in PASTS},
}


def measures(frames: np.ndarray, clip: LockedOff) -> tuple[float, float, float]:
    """All three of one restored clip."""
    around = np.ones((97, 97), np.uint8)
    near = np.stack([cv2.dilate(np.uint8(255) * m, around) > 0 for m in clip.moving])
    still = ~near.any(axis=0)
    change = (frames - clip.blurred)[:, :, still]
    steps = np.diff(frames[:, :, still], axis=0)
    errors = ((frames - clip.sharp) ** 2).mean(axis=1)[near]
    return (
        float(255 * change.std(axis=0).mean()),
        float(np.mean(-10 * np.log10(np.mean(steps**2, axis=(1, 2))))),
        float(-10 * np.log10(errors.mean())),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="*", type=Path, default=[example_photo()])
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--frames", type=int, default=24)
    options = parser.parse_args()
    model = find(options.model)
    network = Network(model)
    figures: dict[str, list[tuple[float, float, float]]] = {}
    for path in options.photos:
        pixels = read_photo(path).rgb()[:SIDE, :SIDE].astype(np.float32) / 255
        height, width = (side - side % model.spec.multiple_of for side in pixels.shape[:2])
        clip = make_clip(pixels[:height, :width], options.frames)
        figures.setdefault("input", []).append(measures(clip.blurred, clip))
        for name, method in METHODS.items():
            found = np.stack(list(method(network, clip.blurred)))
            figures.setdefault(name, []).append(measures(found, clip))
    print("| method | change, levels | steady, dB | moving, dB |")
    print("|---|---|---|---|")
    for name, values in figures.items():
        change, steady, moving = np.mean(values, axis=0)
        print(f"| {name} | {change:.4f} | {steady:.3f} | {moving:.3f} |")


if __name__ == "__main__":
    main()
