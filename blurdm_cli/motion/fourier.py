"""Periodic images: transforms, differences, and the extension that makes an image periodic.

Images are float32 with rows and columns last. A transform runs in one thread, so that results do
not depend on the number of cores; callers run several transforms side by side.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Complex64, Float32
from scipy import fft

Image = Float32[np.ndarray, "*channels h w"]
NewImage = Float32[np.ndarray, "*channels y x"]
"""An image of another size."""
Spectrum = Complex64[np.ndarray, "*channels h half_w"]


def fast_size(height: int, width: int) -> tuple[int, int]:
    """The smallest size, at least this large, whose transform is fast."""
    return fft.next_fast_len(height, real=True), fft.next_fast_len(width, real=True)


def transform(image: Image) -> Spectrum:
    """Transform real images over rows and columns."""
    return fft.rfft2(image)


def invert(spectrum: Spectrum, size: tuple[int, int]) -> NewImage:
    """Invert `transform`; the spectrum is spent."""
    return fft.irfft2(spectrum, s=size, overwrite_x=True)


def transfer(
    kernel: Float32[np.ndarray, "k k"],
    size: tuple[int, int],
    centre: tuple[float, float] | None = None,
) -> Complex64[np.ndarray, "h half_w"]:
    """Transfer function of a blur kernel.

    Args:
        kernel: sum 1, an odd number of rows and columns.
        size: height and width of the images in pixels.
        centre: row and column of the kernel that stand for no displacement, in pixels and
            fractions; None for its middle.
    """
    side = kernel.shape[0]
    padded = np.zeros(size, np.float32)
    padded[:side, :side] = kernel
    padded = np.roll(padded, (-(side // 2), -(side // 2)), (0, 1))
    spectrum = transform(padded)
    if centre is not None:
        rows, columns = (c - side // 2 for c in centre)
        spectrum *= np.exp(2j * np.pi * rows * np.fft.fftfreq(size[0]))[:, None].astype(
            np.complex64
        )
        spectrum *= np.exp(2j * np.pi * columns * np.fft.rfftfreq(size[1])).astype(np.complex64)
    return spectrum


@lru_cache(maxsize=64)
def gradient_power(size: tuple[int, int]) -> Float32[np.ndarray, "h half_w"]:
    """Squared magnitude of the transfer functions of both differences together."""
    rows = 2 - 2 * np.cos(2 * np.pi * np.fft.fftfreq(size[0]))
    columns = 2 - 2 * np.cos(2 * np.pi * np.fft.rfftfreq(size[1]))
    power: np.ndarray = (rows[:, None] + columns).astype(np.float32)
    power.setflags(write=False)
    return power


def differences(image: Image) -> tuple[Image, Image]:
    """Differences to the next column and to the next row, periodic."""
    along, down = np.empty_like(image), np.empty_like(image)
    np.subtract(image[..., 1:], image[..., :-1], out=along[..., :-1])
    np.subtract(image[..., 0], image[..., -1], out=along[..., -1])
    np.subtract(image[..., 1:, :], image[..., :-1, :], out=down[..., :-1, :])
    np.subtract(image[..., 0, :], image[..., -1, :], out=down[..., -1, :])
    return along, down


def divergence(along: Image, down: Image) -> Image:
    """The adjoint of `differences`."""
    total = np.empty_like(along)
    np.subtract(along[..., :-1], along[..., 1:], out=total[..., 1:])
    np.subtract(along[..., -1], along[..., 0], out=total[..., 0])
    total[..., 1:, :] += down[..., :-1, :]
    total[..., 0, :] += down[..., -1, :]
    total -= down
    return total


def inner_differences(image: Image) -> tuple[Image, Image]:
    """`differences` with zeros where one wraps around."""
    along, down = differences(image)
    along[..., -1] = 0
    down[..., -1, :] = 0
    return along, down


def extend(image: Image, size: tuple[int, int]) -> NewImage:
    """Add rows below and columns to the right that lead back to the first ones.

    They fade from the mirrored end to the mirrored beginning, so texture goes on and no step
    is left where the image wraps around.
    """
    return _extend(_extend(image, size[0], -2), size[1], -1)


def _extend(image: Image, length: int, axis: int) -> NewImage:
    own = image.shape[axis]
    if length == own:
        return image
    place = np.arange(length - own)
    end = np.take(image, np.maximum(own - 1 - place, 0), axis)
    beginning = np.take(image, np.minimum(place[::-1], own - 1), axis)
    share = np.linspace(0, 1, length - own + 2, dtype=np.float32)[1:-1]
    share = share * share * (3 - 2 * share)
    if axis == -2:
        share = share[:, None]
    end += (beginning - end) * share
    return np.concatenate([image, end], axis)
