"""FFTformer: a U-Net of transformers that compare 8x8 patches by their Fourier spectra.

    photo ─ 3x3 ─ blocks ─┬──────────────── join ─ attention blocks ─ more of them ─ 3x3 ── + photo
                     half └ blocks ─┬─ join ─ attention blocks ┘ double
                               half └ blocks ─ attention blocks ┘ double

Attention is a circular convolution of queries and keys, patch by patch, that gates the
values; the feed-forward part weighs each channel's frequencies. Both are products with one
constant 64x64 matrix here. On a CPU these are several times faster than many small FFTs,
and any runtime supports them.

Source: Kong, Dong, Ge, Li, Pan, "Efficient Frequency Domain-based Transformers for
High-Quality Image Deblurring", CVPR 2023 (arXiv 2211.12250); sizes and order of operations
are those of the authors' networks. The prior enters as in BlurDM: after the norm of each
attention.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, gelu, interpolate, linear

from blurdm_cli.networks.blocks import ChannelNorm, GuidedBlocks, PriorFusion, add_change
from blurdm_cli.networks.patch_fourier import PATCH, PatchFourier

SIZES: dict[str, dict[str, int | list[int]]] = {
    "tiny": {"width": 8, "blocks": [1, 1, 1], "refinement_blocks": 1},
    "paper": {"width": 48, "blocks": [6, 6, 12], "refinement_blocks": 4},
}
"""0.1 and 16.6 million parameters."""


EXPANSION = 3
JOIN_EXPANSION = 2.66
"""Hidden channels of a feed-forward part, as multiples of its channels."""


class FFTformer(nn.Module):
    """Restore an image by attention in the frequencies of its patches."""

    input_range = (0.0, 1.0)
    multiple_of = 4 * PATCH

    def __init__(
        self,
        prior_channels: int,
        width: int,
        blocks: Sequence[int],
        refinement_blocks: int,
        inputs: int = 3,
        outputs: int = 3,
    ) -> None:
        """Build the network.

        Args:
            prior_channels: length of the prior; 0 for none.
            width: channels at the photo's size; twice and four times as many below.
            blocks: transformer blocks of each level, on the way down and again on the way
                up, where they have attention; the photo's size first.
            refinement_blocks: further blocks with attention at the photo's size.
            inputs: planes of the input; the first three are the blurred image.
            outputs: planes of the output; the first three are a change to the blurred image.

        Raises:
            ValueError: there are not three levels.
        """
        super().__init__()
        if len(blocks) != 3:
            raise ValueError(f"{blocks=} for three levels")
        widths = [width, 2 * width, 4 * width]
        fourier = PatchFourier()

        def plain(level: int) -> nn.Sequential:
            return nn.Sequential(
                *(FrequencyBlock(widths[level], EXPANSION, fourier) for _ in range(blocks[level]))
            )

        def attentive(level: int, count: int) -> GuidedBlocks:
            channels = widths[level]
            return GuidedBlocks(
                AttentionBlock(channels, prior_channels, fourier) for _ in range(count)
            )

        self.stem = nn.Conv2d(inputs, width, 3, padding=1, bias=False)
        self.encoder = nn.ModuleList(plain(level) for level in range(3))
        self.down = nn.ModuleList(
            nn.Conv2d(widths[level], widths[level + 1], 3, padding=1, bias=False)
            for level in range(2)
        )
        self.decoder = nn.ModuleList(attentive(level, blocks[level]) for level in range(3))
        self.up = nn.ModuleList(
            nn.Conv2d(widths[level + 1], widths[level], 3, padding=1, bias=False)
            for level in range(2)
        )
        self.join = nn.ModuleList(Join(widths[level], fourier) for level in range(2))
        self.refinement = attentive(0, refinement_blocks)
        self.head = nn.Conv2d(width, outputs, 3, padding=1, bias=False)
        # in the authors' network and its checkpoints, but unused in the result
        self.idle = nn.Conv2d(widths[2], widths[1], 1, bias=False).requires_grad_(False)

    def forward(
        self, blurred: Float[Tensor, "n inputs h w"], prior: Float[Tensor, "n *regions d"] | None
    ) -> Float[Tensor, "n outputs h w"]:
        x = self.encoder[0](self.stem(blurred.contiguous(memory_format=torch.channels_last)))
        skips: list[Tensor] = []
        for blocks, down in zip(self.encoder[1:], self.down, strict=True):
            skips.append(x)
            x = blocks(down(avg_pool2d(x, 2)))
        for level in (2, 1, 0):
            if level < 2:
                larger = interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
                x = self.join[level](self.up[level](larger), skips.pop())
            x = self.decoder[level](x, prior)
        return add_change(blurred, self.head(self.refinement(x, prior)))


class FrequencyFeedForward(nn.Module):
    """A gated perceptron for each pixel that first weighs each channel's frequencies.

    Its first layer works on spectra. The transform is linear, so it can come before this layer;
    after it there are six times as many channels.
    """

    def __init__(self, channels: int, expansion: float, fourier: PatchFourier) -> None:
        super().__init__()
        hidden = int(channels * expansion)
        self.fourier = fourier
        self.expand = nn.Conv2d(channels, 2 * hidden, 1, bias=False)
        self.gains = nn.Parameter(torch.ones(2 * hidden, PATCH, PATCH // 2 + 1))
        self.mix = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=False)
        self.reduce = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        spectra = linear(self.fourier(x), self.expand.weight.flatten(1))
        weighed = self.fourier.invert(spectra * self.fourier.spread(self.gains), x)
        gate, content = self.mix(weighed).chunk(2, dim=1)
        return self.reduce(gelu(gate) * content)


class FrequencyAttention(nn.Module):
    """Gate values by the circular convolution of queries and keys, patch by patch."""

    def __init__(self, channels: int, fourier: PatchFourier) -> None:
        super().__init__()
        wide = 6 * channels
        self.fourier = fourier
        self.expand = nn.Conv2d(channels, wide, 1, bias=False)
        self.mix = nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False)
        self.norm = ChannelNorm(2 * channels)
        self.reduce = nn.Conv2d(2 * channels, channels, 1, bias=False)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        both, values = self.mix(self.expand(x)).tensor_split([4 * x.shape[1]], dim=1)
        queries, keys = self.fourier(both).chunk(2, dim=-1)
        gate = self.fourier.invert(self.fourier.convolve(queries, keys), x)
        return self.reduce(self.norm(gate) * values)


class FrequencyBlock(nn.Module):
    """A feed-forward part and its shortcut."""

    def __init__(self, channels: int, expansion: float, fourier: PatchFourier) -> None:
        super().__init__()
        self.feed_norm = ChannelNorm(channels)
        self.feed = FrequencyFeedForward(channels, expansion, fourier)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        return x + self.feed(self.feed_norm(x))


class AttentionBlock(nn.Module):
    """Attention, guided by a prior, and a feed-forward part, each with a shortcut."""

    def __init__(self, channels: int, prior_channels: int, fourier: PatchFourier) -> None:
        super().__init__()
        if prior_channels:
            self.fusion = PriorFusion(channels, prior_channels, bias=False)
        self.attention_norm = ChannelNorm(channels)
        self.attention = FrequencyAttention(channels, fourier)
        self.feed_norm = ChannelNorm(channels)
        self.feed = FrequencyFeedForward(channels, EXPANSION, fourier)

    def forward(
        self, x: Float[Tensor, "n c h w"], prior: Float[Tensor, "n *regions d"] | None
    ) -> Float[Tensor, "n c h w"]:
        normed = self.attention_norm(x)
        x = x + self.attention(normed if prior is None else self.fusion(normed, prior))
        return x + self.feed(self.feed_norm(x))


class Join(nn.Module):
    """Join features of the decoder with those of the encoder."""

    def __init__(self, channels: int, fourier: PatchFourier) -> None:
        super().__init__()
        self.first = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.block = FrequencyBlock(2 * channels, JOIN_EXPANSION, fourier)
        self.second = nn.Conv2d(2 * channels, 2 * channels, 1)

    def forward(
        self, x: Float[Tensor, "n c h w"], skip: Float[Tensor, "n c h w"]
    ) -> Float[Tensor, "n c h w"]:
        one, other = self.second(self.block(self.first(torch.cat([x, skip], dim=1)))).chunk(2, 1)
        return one + other


ORIGINAL_NAMES: dict[str, str] = {
    r"^patch_embed\.proj\.": "stem.",
    **{rf"^encoder_level{level + 1}\.": f"encoder.{level}." for level in range(3)},
    **{rf"^decoder_level{level + 1}\.": f"decoder.{level}." for level in range(3)},
    **{rf"^down{level + 1}_{level + 2}\.body\.1\.": f"down.{level}." for level in range(2)},
    **{rf"^up{level + 2}_{level + 1}\.body\.1\.": f"up.{level}." for level in range(2)},
    **{rf"^fuse{level + 1}\.": f"join.{level}." for level in range(2)},
    r"^output\.": "head.",
    r"^reduce_chan_level2\.": "idle.",
    r"\.att_channel\.": ".block.",
    r"^(join\.\d\.)conv\.": r"\1first.",
    r"^(join\.\d\.)conv2\.": r"\1second.",
    r"\.norm1\.body\.": ".attention_norm.",
    r"\.norm2\.body\.": ".feed_norm.",
    r"\.norm\.body\.": ".norm.",
    r"\.attn\.kv\.": ".fusion.to_scale_shift.",
    r"\.attn\.to_hidden\.": ".attention.expand.",
    r"\.attn\.to_hidden_dw\.": ".attention.mix.",
    r"\.attn\.": ".attention.",
    r"\.ffn\.project_in\.": ".feed.expand.",
    r"\.ffn\.dwconv\.": ".feed.mix.",
    r"\.ffn\.fft$": ".feed.gains",
    r"\.ffn\.": ".feed.",
    r"\.project_out\.": ".reduce.",
}
"""Patterns that map the authors' parameter names to ours, each replaced in turn.

The authors' gains have two axes of length one, (c, 1, 1, 8, 5); ours have none.
"""
