"""Motion of a camera, or of an object in front of it, while the shutter is open.

A trajectory is a smooth random path through four numbers, in the order of `AXES`: two
in-plane shifts in pixels, roll in radians, and the logarithm of the scale. Time runs
from -1/2 to 1/2 over one exposure; at time 0, where the sharp image is taken, all four
are 0, unless the path is `centred`.

A hand adds two motions: a sweep, which is nearly a straight line over one exposure, and
tremor, whose amplitude falls with its frequency.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from jaxtyping import Float

AXES = ("right", "down", "roll", "log_scale")

INSTANTS = 256
"""Instants of an exposure from which a path's density is computed."""

HARMONICS = 4
"""Tremor has up to this many half-cycles over one exposure."""


@dataclass(frozen=True)
class Trajectory:
    """Path of one rigid object over one exposure."""

    sweep: Float[np.ndarray, "4"]
    """Velocity at time 0, per exposure."""
    bend: Float[np.ndarray, "4"]
    """Half the acceleration, per exposure squared."""
    tremor: Float[np.ndarray, "2 harmonics 4"]
    """Amplitudes of the sines and of the cosines of 1, 2, … half-cycles an exposure."""
    offset: float | Float[np.ndarray, "4"] = 0.0
    """Subtracted at all times; 0 if the path passes through zero at time 0."""

    def at(self, times: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n 4"]:
        """Displacement along each of `AXES` at each time, relative to time 0."""
        amplitudes = np.concatenate([self.sweep[None], self.bend[None], *self.tremor])
        return _basis(times.tobytes(), self.tremor.shape[1]) @ amplitudes - self.offset

    def affine(self, times: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n 2 3"]:
        """Matrices that map a point, in pixels from the image's centre, to what it sees."""
        right, down, roll, log_scale = self.at(times).T
        cosine, sine = np.exp(log_scale) * np.array([np.cos(roll), np.sin(roll)])
        rows = [[cosine, -sine, right], [sine, cosine, down]]
        return np.moveaxis(np.array(rows), -1, 0)

    def length(self, radius: float) -> float:
        """Blur length: the longest path of the centre and of four points around it, in pixels.

        Args:
            radius: horizontal and vertical distance of the four points from the centre.
        """
        points = radius * np.array([[0, 0], [1, 1], [1, -1], [-1, 1], [-1, -1]], dtype=float)
        matrices = self.affine(np.linspace(-0.5, 0.5, 33))
        seen = points @ matrices[:, :, :2].transpose(0, 2, 1) + matrices[:, None, :, 2]
        steps = np.linalg.norm(np.diff(seen, axis=0), axis=-1)
        return float(steps.sum(axis=0).max())

    def density(self, reach: int) -> Float[np.ndarray, "side side"]:
        """Time that the picture's centre spends at each displacement, as a share of the exposure.

        Args:
            reach: the largest displacement in pixels; larger ones are clipped to it.

        Returns:
            Rows from `reach` pixels up to `reach` down, columns from left to right; the sum is 1.
        """
        seen = np.clip(self.at(instants(INSTANTS))[:, 1::-1], -reach, reach) + reach
        side = 2 * reach + 2
        whole = np.floor(seen).astype(int)
        down, right = (seen - whole).T
        first = whole @ np.array([side, 1])
        places = np.concatenate([first, first + 1, first + side, first + side + 1])
        shares = [(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right]
        weights = np.concatenate(shares) / INSTANTS
        density = np.bincount(places, weights, side**2).astype(np.float32)
        return density.reshape(side, side)[:-1, :-1]

    def scaled(self, factor: float) -> "Trajectory":
        """The same path, `factor` times as large."""
        return replace(
            self,
            sweep=self.sweep * factor,
            bend=self.bend * factor,
            tremor=self.tremor * factor,
            offset=self.offset * factor,
        )

    def centred(self) -> "Trajectory":
        """The same path, moved so that its mean over the exposure is zero.

        The sharp image then lies where the blurred image's light lies on average.
        """
        return replace(self, offset=self.at(instants(INSTANTS)).mean(axis=0) + self.offset)


@lru_cache(64)
def _basis(times: bytes, harmonics: int) -> Float[np.ndarray, "n terms"]:
    """Values of a path's sweep, bend, and tremor's sines and cosines at float64 times."""
    t = np.frombuffer(times)[:, None]
    phase = np.pi * t * np.arange(1, harmonics + 1)
    return np.concatenate([t, t**2, np.sin(phase), np.cos(phase) - 1.0], axis=1)


def instants(count: int) -> Float[np.ndarray, "{count}"]:
    """Centres of `count` equal parts of an exposure."""
    return (np.arange(count) + 0.5) / count - 0.5


def random_trajectory(rng: np.random.Generator, length: float, radius: float) -> Trajectory:
    """Draw a path of a given blur length.

    A third of the paths only shift; the others also roll and change scale, by up to
    about half of what they shift at `radius`.

    Args:
        rng: source of randomness.
        length: the blur length in pixels (see `Trajectory.length`); 0 is no motion.
        radius: half the side of the image that the path is for, in pixels.
    """
    turning = 0.0 if rng.random() < 1 / 3 else 1.0
    size = np.array([1.0, 1.0, turning * 0.35 / radius, turning * 0.25 / radius])
    sweeping = rng.beta(0.7, 0.7)
    falloff = np.arange(1, HARMONICS + 1)[:, None] ** -1.5
    path = Trajectory(
        sweep=sweeping * size * rng.standard_normal(4),
        bend=0.5 * sweeping * size * rng.standard_normal(4),
        tremor=0.5 * (1 - sweeping) * falloff * size * rng.standard_normal((2, HARMONICS, 4)),
    )
    for _ in range(2):  # roll is not quite linear: the second round removes the rest
        path = path.scaled(length / max(path.length(radius), 1e-9))
    return path
