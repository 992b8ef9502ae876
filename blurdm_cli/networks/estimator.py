"""The residual estimator, which predicts what one step of the diffusion added."""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from blurdm_cli.networks.encoder import SLOPE


class ResidualEstimator(nn.Module):
    """Predict one residual of step t from the latent and its condition.

    BlurDM has two of these, one for the blur residual e_t and one for the noise residual
    ε: six linear layers and no skips. The step enters as the plain number t/T.
    """

    def __init__(self, channels: int, steps: int) -> None:
        super().__init__()
        self.steps = steps
        sizes = [2 * channels + 1] + [channels] * 6
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(SLOPE)]
        self.layers = nn.Sequential(*layers)

    def forward(
        self, z_t: Float[Tensor, "n c"], t: int, condition: Float[Tensor, "n c"]
    ) -> Float[Tensor, "n c"]:
        time = torch.full_like(z_t[:, :1], t / self.steps)
        return self.layers(torch.cat([condition, time, z_t], dim=1))
