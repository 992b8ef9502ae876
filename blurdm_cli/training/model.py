"""The networks of a training run: those of the model, and those used only in training."""

import copy
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from blurdm_cli.networks.blocks import ResidualBlock, keep_variance
from blurdm_cli.networks.build import DeblurNetwork
from blurdm_cli.networks.encoder import SLOPE, LatentEncoder
from blurdm_cli.spec import ModelSpec
from blurdm_cli.training import ranks
from blurdm_cli.training.pairs import REACH

DISPLACEMENTS = (2 * REACH + 1) ** 2
"""Number of displacements in a motion's density."""


class Networks(nn.Module):
    """A model in training."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.noise_channels = spec.prior_channels
        self.network = DeblurNetwork(spec)
        self.sharp_encoder = (
            None
            if spec.prior.kind == "none"
            else LatentEncoder(spec.prior.channels, spec.prior.encoder)
        )
        self.motion_encoder = None if spec.prior.kind == "none" else _motion_encoder(spec)
        self.motion_head = (
            None if spec.prior.kind == "none" else nn.Linear(spec.prior.channels, DISPLACEMENTS)
        )

    def oracle(
        self,
        blurred: Float[Tensor, "n 3 h w"],
        sharp: Float[Tensor, "n 3 h w"],
        motion: Float[Tensor, "n side side"] | None,
    ) -> Float[Tensor, "n c"]:
        """Z_S, the prior computed from the sharp image; the model must have a prior.

        It is the sharp image's latent plus, where it is known, that of the motion: an encoder
        takes long to learn to find a path by comparing two images.
        """
        if self.sharp_encoder is None or self.motion_encoder is None:
            raise ValueError("a model without a prior has no sharp encoder")
        to_range = self.network.to_range
        latent = self.sharp_encoder(to_range(blurred), to_range(sharp)).float()
        if motion is None:
            return latent
        known = motion.sum(dim=(1, 2)) > 0
        told = self.motion_encoder(motion.sqrt().flatten(1)).float()  # all inputs have norm 1
        return latent + told * known[:, None]

    def noise(self, blurred: Float[Tensor, "n planes h w"]) -> Float[Tensor, "n c"]:
        """Fresh noise for the diffusion, one vector per image."""
        return torch.randn(len(blurred), self.noise_channels, device=blurred.device)

    def deblur(self, blurred: Float[Tensor, "n planes h w"]) -> Float[Tensor, "n 3 h w"]:
        """Restore as at inference, from fresh noise."""
        with evaluating(self):
            return self.network(blurred, self.noise(blurred))

    def motion_loss(
        self, prior: Float[Tensor, "n c"] | None, motion: Float[Tensor, "n side side"] | None
    ) -> Float[Tensor, ""] | float:
        """Cross-entropy, in nats, between the motion predicted from a prior and the true one.

        Crops with unknown motion (zeros) add nothing; nor does a model without a prior.
        """
        if self.motion_head is None or prior is None or motion is None:
            return 0.0
        told = self.motion_head(prior).float().log_softmax(dim=1)
        return -(told * motion.flatten(1)).sum(dim=1).mean()

    def freeze(self, *names: str) -> None:
        """Freeze the named modules and train all others; names that do not exist are ignored."""
        self.requires_grad_(True)
        for name, parameter in self.named_parameters():
            if any(name.startswith(f"{frozen}.") for frozen in names):
                parameter.requires_grad_(False)

    def weights(self) -> dict[str, np.ndarray]:
        """The model's parameters by name in fp16, as in the zoo, without the sharp encoder."""
        state = self.network.state_dict()
        return {name: value.detach().cpu().half().numpy() for name, value in state.items()}


class Sleepers:
    """Find the dormant units of residual blocks: those that are 0 on every input.

    Such a dead ReLU has no gradient and never learns again. Giving it new weights is the ReDo
    of Sokar et al., "The Dormant Neuron Phenomenon in Deep Reinforcement Learning", ICML 2023.
    """

    def __init__(self, networks: nn.Module) -> None:
        found = (block for block in networks.modules() if isinstance(block, ResidualBlock))
        self.blocks = [block for block in found if isinstance(block.activation, nn.ReLU)]
        self._awake: dict[nn.Module, Tensor] = {}

    @property
    def trained(self) -> list[ResidualBlock]:
        """The blocks that are trained; frozen ones keep their dormant units."""
        return [block for block in self.blocks if block.first.weight.requires_grad]

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Record which units are active while a block of code runs."""
        self._awake.clear()
        hooks = [block.first.register_forward_hook(self._see) for block in self.blocks]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def merge(self) -> None:
        """Take units that were active on any rank as active on all; all must have watched."""
        ranks.merge(self._awake.values())

    def share(self) -> float:
        """Share of all units that were dormant while watched."""
        asleep = [~awake for awake in self._awake.values()]
        return torch.cat(asleep).float().mean().item() if asleep else 0.0

    @torch.no_grad()
    def wake(self, seed: int, averages: Mapping[Tensor, Tensor]) -> None:
        """Give dormant units new weights, without changing the output for the watched inputs.

        Their input weights are drawn anew, and their output weights are set to 0: from there
        they can learn.

        Args:
            seed: seed for the new weights.
            averages: EMA of the parameters that have one. It is changed in the same way, and
                must have been watched too.
        """
        generator = torch.Generator().manual_seed(seed)
        for block in self.trained:
            asleep = ~self._awake[block.first]
            fresh = copy.deepcopy(block.first).cpu()
            keep_variance(fresh, math.sqrt(2), generator)
            first, bias, second = (
                [parameter, averages.get(parameter, parameter)]
                for parameter in (
                    block.first.weight,
                    block.first.get_parameter("bias"),
                    block.second.weight,
                )
            )
            for weight in first:
                weight[asleep] = fresh.weight.to(weight)[asleep]
            for weight in bias:
                weight[asleep] = 0
            for weight in second:
                weight[:, asleep] = 0

    def _see(self, first: nn.Module, inputs: object, outputs: Tensor) -> None:
        now = (outputs > 0).any(dim=3).any(dim=2).any(dim=0)
        self._awake[first] = self._awake.get(first, torch.zeros_like(now)) | now


def _motion_encoder(spec: ModelSpec) -> nn.Sequential:
    """Network from the square roots of a motion's density to a latent."""
    channels = spec.prior.channels
    return nn.Sequential(
        nn.Linear(DISPLACEMENTS, channels),
        nn.LeakyReLU(SLOPE),
        nn.Linear(channels, channels),
        nn.LeakyReLU(SLOPE),
    )


@contextmanager
def evaluating(networks: nn.Module) -> Iterator[None]:
    """Run a block in evaluation mode, for example without dropout."""
    before = networks.training
    networks.eval()
    try:
        yield
    finally:
        networks.train(before)
