"""MIMO-UNet: one U-Net that sees the photo at three sizes, and restores it at three sizes.

    photo ─ 3x3 ─ blocks ─┬──────────── mix of all levels ─ join ─ fusion ─ blocks ─ 3x3 ── + photo
                     half └ gate ─ blocks ─┬─ mix ─ join ─ fusion ─ blocks ┘ double
              photo at half ┘         half └ gate ─ blocks ─ fusion ─ blocks ┘ double
                                photo at quarter ┘

The two smaller photos enter as gates. Each level of the decoder also outputs a restored
photo of its own size; training uses all three, inference the largest.

Source: Cho, Ji, Hong, Jung, Ko, "Rethinking Coarse-to-Fine Approach in Single Image
Deblurring", ICCV 2021 (arXiv 2108.05054); sizes and order of operations are those of the
authors' networks. The prior enters as in BlurDM: at the start of each decoder level.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

from blurdm_cli.networks.blocks import PriorFusion, ResidualBlock, add_change

SIZES: dict[str, dict[str, int | float]] = {
    "tiny": {"width": 8, "blocks": 1, "dropout": 0.0},
    "base": {"width": 32, "blocks": 8, "dropout": 0.0},
    "plus": {"width": 32, "blocks": 20, "dropout": 0.1},
}
"""0.1, 6.8 and 16.1 million parameters: a tiny one, MIMO-UNet and MIMO-UNet+."""


class MimoUNet(nn.Module):
    """Restore an image at its own size, at half and at a quarter of it."""

    input_range = (-0.5, 0.5)
    multiple_of = 8

    def __init__(
        self,
        prior_channels: int,
        width: int,
        blocks: int,
        dropout: float,
        inputs: int = 3,
        outputs: int = 3,
    ) -> None:
        """Build the network.

        Args:
            prior_channels: length of the prior; 0 for none.
            width: channels at the photo's size; twice and four times as many below.
            blocks: residual blocks of each of the six levels.
            dropout: share of the skips' channels that training drops.
            inputs: planes of the input; the first three are the blurred image.
            outputs: planes of the full-size output; the first three are the restored image.

        Raises:
            ValueError: the width is not a multiple of 4.
        """
        super().__init__()
        if width < 4 or width % 4:
            raise ValueError(f"{width=} is not a multiple of 4")
        fine, middle, coarse = widths = [width, 2 * width, 4 * width]
        rising = widths[::-1]
        self.stem = nn.Conv2d(inputs, fine, 3, padding=1)
        self.down = nn.ModuleList(
            nn.Conv2d(few, many, 3, stride=2, padding=1)
            for few, many in ((fine, middle), (middle, coarse))
        )
        self.gate = nn.ModuleList(Gate(channels) for channels in (middle, coarse))
        self.encoder = nn.ModuleList(_blocks(channels, blocks) for channels in widths)
        self.mix = nn.ModuleList(_mix(sum(widths), channels) for channels in (fine, middle))
        self.dropout = nn.Dropout2d(dropout)
        self.fusion = nn.ModuleList(
            PriorFusion(channels, prior_channels, bias=False)
            for channels in rising
            if prior_channels
        )
        self.decoder = nn.ModuleList(_blocks(channels, blocks) for channels in rising)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(many, few, 4, stride=2, padding=1)
            for many, few in ((coarse, middle), (middle, fine))
        )
        self.join = nn.ModuleList(
            nn.Conv2d(2 * channels, channels, 1) for channels in (middle, fine)
        )
        self.head = nn.ModuleList(
            nn.Conv2d(channels, planes, 3, padding=1)
            for channels, planes in zip(rising, (3, 3, outputs), strict=True)
        )
        self.activation = nn.ReLU()

    def forward(
        self, blurred: Float[Tensor, "n inputs h w"], prior: Float[Tensor, "n *regions d"] | None
    ) -> Float[Tensor, "n outputs h w"]:
        return self.forward_scales(blurred, prior)[0]

    def forward_scales(
        self, blurred: Float[Tensor, "n inputs h w"], prior: Float[Tensor, "n *regions d"] | None
    ) -> list[Float[Tensor, "n _ _ _"]]:
        """The restored image at its own size, at half and at a quarter of it."""
        blurred = blurred.contiguous(memory_format=torch.channels_last)
        photos = [blurred[:, :3, ::step, ::step] for step in (1, 2, 4)]
        x = self.encoder[0](self.activation(self.stem(blurred)))
        levels = [x]
        for down, gate, photo, blocks in zip(
            self.down, self.gate, photos[1:], self.encoder[1:], strict=True
        ):
            x = blocks(gate(self.activation(down(x)), photo))
            levels.append(x)
        skips = self._mixed(levels)
        restored: list[Tensor] = []
        for level, (blocks, head) in enumerate(zip(self.decoder, self.head, strict=True)):
            if level:
                larger = self.activation(self.up[level - 1](x))
                joined = torch.cat([larger, skips.pop()], dim=1)
                x = self.activation(self.join[level - 1](joined))
            if prior is not None:
                x = self.fusion[level](x, prior)
            x = blocks(x)
            restored.insert(0, add_change(photos.pop(), head(x)))
        return restored

    def _mixed(self, levels: list[Tensor]) -> list[Tensor]:
        """Mix all three levels for each of the two finer ones, the finest first."""
        fine, middle, coarse = levels
        doubled = interpolate(coarse, scale_factor=2.0)
        to_fine = [
            fine,
            interpolate(middle, scale_factor=2.0),
            interpolate(doubled, scale_factor=2.0),
        ]
        to_middle = [fine[:, :, ::2, ::2], middle, doubled]
        return [
            self.dropout(mix(torch.cat(heard, dim=1)))
            for mix, heard in zip(self.mix, (to_fine, to_middle), strict=True)
        ]


class Gate(nn.Module):
    """Multiply features by those of a smaller photo, and add the result to them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        quarter, half = channels // 4, channels // 2
        self.see = nn.Sequential(
            nn.Conv2d(3, quarter, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(quarter, half, 1),
            nn.ReLU(),
            nn.Conv2d(half, half, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(half, channels - 3, 1),
            nn.ReLU(),
        )
        self.seen = nn.Conv2d(channels, channels, 1)
        self.merge = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(
        self, x: Float[Tensor, "n c h w"], photo: Float[Tensor, "n 3 h w"]
    ) -> Float[Tensor, "n c h w"]:
        seen = self.seen(torch.cat([photo, self.see(photo)], dim=1))
        return x + self.merge(x * seen)


def _blocks(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(channels) for _ in range(count)))


def _mix(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1), nn.ReLU(), nn.Conv2d(outputs, outputs, 3, padding=1)
    )


ORIGINAL_NAMES: dict[str, str] = {
    r"^feat_extract\.0\.main\.0\.": "stem.",
    **{rf"^feat_extract\.{1 + level}\.main\.0\.": f"down.{level}." for level in range(2)},
    **{rf"^feat_extract\.{3 + level}\.main\.0\.": f"up.{level}." for level in range(2)},
    r"^feat_extract\.5\.main\.0\.": "head.2.",
    r"^ConvsOut\.(\d)\.main\.0\.": r"head.\1.",
    r"^Convs\.(\d)\.main\.0\.": r"join.\1.",
    r"^AFFs\.(\d)\.conv\.0\.main\.0\.": r"mix.\1.0.",
    r"^AFFs\.(\d)\.conv\.1\.main\.0\.": r"mix.\1.2.",
    **{
        pattern.format(2 - level): f"gate.{level}.{name}."
        for level in range(2)
        for pattern, name in (
            (r"^FAM{}\.merge\.main\.0\.", "merge"),
            (r"^SCM{}\.conv\.main\.0\.", "seen"),
            (r"^SCM{}\.main\.0\.main\.0\.", "see.0"),
            (r"^SCM{}\.main\.1\.main\.0\.", "see.2"),
            (r"^SCM{}\.main\.2\.main\.0\.", "see.4"),
            (r"^SCM{}\.main\.3\.main\.0\.", "see.6"),
        )
    },
    r"^Decoder\.(\d)\.kv\.": r"fusion.\1.to_scale_shift.",
    r"^Encoder\.(\d)\.layers\.": r"encoder.\1.",
    r"^Decoder\.(\d)\.layers\.": r"decoder.\1.",
    r"\.main\.0\.main\.0\.": ".first.",
    r"\.main\.1\.main\.0\.": ".second.",
}
"""Patterns that map the authors' parameter names to ours, each replaced in turn."""
