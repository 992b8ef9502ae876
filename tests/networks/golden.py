"""Weights and an image from a formula, for answers that the authors' networks gave to them."""

import torch
from torch import Tensor, nn


def set_weights(network: nn.Module) -> None:
    """Waves about zero for matrices and biases, about one for gains; each parameter its own."""
    for number, (name, parameter) in enumerate(sorted(network.named_parameters())):
        wave = torch.sin(torch.arange(parameter.numel()).double() * (1 + 0.01 * number)).float()
        wave = wave.reshape(parameter.shape)
        if parameter.ndim in (2, 4):
            values = 0.9 * wave / parameter[0].numel() ** 0.5
        else:
            values = 0.1 * wave + float(not name.endswith("bias"))
        parameter.data.copy_(values)


def image(height: int, width: int) -> Tensor:
    """One image in [0, 1]."""
    wave = torch.sin(0.37 * torch.arange(3 * height * width).double())
    return (0.5 + 0.5 * wave).float().reshape(1, 3, height, width)
