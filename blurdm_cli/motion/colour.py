"""Colour of a deconvolved photo: how far its channels are from its grey.

Only grey is deconvolved at the photo's full size, channels at half of it: cameras and JPEG files do
not know colour better. What is finer follows grey, in the proportion that both have around.

Source: the proportion is that of He, Sun and Tang's guided filter (ECCV 2010).
"""

import cv2
import numpy as np
from jaxtyping import Float32

from blurdm_cli.motion.deconvolution import Channel, Deconvolver
from blurdm_cli.motion.kernel import Kernel
from blurdm_cli.motion.light import LUMA, as_encoded

ITERATIONS = 4
WINDOW = 3
"""Side of the window, in pixels of half the resolution, that proportions are taken from."""
FLAT = 3e-4
"""Variance of grey below which colour hardly follows it."""

HalfChannels = Float32[np.ndarray, "3 half_h half_w"]


def deconvolve_channels(
    blurred: Float32[np.ndarray, "h w 3"], kernel: Kernel, weight: float
) -> HalfChannels:
    """The channels of a photo at half the size, rounded up, deconvolved.

    Args:
        blurred: in [0, 1], linear or encoded.
        kernel: of the motion, at the photo's size.
        weight: λ of the deconvolution.
    """
    channels = [_shrunk(np.ascontiguousarray(blurred[..., channel])) for channel in range(3)]
    solve = Deconvolver(_halved(kernel), channels[0].shape[0], channels[0].shape[1], weight)
    return np.stack([solve(channel, ITERATIONS).image for channel in channels])


def colour_of(
    channels: HalfChannels, grey: Channel, *, linear: bool
) -> Float32[np.ndarray, "3 h w"]:
    """Each channel's distance from grey at full size; both encoded.

    Args:
        channels: of `deconvolve_channels`.
        grey: the photo's, deconvolved and encoded.
        linear: whether the channels are in linear light.
    """
    height, width = grey.shape
    guide = _Guide(grey)
    own_grey = as_encoded(np.tensordot(LUMA, channels, 1), linear=linear)
    colour = np.empty((3, height, width), np.float32)
    for channel, into in zip(channels, colour, strict=True):
        distance = as_encoded(channel, linear=linear) - own_grey
        into[:] = guide.enlarge(distance)[:height, :width]
    return colour


def even(place: int) -> int:
    """The even row or column at a place or before it, where parts of a photo begin.

    All parts then have the same pairs of pixels, and the same colour.
    """
    return place - place % 2


class _Guide:
    """Enlarges images whose details are those of another one."""

    def __init__(self, guide: Channel) -> None:
        self.small = _shrunk(guide)
        self.mean = _mean(self.small)
        self.variance = _mean(self.small * self.small) - self.mean * self.mean + np.float32(FLAT)
        self.detail = _with_pairs(guide) - _enlarged(self.small, cv2.INTER_CUBIC)

    def enlarge(self, small: Channel) -> Float32[np.ndarray, "y x"]:
        """Twice the size, with the guide's details in proportion."""
        proportion = (_mean(self.small * small) - self.mean * _mean(small)) / self.variance
        large = _enlarged(proportion, cv2.INTER_LINEAR)
        large *= self.detail
        large += _enlarged(small, cv2.INTER_CUBIC)
        return large


def _mean(image: Channel) -> Channel:
    return cv2.blur(image, (WINDOW, WINDOW))


def _shrunk(image: Channel) -> Float32[np.ndarray, "y x"]:
    """Half the size, rounded up."""
    pairs = _with_pairs(image)
    size = pairs.shape[1] // 2, pairs.shape[0] // 2
    return cv2.resize(pairs, size, interpolation=cv2.INTER_AREA)


def _enlarged(image: Channel, interpolation: int) -> Float32[np.ndarray, "y x"]:
    size = 2 * image.shape[1], 2 * image.shape[0]
    return cv2.resize(image, size, interpolation=interpolation)


def _with_pairs(image: Channel) -> Float32[np.ndarray, "y x"]:
    """With the last row or column twice where their number is odd."""
    height, width = image.shape
    return cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)


def _halved(kernel: Kernel) -> Float32[np.ndarray, "m m"]:
    """A kernel at half the resolution. Its middle may move: its centre of mass is what counts."""
    half = kernel.shape[0] // 2 + 1
    sums = np.pad(kernel, ((0, 1), (0, 1))).reshape(half, 2, half, 2).sum((1, 3))
    odd = 1 - half % 2
    return np.pad(sums, ((0, odd), (0, odd)))
