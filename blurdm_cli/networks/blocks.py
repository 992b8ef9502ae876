"""Blocks that networks share."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate


class PriorFusion(nn.Module):
    """Scale and shift image features by a latent prior, channel by channel.

    Source: BlurDM, Eq. 11, with one change: we scale by 1 + s, and start from s = 0.
    An untrained fusion is then the identity, and a backbone that was trained
    without a prior keeps its outputs until the fusion is trained.
    """

    def __init__(self, channels: int, prior_channels: int, bias: bool = True) -> None:
        super().__init__()
        self.unscaled = 1.0
        """Constant added to the scale; 0 for weights that were trained to scale by s alone."""
        self.to_scale_shift = nn.Linear(prior_channels, 2 * channels, bias)
        for parameter in self.to_scale_shift.parameters():
            nn.init.zeros_(parameter)

    def forward(
        self, x: Float[Tensor, "n c h w"], prior: Float[Tensor, "n *regions d"]
    ) -> Float[Tensor, "n c h w"]:
        """Apply the fusion.

        Args:
            x: features.
            prior: one per image, or one per region of each image, (n, rows, columns, d).
        """
        scale_shift: Tensor = self.to_scale_shift(prior.flatten(0, -2))
        scale, shift = scale_shift.unflatten(0, prior.shape[:-1]).chunk(2, dim=-1)
        return x * _spread(self.unscaled + scale, x) + _spread(shift, x)


def _spread(values: Float[Tensor, "n *regions c"], x: Float[Tensor, "n c h w"]) -> Tensor:
    """Broadcast values to all pixels, or interpolate between the regions' values."""
    if values.ndim == 2:
        return values[:, :, None, None]
    return interpolate(values.permute(0, 3, 1, 2), x.shape[2:], mode="bilinear")


def add_change(
    blurred: Float[Tensor, "n planes h w"], outputs: Float[Tensor, "n outputs h w"]
) -> Float[Tensor, "n outputs h w"]:
    """Add the first three output planes to the blurred image; keep the other planes."""
    picture = blurred[:, :3] + outputs[:, :3]
    return picture if outputs.shape[1] == 3 else torch.cat([picture, outputs[:, 3:]], dim=1)


class GuidedBlocks(nn.ModuleList):
    """A sequence of blocks that all take the same prior and other guides."""

    def forward(self, x: Float[Tensor, "n c h w"], *guides: object) -> Float[Tensor, "n c h w"]:
        for block in self:
            x = block(x, *guides)
        return x


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each pixel; its output is channels-last in memory."""

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def keep_variance(
    convolution: nn.Conv2d | nn.ConvTranspose2d,
    gain: float = 1.0,
    generator: torch.Generator | None = None,
) -> None:
    """Draw weights that scale the variation of the inputs by `gain`; biases are 0.

    PyTorch's default weights shrink features at each layer without a norm. If features are small
    compared to a learning step, the first steps leave most ReLUs permanently dead.
    Source: He et al., "Delving deep into rectifiers", ICCV 2015.
    """
    weight, bias = convolution.weight, convolution.get_parameter("bias")
    inputs = weight.shape[0] if isinstance(convolution, nn.ConvTranspose2d) else weight[0].numel()
    nn.init.normal_(weight, std=gain * inputs**-0.5, generator=generator)
    nn.init.zeros_(bias)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; no norm.

    The second convolution starts at a tenth of its usual size, so that deep stacks
    start near the identity.
    """

    def __init__(self, channels: int, slope: float = 0.0) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.activation = nn.LeakyReLU(slope) if slope else nn.ReLU()
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.get_parameter("bias"))
        self.second.weight.data *= 0.1

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        return x + self.second(self.activation(self.first(x)))
