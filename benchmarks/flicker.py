"""How much a restored clip flickers, what smoothing over time changes, and what that costs.

    python benchmarks/flicker.py [PHOTO...] [--model MODEL] [--frames 24]

Two clips are made of each photo, both with sensor noise that is new in every frame. One is locked
off: the same blur in every frame, and a part of the photo that moves across it. Still regions
are those that the moving part never touches. The other is held by a hand: its path in
each exposure goes on from that of the frame before, and is never the same. Nothing is warped:

    change      standard deviation over time of restored minus input where the locked-off clip is
                still, in 8-bit levels: what the network does differently from frame to frame
    steady      PSNR there of each frame against the one before, dB
    moving      PSNR against the sharp clip within the moving part and around it, dB
    hand-held   PSNR of the hand-held clip against the sharp one, dB
    aligned     the same, each frame after its best shift, dB

`new noise` draws the diffusion's noise anew for each frame; all others keep it. `prior` smooths
the latent prior over time, exponentially with the weight on the past that stands beside it; `near`
does so only as far as a new prior lies near the past, and follows it where it does not. `light`
smooths what the network changed at low frequencies (a Gaussian of 16 pixels). `motion` undoes what
is found in each frame, as `--motion on` does; `first motion` undoes the first frame's in all.
The example photo, which is taken without PHOTO, is somewhat blurred: undoing that counts as a loss.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

from blurdm_cli.motion.candidates import make_candidates
from blurdm_cli.motion.estimation import find_motion
from blurdm_cli.motion.found import Motion
from blurdm_cli.networks.build import build
from blurdm_cli.photo.photo import read_photo
from blurdm_cli.physics.camera import linear_to_srgb, srgb_to_linear
from blurdm_cli.physics.exposure import expose
from blurdm_cli.physics.trajectory import Trajectory, random_trajectory
from blurdm_cli.training.evaluation import Align, score
from blurdm_cli.zoo import DEFAULT, Model, example_photo, find

SIDE = 512
"""Pixels of a photo that are looked at: less than a tile of the default model."""

NOISE = 2.5
"""Standard deviation of the sensor's noise, 8-bit levels."""

SHAKE = 9
"""Pixels of horizontal motion in each exposure of the locked-off clip."""

LENGTH = 12
"""Pixels of the first path of the hand-held clip, about those of the others."""

KEPT = 0.95
"""Correlation of a hand's path with that of the frame before: a steady hand's."""

MARGIN = 32
"""Pixels around the hand-held clip that its camera may wander into."""

ALIGNMENTS: tuple[Align, ...] = ("none", "shift")

PASTS = (0.5, 0.8, 0.95)
"""Weights on what was before."""

NEAR = 0.2
"""Distance between two priors, as a share of their length, at which `near` begins to follow."""


@dataclass(frozen=True)
class Clip:
    """Frames are (frames, 3, h, w) in [0, 1]."""

    blurred: np.ndarray
    sharp: np.ndarray


@dataclass(frozen=True)
class LockedOff(Clip):
    """A clip whose camera stands still."""

    moving: np.ndarray
    """Where the moving part is in each frame: (frames, h, w)."""


def lock_off(photo: np.ndarray, frames: int) -> LockedOff:
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
        blurred.append(channels_first(recorded(frame, rng)))
        sharp.append(channels_first(ideal))
    return LockedOff(np.stack(blurred), np.stack(sharp), moving)


def hold(photo: np.ndarray, frames: int) -> Clip:
    rng = np.random.default_rng(0)
    scene = srgb_to_linear(torch.from_numpy(channels_first(photo))[None])
    size = (photo.shape[0] - 2 * MARGIN, photo.shape[1] - 2 * MARGIN)
    path = random_trajectory(rng, LENGTH, max(size) / 2)
    blurred, sharp = [], []
    for _ in range(frames):
        exposures = linear_to_srgb(expose(scene, [path], size)[:, 0]).numpy()
        sharp.append(exposures[0])
        blurred.append(recorded(exposures[-1], rng).astype(np.float32))
        path = go_on(path, random_trajectory(rng, LENGTH, max(size) / 2))
    return Clip(np.stack(blurred), np.stack(sharp))


def go_on(path: Trajectory, other: Trajectory) -> Trajectory:
    """The next frame's path: for the most part the last one's."""
    new = np.sqrt(1 - KEPT**2)
    return Trajectory(
        *(KEPT * getattr(path, f.name) + new * getattr(other, f.name) for f in fields(Trajectory))
    )


def recorded(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A frame with the sensor's noise, in 8 bits."""
    noisy = frame + rng.normal(0, NOISE / 255, frame.shape)
    return np.round(np.clip(noisy, 0, 1) * 255) / 255


def channels_first(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(picture.transpose(2, 0, 1), dtype=np.float32)


class Network:
    """A model's two halves: from a frame to its prior, and from both to the restored frame."""

    def __init__(self, model: Model) -> None:
        self._network = build(model.spec, model.weights()).eval().requires_grad_(False)
        self._channels = model.spec.prior_channels

    @torch.inference_mode()
    def prior(self, seen: np.ndarray, seed: int = 0) -> torch.Tensor | None:
        noise = np.random.default_rng(seed).standard_normal((1, self._channels))
        vector = torch.from_numpy(noise.astype(np.float32))
        return self._network.find_prior(torch.from_numpy(seen[None]), vector)

    def seen(self, frame: np.ndarray, motion: Motion | None = None) -> np.ndarray:
        """The planes that the network takes."""
        if not self._network.candidates:
            return frame
        photo = np.ascontiguousarray(frame.transpose(1, 2, 0))
        return np.concatenate([frame, make_candidates(photo, motion or Motion())])

    @torch.inference_mode()
    def restore(self, seen: np.ndarray, prior: torch.Tensor | None) -> np.ndarray:
        planes = torch.from_numpy(seen[None])
        return self._network.restore(planes, prior)[0].clamp(0, 1).numpy()


Method = Callable[[Network, np.ndarray], Iterator[np.ndarray]]


def plain(network: Network, clip: np.ndarray, new_noise: bool = False) -> Iterator[np.ndarray]:
    for number, frame in enumerate(clip):
        seen = network.seen(frame)
        yield network.restore(seen, network.prior(seen, number if new_noise else 0))


def smooth_prior(
    network: Network, clip: np.ndarray, past: float, near: float = np.inf
) -> Iterator[np.ndarray]:
    prior: torch.Tensor | None = None
    for frame in clip:
        seen = network.seen(frame)
        found = network.prior(seen)
        if prior is None or found is None:
            prior = found
        else:
            apart = float((found - prior).norm() / found.norm())
            weight = past * np.exp(-((apart / near) ** 2))
            prior = weight * prior + (1 - weight) * found
        yield network.restore(seen, prior)


def undo_motion(
    network: Network, clip: np.ndarray, only_first: bool = False
) -> Iterator[np.ndarray]:
    motion: Motion | None = None
    for frame in clip:
        if motion is None or not only_first:
            motion = find_motion(np.ascontiguousarray(frame.transpose(1, 2, 0)))
        seen = network.seen(frame, motion)
        yield network.restore(seen, network.prior(seen))


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
    **{f"near {past}": partial(smooth_prior, past=past, near=NEAR) for past in PASTS[1:]},
    **{f"light {past}": partial(smooth_light, past=past) for past in PASTS},
    "motion": undo_motion,
    "first motion": partial(undo_motion, only_first=True),
}


def measures(frames: np.ndarray, clip: LockedOff) -> tuple[float, float, float]:
    """How steady a restored locked-off clip is, and how sharp where it moves."""
    around = np.ones((97, 97), np.uint8)
    near = np.stack([cv2.dilate(np.uint8(255) * m, around) > 0 for m in clip.moving])
    still = ~near.any(axis=0)
    change = (frames - clip.blurred)[:, :, still]
    steps = np.diff(frames[:, :, still], axis=0)
    errors = ((frames - clip.sharp) ** 2).mean(axis=1)[near]
    return (
        float(255 * change.std(axis=0).mean()),
        float(np.mean(psnr(np.mean(steps**2, axis=(1, 2))))),
        float(psnr(errors.mean())),
    )


def sharpness(frames: np.ndarray, clip: Clip) -> tuple[float, float]:
    """PSNR against the sharp clip, plain and after the best shift, averaged over the frames."""
    pairs = [
        (torch.from_numpy(found[None]), torch.from_numpy(sharp[None]))
        for found, sharp in zip(frames, clip.sharp, strict=True)
    ]
    plain, aligned = (
        float(np.mean([score(*pair, align)[0] for pair in pairs])) for align in ALIGNMENTS
    )
    return plain, aligned


def psnr(errors: np.ndarray) -> np.ndarray:
    return -10 * np.log10(errors)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="*", type=Path, default=[example_photo()])
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--frames", type=int, default=24)
    options = parser.parse_args()
    model = find(options.model)
    network = Network(model)
    figures: dict[str, list[tuple[float, ...]]] = {}
    for path in options.photos:
        pixels = read_photo(path).rgb()[:SIDE, :SIDE].astype(np.float32) / 255
        height, width = (side - side % model.spec.multiple_of for side in pixels.shape[:2])
        locked = lock_off(pixels[:height, :width], options.frames)
        held = hold(pixels[:height, :width], options.frames)
        blurred = (*measures(locked.blurred, locked), *sharpness(held.blurred, held))
        figures.setdefault("input", []).append(blurred)
        for name, method in METHODS.items():
            steady, moved = (np.stack(list(method(network, c.blurred))) for c in (locked, held))
            found = (*measures(steady, locked), *sharpness(moved, held))
            figures.setdefault(name, []).append(found)
    print("| method | change, levels | steady, dB | moving, dB | hand-held, dB | aligned, dB |")
    print("|---|---|---|---|---|---|")
    for name, values in figures.items():
        change, *decibels = np.mean(values, axis=0)
        print(f"| {name} | {change:.4f} | {' | '.join(f'{value:.3f}' for value in decibels)} |")


if __name__ == "__main__":
    main()
