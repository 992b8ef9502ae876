"""Metrics of how close a restored image is to the sharp one.

All metrics take sRGB-encoded values in [0, 1], over all three channels, without cropping a
border. To judge a file, clip and round its values first. If `inside` is given (the pixels
that an alignment left valid), only those pixels count.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import conv2d, pad

WINDOW = 11
"""Side of SSIM's Gaussian window, σ = 1.5."""


def psnr(
    found: Float[Tensor, "n 3 h w"],
    sharp: Float[Tensor, "n 3 h w"],
    inside: Bool[Tensor, "n 1 h w"] | None = None,
) -> Float[Tensor, "n"]:
    """Peak signal-to-noise ratio of each image, in dB. Equal images give 100 dB.

    Computed in float64 on the CPU, one image at a time: not every device has float64.
    """
    errors = []
    for which in range(len(found)):
        one = slice(which, which + 1)
        squared = (found[one].cpu().double() - sharp[one].cpu().double()).square()
        errors.append(_mean(squared, None if inside is None else inside[one].cpu()))
    return (-10 * torch.cat(errors).clamp_min(1e-10).log10()).float()


def ssim(
    found: Float[Tensor, "n 3 h w"],
    sharp: Float[Tensor, "n 3 h w"],
    inside: Bool[Tensor, "n 1 h w"] | None = None,
) -> Float[Tensor, "n"]:
    """Structural similarity of each image: the mean over channels and pixels.

    Source: Wang et al., IEEE TIP 2004: Gaussian window of 11 pixels with σ = 1.5,
    K1 = 0.01, K2 = 0.03, range 1; windows lie wholly inside the image.
    """
    edge = WINDOW // 2
    if inside is not None:
        inside = inside[..., edge:-edge, edge:-edge]
    return _mean(_similarity(found.double(), sharp.double(), _blur), inside).float()


def ssim_3d(
    found: Float[Tensor, "n 3 h w"],
    sharp: Float[Tensor, "n 3 h w"],
    inside: Bool[Tensor, "n 1 h w"] | None = None,
) -> Float[Tensor, "n"]:
    """Structural similarity with a window that runs over the channels as well.

    Deblurring papers, including BlurDM's, report this metric. The window of `ssim` also has
    11 pixels along a third axis, the channels, and the image is padded with its edge along
    all three. Higher than `ssim` for colour images. Source: BasicSR's metric of that name.
    """
    edge = WINDOW // 2
    line = _window()
    mix = line.new_zeros(3, 3)
    for channel in range(3):
        for offset in range(-edge, edge + 1):
            mix[channel, min(max(channel + offset, 0), 2)] += line[offset + edge]

    def blur(image: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
        spread = torch.einsum("ck,nkhw->nchw", mix.to(image), image)
        return _blur(pad(spread, (edge,) * 4, mode="replicate"))

    return _mean(_similarity(found.double(), sharp.double(), blur), inside).float()


def _window() -> Float[Tensor, "11"]:
    position = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    line = torch.exp(-(position**2) / (2 * 1.5**2))
    return line / line.sum()


def _blur(image: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 rows columns"]:
    line = _window().to(image)
    planes = image.flatten(0, 1)[:, None]
    planes = conv2d(conv2d(planes, line[None, None, None]), line[None, None, :, None])
    return planes[:, 0].unflatten(0, image.shape[:2])


def _similarity(x: Tensor, y: Tensor, blur: Callable[[Tensor], Tensor]) -> Tensor:
    """SSIM at each pixel, with the window that `blur` applies."""
    mean_x, mean_y = blur(x), blur(y)
    variance_x, variance_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return similarity / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2))


def _mean(values: Tensor, inside: Bool[Tensor, "n 1 h w"] | None) -> Float[Tensor, "n"]:
    if inside is None:
        return values.mean(dim=(1, 2, 3))
    return (values * inside).sum(dim=(1, 2, 3)) / (inside.sum(dim=(1, 2, 3)) * 3)
