"""LoFormer: a U-Net of transformers whose channels attend to each other frequency by frequency.

    photo ─ 3x3 ─ blocks ─┬─────────────────────────────────── blocks ─ 3x3 ── + photo
                     half └ blocks ─┬──────────────── blocks ┘ double
                               half └ blocks ─┬─ blocks ┘ double
                                         half └ blocks ┘ double

A block takes the cosine transform of its whole feature maps, whatever their size, and
splits the coefficients into windows of 8x8 neighbouring frequencies. Within a window
channels attend to each other, and a perceptron over its 64 frequencies gates the result.
Coefficients that fill no whole window are mirrored to one: the network takes multiples of 8.
So every output depends on the whole input, and the result of a tile on the tile's size.
The authors train on 256 pixels and restore tiles of 384.

Source: Mao, Wang, Xie, Li, Wang, "LoFormer: Local Frequency Transformer for Image
Deblurring", ACM MM 2024 (arXiv 2407.16993); sizes and order of operations are those of the
authors' networks. The prior enters as in BlurDM: in the decoder, after the norm of the
coefficients.
"""

from collections.abc import Sequence
from math import pi, sqrt

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import gelu

from blurdm_cli.networks.blocks import ChannelNorm, GuidedBlocks, PriorFusion, add_change

SIZES: dict[str, dict[str, int | list[int]]] = {
    "tiny": {"width": 8, "encoder_pairs": [1, 1, 1], "middle_pairs": 1, "decoder_pairs": [1, 1, 1]},
    "small": {
        "width": 32,
        "encoder_pairs": [1, 2, 3],
        "middle_pairs": 7,
        "decoder_pairs": [3, 2, 2],
    },
    "base": {
        "width": 36,
        "encoder_pairs": [1, 2, 6],
        "middle_pairs": 9,
        "decoder_pairs": [6, 2, 2],
    },
    "large": {
        "width": 48,
        "encoder_pairs": [1, 2, 6],
        "middle_pairs": 9,
        "decoder_pairs": [6, 2, 2],
    },
}
"""0.4, 16.4, 27.9 and 49.0 million parameters: a tiny one, LoFormer-S, -B and -L."""

WINDOW = 8
"""Side of a window of frequencies."""

EXPANSION = 2.66
"""Hidden channels of a feed-forward part, as a multiple of its channels."""


class LoFormer(nn.Module):
    """Restore an image by attention in windows of its frequencies."""

    input_range = (0.0, 1.0)
    multiple_of = 8 * WINDOW

    def __init__(
        self,
        prior_channels: int,
        width: int,
        encoder_pairs: Sequence[int],
        middle_pairs: int,
        decoder_pairs: Sequence[int],
        inputs: int = 3,
        outputs: int = 3,
    ) -> None:
        """Build the network.

        Args:
            prior_channels: length of the prior; 0 for none.
            width: channels at the photo's size; twice as many with each halving.
            encoder_pairs: pairs of blocks of each level, going down: the photo's size first.
            middle_pairs: pairs of blocks at an eighth of the photo's size.
            decoder_pairs: pairs of blocks of each level, going up: a quarter first.
            inputs: planes of the input; the first three are the blurred image.
            outputs: planes of the output; the first three are a change to the blurred image.

        Raises:
            ValueError: there are not three levels.
        """
        super().__init__()
        if not len(encoder_pairs) == len(decoder_pairs) == 3:
            raise ValueError(f"{encoder_pairs=} and {decoder_pairs=} for three levels")
        widths = [width, 2 * width, 4 * width]

        def blocks(channels: int, heads: int, pairs: int, prior_channels: int = 0) -> GuidedBlocks:
            return GuidedBlocks(Block(channels, heads, prior_channels) for _ in range(2 * pairs))

        self.stem = nn.Conv2d(inputs, width, 3, padding=1, bias=False)
        self.encoder = nn.ModuleList(map(blocks, widths, (1, 2, 4), encoder_pairs))
        self.down = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels // 2, 3, padding=1, bias=False), nn.PixelUnshuffle(2)
            )
            for channels in widths
        )
        self.middle = blocks(8 * width, 8, middle_pairs)
        self.up = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(2 * channels, 4 * channels, 3, padding=1, bias=False), nn.PixelShuffle(2)
            )
            for channels in reversed(widths)
        )
        self.join = nn.ModuleList(
            nn.Conv2d(2 * channels, channels, 1) for channels in reversed(widths[1:])
        )
        self.join.append(nn.Identity())
        wide = (4 * width, 2 * width, 2 * width)  # the last level keeps the skip's channels
        self.decoder = nn.ModuleList(
            blocks(channels, heads, pairs, prior_channels)
            for channels, heads, pairs in zip(wide, (4, 2, 1), decoder_pairs, strict=True)
        )
        self.head = nn.Conv2d(2 * width, outputs, 3, padding=1)

    def forward(
        self, blurred: Float[Tensor, "n inputs h w"], prior: Float[Tensor, "n *regions d"] | None
    ) -> Float[Tensor, "n outputs h w"]:
        x = self.stem(blurred.contiguous(memory_format=torch.channels_last))
        skips: list[Tensor] = []
        for blocks, down in zip(self.encoder, self.down, strict=True):
            x = blocks(x, _bases(x), None)
            skips.append(x)
            x = down(x)
        x = self.middle(x, _bases(x), None)
        for blocks, up, join in zip(self.decoder, self.up, self.join, strict=True):
            x = join(torch.cat([up(x), skips.pop()], dim=1))
            x = blocks(x, _bases(x), prior)
        return add_change(blurred, self.head(x))


def _bases(x: Float[Tensor, "n c h w"]) -> tuple[Float[Tensor, "h h"], Float[Tensor, "w w"]]:
    return cosine_basis(x, 2), cosine_basis(x, 3)


def cosine_basis(x: Tensor, dim: int) -> Float[Tensor, "size size"]:
    """The orthonormal cosine transform (DCT-II) along a dimension of x, as a matrix.

    Angles are reduced to the first quadrant while they are integers, so that fp32 is
    enough. Only tensors are used: a graph with free sizes builds the matrix at run time.
    """
    places = torch.arange(x.shape[dim], device=x.device)
    count = places[-1] + 1
    turns = places[:, None] * (2 * places + 1) % (4 * count)
    folded = torch.minimum(turns, 4 * count - turns)
    waves = torch.sin((count - folded) / count * (pi / 2)) * (2 / count).sqrt()
    return torch.where(places[:, None] == 0, waves * sqrt(0.5), waves)


def transform(
    x: Float[Tensor, "n c h w"], tall: Float[Tensor, "h h"], wide: Float[Tensor, "w w"]
) -> Float[Tensor, "n c h w"]:
    """Apply one matrix to all columns and another to all rows, in fp32.

    The mean of a large image is a coefficient far above the others, too large for bf16.
    """
    with torch.autocast(x.device.type, enabled=False):
        pixels = x.float().permute(0, 2, 3, 1)
        n, h, w, c = pixels.shape
        down = (tall @ pixels.reshape(n, h, w * c)).view(n, h, w, c)
        return (wide @ down).permute(0, 3, 1, 2)


def to_whole_windows(x: Tensor, dim: int) -> Tensor:
    """Mirror x along a dimension, again and again, until it fills whole windows of frequencies.

    A graph with free sizes finds the mirrored places at run time. Its division rounds towards 0.
    """
    size = x.shape[dim]
    if size % WINDOW == 0 and not torch.compiler.is_exporting():
        return x
    places = torch.arange((size + WINDOW - 1) // WINDOW * WINDOW, device=x.device)
    period = torch.full((), 2 * size - 2, device=x.device).clamp(min=1)
    folded = places % period
    return x.index_select(dim, torch.minimum(folded, period - folded))


class WindowAttention(nn.Module):
    """Channels attend to channels in each window of frequencies, gated by a perceptron."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.full((heads, 1, 1), channels**-0.5))
        self.gate = nn.Linear(WINDOW**2, WINDOW**2)
        self.expand = nn.Conv2d(channels, 3 * channels, 1)
        self.mix = nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels)
        self.merge = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        n, c, h, w = x.shape
        pixels = self.mix(self.expand(x)).permute(0, 2, 3, 1)
        pixels = to_whole_windows(to_whole_windows(pixels, 1), 2)
        i, j, d = pixels.shape[1] // WINDOW, pixels.shape[2] // WINDOW, c // self.heads
        split = pixels.reshape(n, i, WINDOW, j, WINDOW, 3, self.heads, d)
        windows = split.permute(5, 0, 1, 3, 6, 2, 4, 7).reshape(
            3, n * i * j, self.heads, WINDOW**2, d
        )
        queries, keys, values = windows.unbind(0)
        scores = (queries.mT @ keys * self.temperature).softmax(dim=-1)
        gate = gelu(self.gate.weight @ values + self.gate.bias[:, None])
        gated = values @ scores.mT * gate
        apart = gated.view(n, i, j, self.heads, WINDOW, WINDOW, d)
        merged = apart.permute(0, 1, 4, 2, 5, 3, 6).reshape(n, i * WINDOW, j * WINDOW, c)
        return self.merge(merged[:, :h, :w].permute(0, 3, 1, 2))


class FeedForward(nn.Module):
    """A gated perceptron for each pixel, with a depthwise convolution in its middle."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = int(channels * EXPANSION)
        self.expand = nn.Conv2d(channels, 2 * hidden, 1)
        self.mix = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden)
        self.reduce = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        gate, content = self.mix(self.expand(x)).chunk(2, dim=1)
        return self.reduce(gelu(gate) * content)


class Block(nn.Module):
    """Attention among frequencies and a feed-forward part, each with a shortcut."""

    def __init__(self, channels: int, heads: int, prior_channels: int) -> None:
        super().__init__()
        if prior_channels:
            self.fusion = PriorFusion(channels, prior_channels)
        self.attention_norm = ChannelNorm(channels)
        self.attention = WindowAttention(channels, heads)
        self.feed_norm = ChannelNorm(channels)
        self.feed = FeedForward(channels)

    def forward(
        self,
        x: Float[Tensor, "n c h w"],
        bases: tuple[Float[Tensor, "h h"], Float[Tensor, "w w"]],
        prior: Float[Tensor, "n *regions d"] | None,
    ) -> Float[Tensor, "n c h w"]:
        tall, wide = bases
        frequencies = self.attention_norm(transform(x, tall, wide))
        if prior is not None:
            frequencies = self.fusion(frequencies, prior)
        x = x + transform(self.attention(frequencies), tall.T, wide.T)
        return x + self.feed(self.feed_norm(x))


ORIGINAL_NAMES: dict[str, str] = {
    **{
        rf"\.{pair}\.trans{half + 1}\.": f".{2 * pair + half}."
        for pair in range(9)
        for half in range(2)
    },
    r"^patch_embed\.proj\.": "stem.",
    r"^encoders\.": "encoder.",
    r"^downs\.(\d)\.body\.": r"down.\1.",
    r"^middle_blks\.": "middle.",
    r"^ups\.(\d)\.body\.": r"up.\1.",
    r"^reduce_chan\.": "join.",
    r"^decoders\.": "decoder.",
    r"^output\.": "head.",
    r"\.norm1\.body\.": ".attention_norm.",
    r"\.norm2\.body\.": ".feed_norm.",
    r"\.attn\.0\.kv\.": ".fusion.to_scale_shift.",
    r"\.attn\.0\.mlp\.0\.": ".attention.gate.",
    r"\.attn\.0\.qkv\.": ".attention.expand.",
    r"\.attn\.0\.qkv_dwconv\.": ".attention.mix.",
    r"\.attn\.0\.project_out\.": ".attention.merge.",
    r"\.attn\.0\.": ".attention.",
    r"\.ffn\.0\.project_in\.": ".feed.expand.",
    r"\.ffn\.0\.dwconv\.": ".feed.mix.",
    r"\.ffn\.0\.project_out\.": ".feed.reduce.",
}
"""Patterns that map the authors' parameter names to ours, each replaced in turn."""
