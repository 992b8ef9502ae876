"""Periodic images: transforms, differences, and the extension that makes an image periodic.

Images are float32 with rows and columns last. A spectrum is as OpenCV packs it: real numbers in an
array of the image's size, a frequency's real and imaginary part beside or below each other. That
takes half the time of complex arrays. A real factor of each frequency stands in both places, so
that factors and spectra are multiplied and added as arrays; two spectra by `multiply`.

A transform runs in one thread, so that results do not depend on the number of cores; callers run
several transforms side by side.
"""

from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Complex64, Complex128, Float32
from scipy import fft

Image = Float32[np.ndarray, "h w"]
NewImage = Float32[np.ndarray, "y x"]
"""An image of another size."""
Spectrum = Float32[np.ndarray, "h w"]
Factors = Float32[np.ndarray, "h w"]
"""A real number a frequency, laid out as a spectrum."""


def fast_size(height: int, width: int) -> tuple[int, int]:
    """The smallest size, at least this large, whose transform is fast."""
    return cv2.getOptimalDFTSize(height), cv2.getOptimalDFTSize(width)


def transform(image: Image) -> Spectrum:
    """Transform a real image over rows and columns."""
    return cv2.dft(image)


def invert(spectrum: Spectrum) -> Image:
    """Invert `transform`."""
    return cv2.dft(spectrum, flags=cv2.DFT_INVERSE | cv2.DFT_REAL_OUTPUT | cv2.DFT_SCALE)


def multiply(one: Spectrum, other: Spectrum, *, conjugate: bool = False) -> Spectrum:
    """The product of two spectra, or of one and the other's complex conjugate."""
    return cv2.mulSpectrums(one, other, 0, conjB=conjugate)


def power(spectrum: Spectrum) -> Factors:
    """Squared magnitudes."""
    squares = multiply(spectrum, spectrum, conjugate=True)
    height, width = squares.shape
    pairs = (width - 1) // 2
    squares[:, 2 : 2 * pairs + 1 : 2] = squares[:, 1 : 2 * pairs : 2]
    pairs = (height - 1) // 2
    for column in {0, width - 1} if width % 2 == 0 else {0}:
        squares[2 : 2 * pairs + 1 : 2, column] = squares[1 : 2 * pairs : 2, column]
    return squares


def transfer(
    kernel: Float32[np.ndarray, "k k"],
    size: tuple[int, int],
    centre: tuple[float, float] | None = None,
) -> Spectrum:
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
    if centre is None:
        return transform(padded)
    rows, columns = (c - side // 2 for c in centre)
    down = np.exp(2j * np.pi * rows * np.fft.fftfreq(size[0]))[:, None]
    right = np.exp(2j * np.pi * columns * np.fft.rfftfreq(size[1]))
    return _packed(fft.rfft2(padded) * down.astype(np.complex64) * right.astype(np.complex64), size)


def _packed(
    half: Complex64[np.ndarray, "h half_w"] | Complex128[np.ndarray, "h half_w"],
    size: tuple[int, int],
) -> Spectrum:
    """Lay out the left half of a Hermitian spectrum of this size as OpenCV does."""
    height, width = size
    packed = np.empty(size, np.float32)
    pairs = (width - 1) // 2
    packed[:, 1 : 2 * pairs : 2] = half.real[:, 1 : pairs + 1]
    packed[:, 2 : 2 * pairs + 1 : 2] = half.imag[:, 1 : pairs + 1]
    pairs = (height - 1) // 2
    for column in {0, width - 1} if width % 2 == 0 else {0}:
        own = half[:, (column + 1) // 2]
        packed[0, column] = own[0].real
        packed[1 : 2 * pairs : 2, column] = own[1 : pairs + 1].real
        packed[2 : 2 * pairs + 1 : 2, column] = own[1 : pairs + 1].imag
        if height % 2 == 0:
            packed[-1, column] = own[height // 2].real
    return packed


@lru_cache(maxsize=64)
def gradient_power(size: tuple[int, int]) -> Factors:
    """Squared magnitude of the transfer functions of both differences together."""
    rows = 2 - 2 * np.cos(2 * np.pi * np.fft.fftfreq(size[0]))
    columns = 2 - 2 * np.cos(2 * np.pi * np.fft.rfftfreq(size[1]))
    factors = _packed((rows[:, None] + columns) * (1 + 1j), size)
    factors.setflags(write=False)
    return factors


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
