"""The Fourier transform of 8x8 patches, as matrix products that any runtime supports."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

PATCH = 8
"""Side of a patch, in pixels of its level."""

PAIRS = [(y, x) for y in range(PATCH) for x in range(5) if x % 4 or 0 < y < 4]
LONERS = [(0, 0), (0, 4), (4, 0), (4, 4)]
"""Frequencies of a real 8x8 patch: one of each conjugate pair, and those that are real."""


class PatchFourier(nn.Module):
    """The Fourier transform of 8x8 patches, as products with two constant matrices.

    A spectrum is 64 real numbers: the real parts of 30 frequencies, their imaginary parts,
    and the 4 frequencies that have none. It is scaled by 1/8 to stay in fp16's range.
    Columns are transformed first, then the rest, as sums of 8 and of at most 12 nonzero
    numbers: one matrix for both would sum 64, and lose a bit of precision.
    """

    columns: Tensor
    rest: Tensor
    rest_inverse: Tensor
    first: Tensor
    second: Tensor

    def __init__(self) -> None:
        super().__init__()
        place = torch.cartesian_prod(torch.arange(PATCH), torch.arange(PATCH))
        pairs, loners = (_phases(frequencies, place) for frequencies in (PAIRS, LONERS))
        whole = torch.cat([pairs.cos(), -pairs.sin(), loners.cos()]) / PATCH
        weight = torch.tensor([2.0] * 2 * len(PAIRS) + [1.0] * len(LONERS))
        phases = _phases([(y, 0) for y in range(5)], place[::PATCH])
        columns = torch.cat([phases.cos(), phases[1:4].sin()]) / PATCH**0.5
        columns[1:4] *= 2**0.5
        columns[5:] *= 2**0.5
        undo = torch.kron(columns.T.contiguous(), torch.eye(PATCH, dtype=torch.float64))
        first = [5 * y + x for y, x in PAIRS]
        second = [5 * (-y % PATCH if x % 4 == 0 else y) + x for y, x in PAIRS]
        alone = [5 * y + x for y, x in LONERS]
        self._constant("columns", columns)
        self._constant("rest", whole @ undo)
        self._constant("rest_inverse", undo.T @ whole.T * weight)
        self._constant("first", torch.tensor(first * 2 + alone))
        self._constant("second", torch.tensor(second * 2 + alone))

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "64 n i j c"]:
        n, c, h, w = images.shape
        i, j = h // PATCH, w // PATCH
        rows = images.permute(0, 2, 3, 1).reshape(n, i, PATCH, j, PATCH, c)
        patches = rows.permute(2, 4, 0, 1, 3, 5).reshape(PATCH, PATCH * n * i * j * c)
        halfway = (self.columns @ patches).view(PATCH * PATCH, n * i * j * c)
        return (self.rest @ halfway).view(PATCH * PATCH, n, i, j, c)

    def invert(
        self, spectra: Float[Tensor, "64 n i j c"], like: Float[Tensor, "n k h w"]
    ) -> Float[Tensor, "n c h w"]:
        """Transform spectra to images of the height and width of `like`."""
        _, n, i, j, c = spectra.shape
        halfway = self.rest_inverse @ spectra.view(PATCH * PATCH, n * i * j * c)
        patches = self.columns.T @ halfway.view(PATCH, PATCH * n * i * j * c)
        rows = patches.view(PATCH, PATCH, n, i, j, c).permute(2, 3, 0, 4, 1, 5)
        return rows.reshape(n, *like.shape[2:], c).permute(0, 3, 1, 2)

    def convolve(
        self, one: Float[Tensor, "64 n i j c"], other: Float[Tensor, "64 n i j c"]
    ) -> Float[Tensor, "64 n i j c"]:
        """The spectra of the circular convolutions of patches: products of complex numbers."""
        parts = [len(PAIRS), len(PAIRS), len(LONERS)]
        (a, b, c), (d, e, f) = one.split(parts), other.split(parts)
        return PATCH * torch.cat([a * d - b * e, a * e + b * d, c * f])

    def spread(self, gains: Float[Tensor, "c 8 5"]) -> Float[Tensor, "64 1 1 1 c"]:
        """Map gains of the 8x5 frequencies of a real FFT to our spectra.

        Mirrored frequencies in the first and the last column are equivalent: the inverse of
        a real FFT takes the mean of their gains.
        """
        flat = gains.flatten(1)
        return ((flat[:, self.first] + flat[:, self.second]) / 2).T[:, None, None, None]

    def _constant(self, name: str, value: Tensor) -> None:
        """Register a constant that moves with the network but is not one of its weights.

        Rounding errors of float64 become zero.
        """
        if value.is_floating_point():
            value = value.where(value.abs() > 1e-12, 0).float()
        self.register_buffer(name, value, persistent=False)


def _phases(frequencies: Sequence[tuple[int, int]], place: Tensor) -> Tensor:
    """The phase in radians of each frequency at each place, both (y, x)."""
    return 2 * torch.pi / PATCH * torch.tensor(frequencies).double() @ place.double().T
