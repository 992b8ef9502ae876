"""Camera processing of light after the exposure: clipping, noise, sRGB, JPEG.

linear light ── clip ── shot and read noise ── sRGB, 8 bits ── JPEG
"""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad


def srgb_to_linear(encoded: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Decode sRGB in [0, 1] to light (IEC 61966-2-1)."""
    power = ((encoded.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(encoded <= 0.04045, encoded / 12.92, power)


def linear_to_srgb(linear: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Encode light in [0, 1] as sRGB (IEC 61966-2-1); light outside is clipped."""
    linear = linear.clamp(0, 1)
    power = 1.055 * linear.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, 12.92 * linear, power)


def tone_curve(
    light: Float[Tensor, "*shape"], contrast: float, gamma: float
) -> Float[Tensor, "*shape"]:
    """Light as a camera renders it whose tones are not sRGB's own: most add contrast.

    Args:
        light: linear; clipped at white.
        contrast: share of the smooth step 3 x² - 2 x³ in the encoded values.
        gamma: power of what that gives.
    """
    encoded = linear_to_srgb(light)
    stepped = encoded * encoded * (3 - 2 * encoded)
    return srgb_to_linear((encoded + contrast * (stepped - encoded)) ** gamma)


def lift_highlights(
    linear: Float[Tensor, "*shape"],
    threshold: float | Float[Tensor, "#*shape"],
    gain: float | Float[Tensor, "#*shape"],
) -> Float[Tensor, "*shape"]:
    """Restore the light of lamps and reflections that the photo clipped.

    Light above `threshold` grows by up to `gain` times; blurring it before clipping
    then leaves the long bright trails of a night photo.
    """
    excess = ((linear - threshold) / (1 - threshold)).clamp_min(0)
    return linear * (1 + (gain - 1) * excess**2)


def add_noise(
    linear: Float[Tensor, "n 3 h w"],
    shot: Float[Tensor, "n"],
    read: Float[Tensor, "n"],
    noise: Float[Tensor, "n 3 h w"] | None = None,
) -> Float[Tensor, "n 3 h w"]:
    """Add photon noise and the noise of the sensor's electronics.

    Args:
        linear: light in [0, 1].
        shot: variance per unit of light, one per image.
        read: standard deviation in the dark, one per image.
        noise: standard normal values; None draws them from torch's own generator.
    """
    variance = shot[:, None, None, None] * linear + (read**2)[:, None, None, None]
    drawn = torch.randn_like(linear) if noise is None else noise
    return linear + variance.sqrt() * drawn


def quantise(encoded: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Round to the 256 values of an 8-bit image."""
    return (encoded * 255).round().clamp(0, 255) / 255


# ITU-T T.81, tables K.1 and K.2
_LUMA = """
16 11 10 16 24 40 51 61  12 12 14 19 26 58 60 55  14 13 16 24 40 57 69 56  14 17 22 29 51 87 80 62
18 22 37 56 68 109 103 77  24 35 55 64 81 104 113 92  49 64 78 87 103 121 120 101
72 92 95 98 112 100 103 99
"""
_CHROMA = """
17 18 24 47 99 99 99 99  18 21 26 66 99 99 99 99  24 26 56 99 99 99 99 99  47 66 99 99 99 99 99 99
99 99 99 99 99 99 99 99  99 99 99 99 99 99 99 99  99 99 99 99 99 99 99 99  99 99 99 99 99 99 99 99
"""
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


def jpeg(
    encoded: Float[Tensor, "n 3 h w"], quality: Float[Tensor, "n"], *, subsample: bool
) -> Float[Tensor, "n 3 h w"]:
    """Simulate the losses of JPEG: chroma detail and small DCT coefficients.

    Source: ITU-T T.81 with the IJG quality scale; entropy coding is left out, as it is lossless.

    Args:
        encoded: sRGB images in [0, 1].
        quality: 1 to 100, one per image.
        subsample: halve the chroma planes (4:2:0).
    """
    height, width = encoded.shape[2:]
    encoded = pad(encoded, (0, -width % 16, 0, -height % 16), mode="replicate")
    to_ycc = encoded.new_tensor(_TO_YCC)
    ycc = torch.einsum("ij,njhw->nihw", to_ycc, encoded * 255)
    percent = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)[:, None, None, None]
    luma = _quantise_blocks(ycc[:, :1] - 128, _LUMA, percent) + 128
    chroma = avg_pool2d(ycc[:, 1:], 2) if subsample else ycc[:, 1:]
    chroma = _quantise_blocks(chroma, _CHROMA, percent)
    if subsample:
        chroma = interpolate(chroma, scale_factor=2, mode="bilinear")
    ycc = torch.cat([luma, chroma], dim=1)
    to_rgb = encoded.new_tensor(np.linalg.inv(_TO_YCC))
    rgb = torch.einsum("ij,njhw->nihw", to_rgb, ycc)
    return quantise(rgb[..., :height, :width] / 255)


def _quantise_blocks(
    plane: Float[Tensor, "n c h w"], table: str, percent: Float[Tensor, "n 1 1 1"]
) -> Float[Tensor, "n c h w"]:
    """Round the DCT coefficients of each 8x8 block to multiples of the scaled table."""
    step = plane.new_tensor([float(value) for value in table.split()]).view(8, 8)
    step = ((step * percent + 50) / 100).floor().clamp(1, 255)[:, :, None, None]
    dct = _dct_matrix().to(plane)
    blocks = plane.unflatten(3, (-1, 8)).unflatten(2, (-1, 8)).transpose(3, 4)
    coefficients = dct @ blocks @ dct.T
    coefficients = (coefficients / step).round() * step
    blocks = dct.T @ coefficients @ dct
    return blocks.transpose(3, 4).flatten(4, 5).flatten(2, 3)


def _dct_matrix() -> Float[Tensor, "8 8"]:
    """The orthonormal DCT-II of length 8."""
    n = torch.arange(8, dtype=torch.float64)
    matrix = torch.cos(math.pi / 8 * (n + 0.5) * n[:, None]) * math.sqrt(2 / 8)
    matrix[0] /= math.sqrt(2)
    return matrix.float()
