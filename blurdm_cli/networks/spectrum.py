"""Blur features from a photo's power spectrum: the classical cue, as a layer.

Motion multiplies the spectrum of a scene by that of its path: it removes some frequencies
and leaves dark stripes across the directions that the camera moved along. The power of scenes
falls as 1/f², whatever they show. Dividing by it leaves mostly the power of the path
(Goldstein and Fattal, "Blur-kernel estimation from spectral irregularities", ECCV 2012).
The inverse transform of the logarithm, the cepstrum, shows the same as a picture of the
path's autocorrelation.

    photo ── gray ── Laplacian ── windows ── |DFT|², summed ── log, whitened ─┬─ half spectrum
                                                                              └─ cepstrum

Everything is a convolution or a product with a constant matrix, so that it can be exported
for every runtime and takes photos of any size.
"""

import math
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv1d, conv2d

from blurdm_cli.networks.regions import over_regions

WINDOW = 128
"""Side of the transformed windows, in pixels."""

STRIDE = 64
"""Pixels from one window to the next."""

LAGS = 24
"""Extent of the cepstrum to each side, in pixels."""

WIDTH = 32
"""Channels of the last feature maps of spectrum and cepstrum."""


class Spectrum(nn.Module):
    """The log power spectrum of images, minus that of natural scenes, and its cepstrum.

    Computed in float32, in exported graphs too (sums of power exceed fp16), and without
    gradients: it has no parameters.
    """

    def __init__(self) -> None:
        super().__init__()
        half = WINDOW // 2 + 1
        place = torch.arange(WINDOW, dtype=torch.float64)
        hann = torch.sin(math.pi * (place + 0.5) / WINDOW) ** 2
        turn = 2 * math.pi / WINDOW
        across = turn * torch.outer(place[:half], place)
        along = turn * torch.outer(place, place)
        rows = torch.cat([across.cos(), across.sin()]) * hann
        real = torch.stack([along.cos(), -along.sin()], dim=1)
        imaginary = torch.stack([along.sin(), along.cos()], dim=1)
        columns = torch.cat([real, imaginary]) * hann
        twice = torch.full((half,), 2.0, dtype=torch.float64)
        twice[0] = twice[-1] = 1  # the others also count for their mirror images
        lags = torch.arange(-LAGS, LAGS, dtype=torch.float64)
        down, right = turn * torch.outer(lags, place), turn * torch.outer(place[:half], lags)
        laplacian = torch.tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
        for name, matrix in {
            "laplacian": laplacian.expand(1, 3, 3, 3) / 3,
            "rows": rows[:, None, None],
            "columns": columns,
            "whitening": _whitening(place, half),
            "down": torch.stack([down.cos(), -down.sin()]) / WINDOW**2,
            "right": torch.stack([right.cos(), right.sin()]) * twice[:, None],
        }.items():
            self.register_buffer(name, matrix.float(), persistent=False)

    @torch.no_grad()
    def forward(
        self, images: Float[Tensor, "n 3 h w"], by_region: bool = False
    ) -> tuple[Float[Tensor, "m 128 65"], Float[Tensor, "m 48 48"]]:
        """Half of the log spectrum (rows: frequencies down, columns: right), and the cepstrum.

        Images smaller than a window are padded with zeros after the Laplacian.

        Args:
            images: of any size.
            by_region: whether to describe each region of an image (`networks.regions`), row by
                row, one image after the other, instead of each image.
        """
        with torch.autocast(images.device.type, enabled=False):
            powers = self._powers(images.float())
            if by_region:
                powers = over_regions(powers, images, STRIDE, WINDOW)
                powers = powers.permute(0, 3, 4, 1, 2).flatten(0, 2)
            else:
                powers = powers.sum(dim=(3, 4))
            logarithm = self._logarithm(powers)
            both = (self.get_buffer("down") @ logarithm[:, None]) @ self.get_buffer("right")
            return logarithm, both.sum(dim=1)

    def _powers(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 128 65 down right"]:
        """The power spectrum of each window."""
        edges = conv2d(images, self.get_buffer("laplacian"))  # of the mean of the colours
        for axis in (2, 3):  # with nothing to add, runtimes concatenate faster than they pad
            shape = list(edges.shape)
            shape[axis] = torch.sym_max(WINDOW - shape[axis], 0)
            edges = torch.cat([edges, edges.new_zeros(shape)], dim=axis)
        rows = conv2d(edges, self.get_buffer("rows"), stride=(1, STRIDE))
        n, _, height, windows = rows.shape
        rows = rows.unflatten(1, (2, -1)).permute(0, 2, 4, 1, 3)  # n, half, windows, 2, h
        parts = conv1d(rows.reshape(-1, 2, height), self.get_buffer("columns"), stride=STRIDE)
        down = parts.shape[2]
        power = parts.square().reshape(-1, 2, WINDOW, down).sum(dim=1)  # Core ML: 5 axes at most
        return power.reshape(n, -1, windows, WINDOW, down).permute(0, 3, 1, 4, 2)

    def _logarithm(self, power: Float[Tensor, "m 128 65"]) -> Float[Tensor, "m 128 65"]:
        """Log power, whitened, minus its mean."""
        power = power / (power.mean(dim=(1, 2), keepdim=True) + 1e-6)
        logarithm = torch.log(power + 1e-5) + self.get_buffer("whitening")
        return logarithm - logarithm.mean(dim=(1, 2), keepdim=True)


def _whitening(place: Float[Tensor, "128"], half: int) -> Float[Tensor, "128 65"]:
    """Offset from the log power of a Laplacian to that of the scene times f²."""
    frequency = torch.minimum(place, WINDOW - place) / WINDOW
    down, right = frequency[:, None], frequency[None, :half]
    laplacian = 4 - 2 * torch.cos(2 * math.pi * down) - 2 * torch.cos(2 * math.pi * right)
    floor = (2 * math.pi / WINDOW) ** 2
    return torch.log(down**2 + right**2 + 1 / WINDOW**2) - 2 * torch.log(laplacian + floor)


class SpectralFeatures(nn.Module):
    """Describe the blur of images, or of their regions, by one vector each: see `Spectrum`."""

    def __init__(self, channels: int, slope: float) -> None:
        super().__init__()
        self.spectrum = Spectrum()
        self.of_spectrum = _folded(4, slope)
        self.of_cepstrum = _folded(3, slope)
        sizes = -(-WINDOW // 16) * -(-(WINDOW // 2 + 1) // 16) + (-(-2 * LAGS // 8)) ** 2
        self.to_features = nn.Sequential(nn.Linear(WIDTH * sizes, channels), nn.LeakyReLU(slope))

    def forward(
        self, images: Float[Tensor, "n 3 h w"], by_region: bool = False
    ) -> Float[Tensor, "m c"]:
        logarithm, cepstrum = self.spectrum(images, by_region)
        seen = [
            self.of_spectrum(logarithm[:, None] / 2).flatten(1),
            self.of_cepstrum(cepstrum[:, None] * 20).flatten(1),
        ]
        return self.to_features(torch.cat(seen, dim=1))


def _folded(halvings: int, slope: float) -> nn.Sequential:
    """Convolutions that halve a map `halvings` times."""
    layers: list[nn.Module] = []
    widths = [1, WIDTH // 2, *[WIDTH] * (halvings - 1)]
    for inputs, outputs in pairwise(widths):
        layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.LeakyReLU(slope)]
    return nn.Sequential(*layers)
