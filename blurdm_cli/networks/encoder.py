"""The latent encoder: two images in, one vector out."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d

from blurdm_cli.networks.blocks import ResidualBlock
from blurdm_cli.networks.regions import over_regions
from blurdm_cli.networks.spectrum import SpectralFeatures
from blurdm_cli.spec import CANDIDATE_PLANES, EncoderKind

SLOPE = 0.1
"""Slope of every leaky ReLU in BlurDM; it makes latents mostly positive."""

REACH = 128
"""Receptive field to each side in pixels, rounded up: 64 in "paper", 80 in "light"."""


class LatentEncoder(nn.Module):
    """Describe a pair of images by one latent vector, whatever their size.

    The sharp encoder sees (blurred, sharp); the condition encoder, which has no
    sharp image, sees (blurred, blurred).

    "paper" is the network of BlurDM's Section 3.2 without batch norms: 1,146,688
    parameters at 256 channels and 8.3 GFLOP for 256x256 pixels. "light" downsamples
    twice where the paper's keeps a quarter of the photo's size, and costs an eighth. "spectral" is
    "light" plus the spectrum of the first image, which shows how it was blurred.
    """

    def __init__(
        self, channels: int = 256, kind: EncoderKind = "paper", *, candidates: bool = False
    ) -> None:
        """Build the network.

        Args:
            channels: length of the latent.
            kind: see above.
            candidates: whether it also sees the estimated motion (`CandidateFeatures`).
        """
        super().__init__()
        self.stride = 4 if kind == "paper" else 16
        """Pixels from one feature to the next."""
        self.fold = nn.PixelUnshuffle(4)
        self.features = _paper(channels) if kind == "paper" else _light(channels)
        self.spectral = SpectralFeatures(channels, SLOPE) if kind == "spectral" else None
        self.candidates = CandidateFeatures(channels) if candidates else None
        self.to_latent = nn.Sequential(
            nn.Linear(channels * (2 if self.spectral else 1), channels),
            nn.LeakyReLU(SLOPE),
            nn.Linear(channels, channels),
            nn.LeakyReLU(SLOPE),
        )

    def forward(
        self,
        blurred: Float[Tensor, "n 3 h w"],
        other: Float[Tensor, "n 3 h w"],
        candidates: Float[Tensor, "n planes h w"] | None = None,
    ) -> Float[Tensor, "n c"]:
        latent = self._latent(self._features(blurred, other).mean(dim=(2, 3)), blurred)
        if self.candidates is None or candidates is None:
            return latent
        return latent + self.candidates(candidates)

    def by_region(
        self,
        blurred: Float[Tensor, "n 3 h w"],
        other: Float[Tensor, "n 3 h w"],
        candidates: Float[Tensor, "n planes h w"] | None = None,
    ) -> Float[Tensor, "n rows columns c"]:
        """A latent for each region of the images; see `networks.regions`."""
        features, step = self._features(blurred, other).float(), self.stride
        features = over_regions(features, blurred, step, step)
        features = features.permute(0, 2, 3, 1)
        latents = self._latent(features.flatten(0, 2), blurred, by_region=True)
        latents = latents.unflatten(0, features.shape[:3])
        if self.candidates is None or candidates is None:
            return latents
        return latents + self.candidates.by_region(candidates)

    def in_bands(
        self, blurred: Float[Tensor, "n 3 h w"], other: Float[Tensor, "n 3 h w"], rows: int = 512
    ) -> Float[Tensor, "n c"]:
        """The same latent, computed one band of rows at a time: memory does not grow with height.

        Only the spectrum, if it is used, is computed of the whole image at once.

        Args:
            blurred: images.
            other: as many images of the same size.
            rows: rows of a band, a multiple of 16.
        """
        height, sums, count = blurred.shape[2], [], 0
        for top in range(0, height, rows):
            begin, end = max(top - REACH, 0), min(top + rows + REACH, height)
            band = blurred[:, :, begin:end]
            features = self._features(band, band if other is blurred else other[:, :, begin:end])
            last = -(-(min(top + rows, height) - begin) // self.stride)
            own = features[:, :, (top - begin) // self.stride : last]
            sums.append(own.float().sum(dim=(2, 3)))
            count += own.shape[2] * own.shape[3]
        return self._latent(torch.stack(sums).sum(dim=0) / count, blurred)

    def _features(
        self, blurred: Float[Tensor, "n 3 h w"], other: Float[Tensor, "n 3 h w"]
    ) -> Float[Tensor, "n c rows columns"]:
        """Features of the pair at each place; if both are one image, the first layer sees one."""
        if other is not blurred:
            pair = torch.cat([self.fold(blurred), self.fold(other)], dim=1)
            return self.features(pair)
        first = self.features[0]
        both = first.get_parameter("weight").unflatten(1, (2, -1)).sum(dim=1)
        x = conv2d(self.fold(blurred), both, first.get_parameter("bias"), padding=1)
        return self.features[1:](x)

    def _latent(
        self,
        features: Float[Tensor, "m c"],
        blurred: Float[Tensor, "n 3 h w"],
        by_region: bool = False,
    ) -> Float[Tensor, "m c"]:
        """Compute latents from the features' means and, if they are used, the spectra."""
        if self.spectral:
            features = torch.cat([features, self.spectral(blurred, by_region)], dim=1)
        return self.to_latent(features)


class CandidateFeatures(nn.Module):
    """Describe the estimated motion by a vector, from the candidates and the blurred image.

    Where a path was found, the candidates differ from the image along it, and their residuals show
    where it does not hold. Untrained, the vector is zero and leaves the latent unchanged.
    """

    step = 16
    """Pixels from one feature to the next."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.PixelUnshuffle(4),
            *_convolution(16 * CANDIDATE_PLANES, 48),
            *_convolution(48, 64, stride=2),
            *_convolution(64, 96, stride=2),
        )
        self.to_latent = nn.Linear(96, channels)
        for parameter in self.to_latent.parameters():
            nn.init.zeros_(parameter)

    def forward(self, candidates: Float[Tensor, "n planes h w"]) -> Float[Tensor, "n c"]:
        return self.to_latent(self.features(candidates).mean(dim=(2, 3)))

    def by_region(
        self, candidates: Float[Tensor, "n planes h w"]
    ) -> Float[Tensor, "n rows columns c"]:
        """A vector for each region."""
        features = self.features(candidates).float()
        features = over_regions(features, candidates[:, :3], self.step, self.step)
        return self.to_latent(features.permute(0, 2, 3, 1))


def _paper(channels: int) -> nn.Sequential:
    return nn.Sequential(
        *_convolution(96, 64),
        *(ResidualBlock(64, SLOPE) for _ in range(6)),
        *_convolution(64, 128),
        *_convolution(128, 128),
        *_convolution(128, channels),
    )


def _light(channels: int) -> nn.Sequential:
    narrow, middle, wide = channels * 3 // 16, channels * 3 // 8, channels // 2
    return nn.Sequential(
        *_convolution(96, narrow),
        *_convolution(narrow, middle, stride=2),
        ResidualBlock(middle, SLOPE),
        *_convolution(middle, wide, stride=2),
        ResidualBlock(wide, SLOPE),
        *_convolution(wide, channels),
    )


def _convolution(inputs: int, outputs: int, stride: int = 1) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1), nn.LeakyReLU(SLOPE)
