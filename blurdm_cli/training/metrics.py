"""How close a restored image is to the sharp one."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv2d


def psnr(found: Float[Tensor, "n 3 h w"], sharp: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n"]:
    """Peak signal-to-noise ratio of each image, in dB.

    Of sRGB-encoded values in [0, 1] over all three channels and all pixels, without
    cutting a border; clip and round `found` before, if a file is what is judged.
    Equal images give 100 dB.
    """
    error = (found.double() - sharp.double()).square().mean(dim=(1, 2, 3))
    return (-10 * error.clamp_min(1e-10).log10()).float()


def ssim(found: Float[Tensor, "n 3 h w"], sharp: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n"]:
    """Structural similarity of each image: the mean over channels and pixels.

    Source: Wang et al., IEEE TIP 2004: Gaussian window of 11 pixels with σ = 1.5,
    K1 = 0.01, K2 = 0.03, range 1; windows lie wholly inside the image.
    """
    position = torch.arange(11, dtype=torch.float64, device=found.device) - 5
    line = torch.exp(-(position**2) / (2 * 1.5**2))
    line = line / line.sum()
    kernel = torch.outer(line, line)[None, None]

    def blur(image: Tensor) -> Tensor:
        return conv2d(image.flatten(0, 1)[:, None], kernel).unflatten(0, image.shape[:2])[:, :, 0]

    x, y = found.double(), sharp.double()
    mean_x, mean_y = blur(x), blur(y)
    variance_x, variance_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    similarity = similarity / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2))
    return similarity.mean(dim=(1, 2, 3)).float()
