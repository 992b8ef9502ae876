"""Fusion of the network's own picture and the candidates, weighed for each pixel.

    blurred, candidates ── backbone ─┬─ own picture ──┐
                                     ├─ three weights ┼─ weighted sum ── + change ── restored
                           candidates ────────────────┘

A deconvolved photo is sharp but rings; where its kernel is wrong, it is worse than the blurred
one. The backbone sees both, the confidence of the estimator and the residual of the kernel, and
weighs them. Untrained, it uses its own picture nearly everywhere.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from blurdm_cli.spec import CANDIDATE_PLANES

OUTPUTS = 6
"""Output planes of a backbone besides its own picture: three weights, and a change."""

LEAD = 3.0
"""Added to the weight of the own picture before the softmax."""


def backbone_input(
    images: Float[Tensor, "n planes h w"], low: float, span: float
) -> Float[Tensor, "n planes h w"]:
    """The backbone's input: the blurred image in its range, candidates as differences from it."""
    blurred, linear, encoded, facts = images.split((3, 3, 3, CANDIDATE_PLANES - 6), dim=1)
    differences = ((linear - blurred) * span, (encoded - blurred) * span)
    return torch.cat([blurred * span + low, *differences, facts], dim=1)


def fuse(
    own: Float[Tensor, "n 3 h w"],
    outputs: Float[Tensor, "n 6 h w"],
    images: Float[Tensor, "n planes h w"],
) -> Float[Tensor, "n 3 h w"]:
    """Weigh the own picture and the candidates, and add the change.

    Args:
        own: the backbone's picture, in [0, 1].
        outputs: the backbone's other outputs.
        images: blurred image and candidates, in [0, 1].
    """
    lead = own.new_tensor([LEAD, 0, 0])[:, None, None]
    shares = torch.softmax(outputs[:, :3].float() + lead, dim=1)
    chosen = shares[:, :1] * own + shares[:, 1:2] * images[:, 3:6] + shares[:, 2:] * images[:, 6:9]
    return chosen + outputs[:, 3:]


def widened(state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Widen the weights of a narrower network to the state of `network`.

    The narrower network's inputs and outputs come first; weights of additional ones start at zero.
    New layers keep the weights that `network` has.
    """
    result = dict(network.state_dict())
    for name, value in state.items():
        padded = torch.zeros_like(result[name])
        padded[tuple(slice(extent) for extent in value.shape)] = value.to(padded)
        result[name] = padded
    return result
