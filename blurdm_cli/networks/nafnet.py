"""NAFNet: a U-Net of depthwise convolutions and gates, without activation functions.

    photo ─ 3x3 ─ blocks ─┬──────────────────────── + ─ fusion ─ blocks ─ 3x3 ── + photo
                     half └ blocks ─┬───── + ─ fusion ─ blocks ┘ double
                               half └ … ┘ double

Each block scales its channels by a mean over its whole input. On a photo much larger than
a training crop, this mean differs from those in training; `window` takes it over windows of
a given side instead (test-time local statistics). A tile that is no larger than the window
is a single window, so both ways give the same result for it.

Source: Chen, Chu, Zhang, Sun, "Simple Baselines for Image Restoration", ECCV 2022 (arXiv
2204.04676), and Chu et al., "Improving Image Restoration by Revisiting Global Information
Aggregation", ECCV 2022 (arXiv 2112.04491); sizes and order of operations are those of the
authors' networks. BlurDM has not been tried with NAFNet; the prior enters as in MIMO-UNet, at
the start of each decoder level.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from blurdm_cli.networks.blocks import ChannelNorm, PriorFusion, add_change

SIZES: dict[str, dict[str, int | list[int]]] = {
    "tiny": {
        "width": 8,
        "encoder_blocks": [1, 1, 1, 1],
        "middle_blocks": 1,
        "decoder_blocks": [1, 1, 1, 1],
    },
    "width32": {
        "width": 32,
        "encoder_blocks": [1, 1, 1, 28],
        "middle_blocks": 1,
        "decoder_blocks": [1, 1, 1, 1],
    },
    "width64": {
        "width": 64,
        "encoder_blocks": [1, 1, 1, 28],
        "middle_blocks": 1,
        "decoder_blocks": [1, 1, 1, 1],
    },
    "sidd32": {
        "width": 32,
        "encoder_blocks": [2, 2, 4, 8],
        "middle_blocks": 12,
        "decoder_blocks": [2, 2, 2, 2],
    },
}
"""0.3, 17.1, 67.9 and 29.2 million parameters: width32 and width64 are those published for
deblurring, sidd32 is the one for noise (SIDD)."""

NORM_EPSILON = 1e-6


class NAFNet(nn.Module):
    """Restore an image by depthwise convolutions and gates."""

    input_range = (0.0, 1.0)
    multiple_of = 16

    def __init__(
        self,
        prior_channels: int,
        width: int,
        encoder_blocks: Sequence[int],
        middle_blocks: int,
        decoder_blocks: Sequence[int],
        window: int = 0,
        inputs: int = 3,
        outputs: int = 3,
    ) -> None:
        """Build the network.

        Args:
            prior_channels: length of the prior; 0 for none.
            width: channels at the photo's size; twice as many with each halving.
            encoder_blocks: blocks of each level, going down: the photo's size first.
            middle_blocks: blocks of the coarsest level.
            decoder_blocks: blocks of each level, going up.
            window: side in photo pixels of the windows over which channels are weighed;
                0 weighs them over the whole input. The authors use 1.5 times the
                training crop, 384.
            inputs: planes of the input; the first three are the blurred image.
            outputs: planes of the output; the first three are a change to the blurred image.

        Raises:
            ValueError: encoder and decoder differ in the number of levels, or there are
                more than four.
        """
        super().__init__()
        levels = len(encoder_blocks)
        if levels != len(decoder_blocks) or levels > 4:
            raise ValueError(f"{encoder_blocks=} with {decoder_blocks=}")
        widths = [width << level for level in range(levels + 1)]

        def blocks(level: int, count: int) -> nn.Sequential:
            side = window >> level if window else 0
            return nn.Sequential(*(GatedBlock(widths[level], side) for _ in range(count)))

        self.stem = nn.Conv2d(inputs, width, 3, padding=1)
        self.encoder = nn.ModuleList(
            blocks(level, count) for level, count in enumerate(encoder_blocks)
        )
        self.down = nn.ModuleList(
            nn.Conv2d(channels, 2 * channels, 2, stride=2) for channels in widths[:-1]
        )
        self.middle = blocks(levels, middle_blocks)
        self.up = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, 2 * channels, 1, bias=False), nn.PixelShuffle(2))
            for channels in widths[:0:-1]
        )
        self.fusion = nn.ModuleList(
            PriorFusion(channels, prior_channels, bias=False)
            for channels in widths[-2::-1]
            if prior_channels
        )
        self.decoder = nn.ModuleList(
            blocks(levels - 1 - place, count) for place, count in enumerate(decoder_blocks)
        )
        self.head = nn.Conv2d(width, outputs, 3, padding=1)

    def forward(
        self, blurred: Float[Tensor, "n inputs h w"], prior: Float[Tensor, "n *regions d"] | None
    ) -> Float[Tensor, "n outputs h w"]:
        x = self.stem(blurred.contiguous(memory_format=torch.channels_last))
        skips: list[Tensor] = []
        for blocks, down in zip(self.encoder, self.down, strict=True):
            x = blocks(x)
            skips.append(x)
            x = down(x)
        x = self.middle(x)
        for level, (up, blocks) in enumerate(zip(self.up, self.decoder, strict=True)):
            x = up(x) + skips.pop()
            if prior is not None:
                x = self.fusion[level](x, prior)
            x = blocks(x)
        return add_change(blurred, self.head(x))


class GatedBlock(nn.Module):
    """A depthwise convolution and a perceptron for each pixel, both self-gated."""

    def __init__(self, channels: int, window: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels, eps=NORM_EPSILON)
        self.expand = nn.Conv2d(channels, 2 * channels, 1)
        self.mix = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.weigh = ChannelWeights(channels, window)
        self.reduce = nn.Conv2d(channels, channels, 1)
        self.share = nn.Parameter(torch.zeros(channels, 1, 1))
        self.feed_norm = ChannelNorm(channels, eps=NORM_EPSILON)
        self.feed_expand = nn.Conv2d(channels, 2 * channels, 1)
        self.feed_reduce = nn.Conv2d(channels, channels, 1)
        self.feed_share = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        gated = _gate(self.mix(self.expand(self.norm(x))))
        x = x + self.reduce(gated * self.weigh(gated)) * self.share
        fed = self.feed_reduce(_gate(self.feed_expand(self.feed_norm(x))))
        return x + fed * self.feed_share


def _gate(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
    one, other = x.chunk(2, dim=1)
    return one * other


class ChannelWeights(nn.Module):
    """Weights of channels, from the means of all channels over the input or over a window.

    Windows stay inside the input; at its edges several pixels share one. Sums are taken in
    fp32 whatever the features' precision, and no state is kept between inputs.
    """

    def __init__(self, channels: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.from_means = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c _ _"]:
        if not self.window or self._holds(x):
            return self.from_means(x.mean(dim=(2, 3), keepdim=True))
        with torch.autocast(x.device.type, enabled=False):
            means = window_means(window_means(x.float(), 2, self.window), 3, self.window)
        return self.from_means(means.to(x.dtype))

    def _holds(self, x: Float[Tensor, "n c h w"]) -> bool:
        """Whether one window covers the whole input; False in a graph, where it is not known."""
        return not torch.compiler.is_compiling() and max(x.shape[2:]) <= self.window


def window_means(x: Float[Tensor, "n c h w"], dim: int, window: int) -> Float[Tensor, "n c h w"]:
    """Means over the `window` rows (dim 2) or columns (3) around each, or over all if fewer.

    Only tensors are used: a graph with free sizes computes its windows at run time.
    """
    place = torch.arange(x.shape[dim], device=x.device)
    count = place[-1] + 1
    side = count.clamp(max=window)
    first = (place - (side - 1) // 2).clamp(min=0).minimum(count - side)
    sums = torch.cat([torch.zeros_like(x.narrow(dim, 0, 1)), x.cumsum(dim)], dim=dim)
    return (sums.index_select(dim, first + side) - sums.index_select(dim, first)) / side


ORIGINAL_NAMES: dict[str, str] = {
    r"^intro\.": "stem.",
    r"^encoders\.": "encoder.",
    r"^downs\.": "down.",
    r"^middle_blks\.": "middle.",
    r"^ups\.": "up.",
    r"^decoders\.": "decoder.",
    r"^ending\.": "head.",
    r"\.norm1\.": ".norm.",
    r"\.norm2\.": ".feed_norm.",
    r"\.conv1\.": ".expand.",
    r"\.conv2\.": ".mix.",
    r"\.conv3\.": ".reduce.",
    r"\.conv4\.": ".feed_expand.",
    r"\.conv5\.": ".feed_reduce.",
    r"\.sca\.1\.": ".weigh.from_means.",
    r"\.beta$": ".share",
    r"\.gamma$": ".feed_share",
}
"""Patterns that map the authors' parameter names to ours, each replaced in turn.

The authors' shares have a first axis of length one, (1, c, 1, 1); ours do not.
"""
