"""Ripples that a kernel leaves in a photo's power spectrum.

Blur multiplies the power spectrum of a scene by that of its kernel. The spectrum of a scene is
smooth: its power falls about with the square of the frequency, and changes slowly with direction.
A kernel's has ripples. So what a photo's spectrum is beside the kernel's should be smooth, and
ripples that stay, or come with the kernel, speak against it. Texture tells as much as edges do,
where the score of a kernel needs edges; the phase tells nothing: a kernel and its mirror image
have the same ripples.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float
from scipy import fft

from blurdm_cli.motion.kernel import Kernel
from blurdm_cli.motion.latent import Grey

SIDE = 160
"""Rows and columns of the tiles whose power is averaged."""

SMALLEST = 64
"""Shortest side of an image whose spectrum tells anything."""

LOWEST, HIGHEST = 0.01, 0.25
"""Frequencies that count, in cycles per pixel."""

NOISY = 0.42
"""Frequency from which on there is mostly noise."""

HARMONICS = 2
"""Changes with direction that count as smooth: so many full waves over half a turn."""

MOST = 3.0
"""Deviation of the logarithm that counts at most."""

TINY = 1e-9
"""Least power that has a logarithm."""


Bins = Float[np.ndarray, "bins"]
"""A number for each frequency that counts."""


@dataclass(frozen=True)
class _Band:
    """The frequencies that count, for tiles of one side."""

    tile: Float[np.ndarray, "side side"]
    """The window of a tile: its squares have the sum 1."""
    overlap: Float[np.ndarray, "double double"]
    """Autocorrelation of the window."""
    inside: Bool[np.ndarray, "side half"]
    noisy: Bool[np.ndarray, "side half"]
    frequency: Bins
    weight: Bins
    """The same for each octave."""
    smooth: Float[np.ndarray, "waves bins"]
    """Orthonormal under the weight: what a scene's log spectrum is made of."""


class Ripples:
    """The power spectrum of an image, to compare kernels with."""

    def __init__(self, image: Grey) -> None:
        """Measure the spectrum.

        Args:
            image: grey, in the values in which kernels are estimated.
        """
        self._band = None
        if min(image.shape) < SMALLEST:
            return
        band = self._band = _band(min(SIDE, min(image.shape) // 2 * 2))
        power = _mean_power(image, band.tile)
        self._noise = float(np.quantile(power[band.noisy], 0.2)) + TINY
        self._power = np.log(power[band.inside] + TINY)

    def left_by(self, kernel: Kernel) -> float:
        """Measure what a kernel does not explain: the mean deviation of the logarithm of power.

        Args:
            kernel: of an odd side.

        Returns:
            Mostly 0.3 to 1; 0 for all kernels where the image is too small.
        """
        band = self._band
        if band is None:
            return 0.0
        passed = _power_of(kernel, band)
        seen = passed / band.frequency**2
        level, weight = self._power - np.log(seen), band.weight * passed
        scale = np.exp((level * weight).sum() / weight.sum())
        left = (self._power - np.log(scale * seen + self._noise)) * np.sqrt(band.weight)
        for wave in band.smooth:
            left = left - wave * (wave * left).sum()
        deviation = np.minimum(np.abs(left / np.sqrt(band.weight)), MOST)
        return float((deviation * band.weight).sum() / band.weight.sum())


def _mean_power(image: Grey, tile: Float[np.ndarray, "s s"]) -> Float[np.ndarray, "s half"]:
    """Power of tiles that overlap by half, on average (Welch's method)."""
    side = tile.shape[0]
    tops, lefts = (
        np.linspace(0, length - side, round((length - side) / (side / 2)) + 1).astype(int)
        for length in image.shape
    )
    tiles = np.stack([image[y : y + side, x : x + side] for y in tops for x in lefts])
    tiles = (tiles - tiles.mean((1, 2), keepdims=True)) * tile
    power: Float[np.ndarray, "s half"] = (np.abs(fft.rfft2(tiles)) ** 2).mean(0)
    return power


def _power_of(kernel: Kernel, band: _Band) -> Bins:
    """Power of a kernel as seen through a tile: the window blurs the spectrum."""
    size = band.overlap.shape
    power = np.abs(fft.rfft2(kernel, size)) ** 2
    seen = fft.rfft2(fft.irfft2(power, size) * band.overlap).real
    return np.maximum(seen[::2, ::2][band.inside], TINY)


@lru_cache(maxsize=8)
def _band(side: int) -> _Band:
    slope = np.hanning(side + 1)[:side]
    tile = np.outer(slope, slope) / (slope**2).sum()
    size = (2 * side, 2 * side)
    overlap = fft.irfft2(np.abs(fft.rfft2(tile, size)) ** 2, size)
    rows, columns = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    frequency, direction = np.hypot(rows, columns), np.arctan2(rows, columns)
    inside = (frequency >= LOWEST) & (frequency <= HIGHEST)
    within, angle = frequency[inside], direction[inside]
    waves = [np.ones_like(angle)]
    for turns in range(1, HARMONICS + 1):
        waves += [np.cos(2 * turns * angle), np.sin(2 * turns * angle)]
    steep = np.log(within) - np.log(within).mean()
    smooth: list[Bins] = []
    for wave in [*waves, *(wave * steep for wave in waves)]:
        new = wave / np.sqrt(within)
        for known in smooth * 2:
            new = new - known * (known * new).sum()
        smooth.append(new / np.sqrt((new * new).sum()))
    return _Band(tile, overlap, inside, frequency > NOISY, within, 1 / within, np.stack(smooth))
