"""Stripformer: a transformer whose tokens are the pixels of a strip, or whole strips.

    photo ─ convolutions ─┬──────────────────────────────────── + ─ convolutions ── + photo
                     half └ convolutions ─┬────── + ─ strip blocks ┘ double
                                     half └ strip blocks ┘ double

A strip is a row or a column of the features. Half of the channels attend within (or
between) rows, the other half within (or between) columns: any direction of blur is a
combination of the two. Strips see the whole width and height of a tile.

Source: Tsai, Peng, Lin, Tsai, Lin, "Stripformer: Strip Transformer for Fast Image
Deblurring", ECCV 2022 (arXiv 2204.04627); sizes and order of operations are those of the
authors' networks. The prior enters as in BlurDM: before the norm of each strip attention.
"""

from collections.abc import Sequence
from itertools import chain

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from blurdm_cli.networks.blocks import (
    ChannelNorm,
    GuidedBlocks,
    PriorFusion,
    ResidualBlock,
    add_change,
)

SIZES: dict[str, dict[str, list[int] | int]] = {
    "tiny": {"widths": [8, 16, 24, 16], "pairs": [1, 1], "head_channels": 4},
    "paper": {"widths": [64, 128, 320, 192], "pairs": [6, 3], "head_channels": 32},
}
"""0.05 and 19.7 million parameters."""

SLOPE = 0.2
"""Slope of every leaky ReLU."""


class Stripformer(nn.Module):
    """Restore an image by attention within and between strips."""

    input_range = (-0.5, 0.5)
    multiple_of = 32

    def __init__(
        self,
        prior_channels: int,
        widths: Sequence[int],
        pairs: Sequence[int],
        head_channels: int,
        inputs: int = 3,
        outputs: int = 3,
    ) -> None:
        """Build the network.

        Args:
            prior_channels: length of the prior; 0 for none.
            widths: channels at the photo's size, half of it and a quarter, and of the
                decoder's strip blocks, which work at half.
            pairs: pairs of an intra- and an inter-strip block, at a quarter and at half.
            head_channels: channels of an attention head; must divide half of the widths
                of strip blocks.
            inputs: planes of the input; the first three are the blurred image.
            outputs: planes of the output; the first three are a change to the blurred image.

        Raises:
            ValueError: the widths and heads do not fit each other.
        """
        super().__init__()
        fine, middle, coarse, decoder = widths
        if coarse % (2 * head_channels) or decoder % (2 * head_channels):
            raise ValueError(f"{widths=} with {head_channels=}")

        def strips(width: int, count: int) -> GuidedBlocks:
            kinds = (IntraStripAttention, InterStripAttention) * count
            return GuidedBlocks(
                StripBlock(width, kind(width, head_channels), prior_channels) for kind in kinds
            )

        self.fine = nn.Sequential(
            nn.Conv2d(inputs, fine, 3, padding=1), nn.LeakyReLU(SLOPE), *_residuals(fine)
        )
        self.middle = nn.Sequential(
            nn.Conv2d(fine, middle, 3, stride=2, padding=1),
            nn.LeakyReLU(SLOPE),
            *_residuals(middle),
        )
        self.coarse = nn.Sequential(
            nn.Conv2d(middle, coarse, 3, stride=2, padding=1), nn.LeakyReLU(SLOPE)
        )
        self.coarse_strips = strips(coarse, pairs[0])
        self.up_to_middle = nn.Sequential(
            nn.ConvTranspose2d(coarse, decoder, 4, stride=2, padding=1), nn.LeakyReLU(SLOPE)
        )
        self.join_middle = nn.Sequential(
            nn.Conv2d(decoder + middle, decoder, 1), nn.LeakyReLU(SLOPE)
        )
        self.middle_strips = strips(decoder, pairs[1])
        self.up_to_fine = nn.Sequential(
            nn.ConvTranspose2d(decoder, fine, 4, stride=2, padding=1), nn.LeakyReLU(SLOPE)
        )
        self.join_fine = nn.Sequential(
            nn.Conv2d(2 * fine, fine, 1), nn.LeakyReLU(SLOPE), nn.Conv2d(fine, fine, 3, padding=1)
        )
        self.activation = nn.LeakyReLU(SLOPE)
        self.head = nn.Sequential(
            ResidualBlock(fine, SLOPE),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(fine, outputs, 3, padding=1),
            nn.LeakyReLU(SLOPE),
        )

    def forward(
        self, blurred: Float[Tensor, "n inputs h w"], prior: Float[Tensor, "n *regions d"] | None
    ) -> Float[Tensor, "n outputs h w"]:
        fine = self.fine(blurred.contiguous(memory_format=torch.channels_last))
        middle = self.middle(fine)
        x = self.coarse_strips(self.coarse(middle), prior)
        x = self.join_middle(torch.cat([self.up_to_middle(x), middle], dim=1))
        x = self.up_to_fine(self.middle_strips(x, prior))
        x = self.activation(self.join_fine(torch.cat([x, fine], dim=1)) + x)
        return add_change(blurred, self.head(x))


def _residuals(channels: int) -> list[nn.Module]:
    pairs = [(ResidualBlock(channels, SLOPE), nn.LeakyReLU(SLOPE)) for _ in range(3)]
    return list(chain.from_iterable(pairs))


class ChannelLinear(nn.Linear):
    """A linear layer over the channels of each pixel."""

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class StripAttention(nn.Module):
    """Attention along rows for half of the channels, along columns for the others."""

    rows: nn.Module
    columns: nn.Module

    def __init__(self, channels: int, head_channels: int) -> None:
        super().__init__()
        self.head_channels = head_channels
        self.split = nn.Conv2d(channels, channels, 1)
        self.merge = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        rows, columns = self.split(x).chunk(2, dim=1)
        along_rows = self.attend(self._heads(self.rows(rows)))
        along_columns = self.attend(self._heads(self.columns(columns)).transpose(1, 2))
        both = torch.cat([along_rows, along_columns.transpose(1, 2)], dim=-1)
        return self.merge(both.permute(0, 3, 1, 2))

    def attend(
        self, strips: Float[Tensor, "n strip pixel 3 head d"]
    ) -> Float[Tensor, "n strip pixel c"]:
        """Compute the attention from queries, keys and values."""
        raise NotImplementedError

    def _heads(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w 3 head d"]:
        return x.permute(0, 2, 3, 1).unflatten(-1, (3, -1, self.head_channels))


class IntraStripAttention(StripAttention):
    """Pixels attend to the pixels of their own strip."""

    def __init__(self, channels: int, head_channels: int) -> None:
        super().__init__(channels, head_channels)
        self.rows = ChannelLinear(channels // 2, channels // 2 * 3)
        self.columns = ChannelLinear(channels // 2, channels // 2 * 3)

    def attend(
        self, strips: Float[Tensor, "n strip pixel 3 head d"]
    ) -> Float[Tensor, "n strip pixel c"]:
        tokens = strips.flatten(0, 1).permute(2, 0, 3, 1, 4)
        queries, keys, values = tokens.unbind(0)
        attended = scaled_dot_product_attention(queries, keys, values)
        return attended.transpose(1, 2).flatten(2).unflatten(0, strips.shape[:2])


class InterStripAttention(StripAttention):
    """Whole strips attend to the strips parallel to them."""

    def __init__(self, channels: int, head_channels: int) -> None:
        super().__init__(channels, head_channels)
        self.rows = nn.Conv2d(channels // 2, channels // 2 * 3, 1)
        self.columns = nn.Conv2d(channels // 2, channels // 2 * 3, 1)

    def attend(
        self, strips: Float[Tensor, "n strip pixel 3 head d"]
    ) -> Float[Tensor, "n strip pixel c"]:
        tokens = strips.permute(3, 0, 4, 1, 2, 5).flatten(-2)
        queries, keys, values = tokens.unbind(0)
        attended = scaled_dot_product_attention(queries, keys, values)
        pixels = attended.unflatten(-1, (-1, self.head_channels))
        return pixels.permute(0, 2, 3, 1, 4).flatten(-2)


class StripBlock(nn.Module):
    """Strip attention, a perceptron for each pixel, and a depthwise convolution for position."""

    def __init__(self, channels: int, attention: StripAttention, prior_channels: int) -> None:
        super().__init__()
        if prior_channels:
            self.fusion = PriorFusion(channels, prior_channels, bias=False)
        self.attention_norm = ChannelNorm(channels)
        self.attention = attention
        self.mlp_norm = ChannelNorm(channels)
        self.mlp = nn.Sequential(
            ChannelLinear(channels, 4 * channels), nn.GELU(), ChannelLinear(4 * channels, channels)
        )
        self.position = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)

    def forward(
        self, x: Float[Tensor, "n c h w"], prior: Float[Tensor, "n *regions d"] | None
    ) -> Float[Tensor, "n c h w"]:
        guided = x if prior is None else self.fusion(x, prior)
        x = x + self.attention(self.attention_norm(guided))
        x = x + self.mlp(self.mlp_norm(x))
        return x + self.position(x)


def _original_names() -> dict[str, str]:
    names = {}
    for level, name in ((1, "fine"), (2, "middle"), (3, "coarse")):
        names[rf"^encoder\.en_layer{level}_1\.0\."] = f"{name}.0."
        for number in (2, 3, 4):
            block = f"{name}.{2 * number - 2}"
            names[rf"^encoder\.en_layer{level}_{number}\.0\."] = f"{block}.first."
            names[rf"^encoder\.en_layer{level}_{number}\.2\."] = f"{block}.second."
    for number in range(12):
        names[rf"^Trans_block_{number + 1}\."] = f"coarse_strips.{number}."
        names[rf"^decoder\.de_block_{number + 1}\."] = f"middle_strips.{number}."
    return names


ORIGINAL_NAMES: dict[str, str] = {
    **_original_names(),
    r"^decoder\.de_layer3_1\.": "up_to_middle.",
    r"^decoder\.de_layer2_2\.": "join_middle.",
    r"^decoder\.de_layer2_1\.": "up_to_fine.",
    r"^decoder\.de_layer1_3\.": "join_fine.",
    r"^decoder\.de_layer1_2\.0\.": "head.0.first.",
    r"^decoder\.de_layer1_2\.2\.": "head.0.second.",
    r"^decoder\.de_layer1_1\.0\.": "head.2.",
    r"\.kv\.": ".fusion.to_scale_shift.",
    r"\.conv_input\.": ".attention.split.",
    r"\.(qkv_local_h|conv_h)\.": ".attention.rows.",
    r"\.(qkv_local_v|conv_v)\.": ".attention.columns.",
    r"\.fuse_out\.": ".attention.merge.",
    r"\.ffn_norm\.": ".mlp_norm.",
    r"\.ffn\.fc1\.": ".mlp.0.",
    r"\.ffn\.fc2\.": ".mlp.2.",
    r"\.PEG\.PEG\.": ".position.",
}
"""Patterns that map the authors' parameter names to ours, each replaced in turn."""
