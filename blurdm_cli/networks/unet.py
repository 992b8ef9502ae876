"""The project's own backbone: a residual U-Net of plain 3x3 convolutions.

    photo --unshuffle 2x--> stem ─ blocks ─┬───────── + ─ fusion ─ blocks ─ 3x3 --shuffle--> + photo
                                     down  │          │ up
                                        blocks ─┬──── + ─ fusion ─ blocks
                                               …fusion ─ blocks…

There are no depthwise convolutions, no norms and no pooling over the whole image:
plain convolutions in bfloat16 keep a CPU's matrix units busy, and a local
network gives the same result on a tile with a halo as on the whole photo.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from blurdm_cli.networks.blocks import PriorFusion, ResidualBlock, add_change, keep_variance

SIZES: dict[str, dict[str, list[int]]] = {
    "tiny": {"widths": [16, 24, 32], "encoder_blocks": [1, 1], "decoder_blocks": [2, 1, 1]},
    "fast": {
        "widths": [32, 64, 128, 192],
        "encoder_blocks": [2, 2, 3],
        "decoder_blocks": [5, 3, 2, 2],
    },
    "quality": {
        "widths": [64, 128, 256, 384],
        "encoder_blocks": [2, 2, 3],
        "decoder_blocks": [5, 3, 2, 2],
    },
}
"""0.4, 11 and 43 GFLOP for 256x256 pixels."""


class UNet(nn.Module):
    """Restore an image, guided by a latent prior at the start of each decoder level.

    The untrained network is the identity: its last convolution starts at zero, and its
    output is a change to the input.
    """

    def __init__(
        self,
        prior_channels: int,
        widths: Sequence[int],
        encoder_blocks: Sequence[int],
        decoder_blocks: Sequence[int],
        inputs: int = 3,
        outputs: int = 3,
    ) -> None:
        """Build the network.

        Args:
            prior_channels: length of the prior; 0 for none.
            widths: channels of each level, the finest (half the photo's size) first.
            encoder_blocks: residual blocks of each level but the coarsest, going down.
            decoder_blocks: residual blocks of each level, going up: the coarsest first.
            inputs: planes of the input; the first three are the blurred image.
            outputs: planes of the output; the first three are a change to the blurred image.

        Raises:
            ValueError: the three lists do not fit each other.
        """
        super().__init__()
        if not len(widths) == len(decoder_blocks) == len(encoder_blocks) + 1:
            raise ValueError(f"{widths=} with {encoder_blocks=} and {decoder_blocks=}")
        finest, rising = widths[0], widths[::-1]
        stem = nn.Conv2d(4 * inputs, finest, 3, padding=1)
        self.stem = nn.Sequential(nn.PixelUnshuffle(2), stem)
        self.encoder = nn.ModuleList(
            _blocks(width, count) for width, count in zip(widths[:-1], encoder_blocks, strict=True)
        )
        self.down = nn.ModuleList(
            nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in pairwise(widths)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(coarse, fine, 2, stride=2) for coarse, fine in pairwise(rising)
        )
        self.fusion = nn.ModuleList(
            PriorFusion(width, prior_channels) for width in rising if prior_channels
        )
        self.decoder = nn.ModuleList(
            _blocks(width, count) for width, count in zip(rising, decoder_blocks, strict=True)
        )
        self.head = nn.Conv2d(finest, 4 * outputs, 3, padding=1)
        self.unfold = nn.PixelShuffle(2)
        keep_variance(stem, gain=4.0)  # photos vary by a quarter of the range from black to white
        for resampling in (*self.down, *self.up):
            keep_variance(resampling)
        keep_variance(self.head, gain=0.0)

    def forward(
        self, blurred: Float[Tensor, "n inputs h w"], prior: Float[Tensor, "n *regions d"] | None
    ) -> Float[Tensor, "n outputs h w"]:
        x = self.stem(blurred)
        skips: list[Tensor] = []
        for blocks, down in zip(self.encoder, self.down, strict=True):
            x = blocks(x)
            skips.append(x)
            x = down(x)
        for level, blocks in enumerate(self.decoder):
            if level:
                x = self.up[level - 1](x) + skips.pop()
            if prior is not None:
                x = self.fusion[level](x, prior)
            x = blocks(x)
        return add_change(blurred, self.unfold(self.head(x)))


def _blocks(width: int, count: int) -> nn.Sequential:
    blocks = [ResidualBlock(width) for _ in range(count)]
    for block in blocks:
        keep_variance(block.first, gain=math.sqrt(2))
        keep_variance(block.second, gain=0.1)
    return nn.Sequential(*blocks)
