"""Small checkpoints in the formats of their authors, and what they compute."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d, leaky_relu, linear, pixel_unshuffle

from blurdm_cli.networks import mimo_unet
from blurdm_cli.physics.diffusion import schedule

SMALL_NAFNET = {"width": 4, "encoder_blocks": [2, 1], "middle_blocks": 1, "decoder_blocks": [1, 1]}
PRIOR_CHANNELS = 16


def nafnet_checkpoint() -> dict[str, Tensor]:
    """Random weights under the names that NAFNet's authors gave them."""
    shapes = {"intro": (4, 3, 3, 3), "ending": (3, 4, 3, 3)}
    shapes |= {f"downs.{level}": (8 << level, 4 << level, 2, 2) for level in (0, 1)}
    blocks = ["encoders.0.0", "encoders.0.1", "encoders.1.0", "middle_blks.0"]
    blocks += ["decoders.0.0", "decoders.1.0"]
    random = torch.Generator().manual_seed(0)
    state: dict[str, Tensor] = {}
    for block, c in zip(blocks, (4, 4, 8, 16, 8, 4), strict=True):
        shapes |= {
            f"{block}.conv1": (2 * c, c, 1, 1),
            f"{block}.conv2": (2 * c, 1, 3, 3),
            f"{block}.conv3": (c, c, 1, 1),
            f"{block}.sca.1": (c, c, 1, 1),
            f"{block}.conv4": (2 * c, c, 1, 1),
            f"{block}.conv5": (c, c, 1, 1),
            f"{block}.norm1": (c,),
            f"{block}.norm2": (c,),
        }
        state |= {f"{block}.{name}": torch.randn(1, c, 1, 1) for name in ("beta", "gamma")}
    for name, shape in shapes.items():
        state[f"{name}.weight"] = 0.3 * torch.randn(shape, generator=random)
        state[f"{name}.bias"] = 0.3 * torch.randn(shape[0], generator=random)
    for place, c in enumerate((16, 8)):
        state[f"ups.{place}.0.weight"] = 0.3 * torch.randn(2 * c, c, 1, 1, generator=random)
    return state


def mimo_checkpoint(prior_channels: int) -> dict[str, Tensor]:
    """Random weights of the tiny MIMO-UNet under its authors' names."""
    network = mimo_unet.MimoUNet(prior_channels, **mimo_unet.SIZES["tiny"])
    state = {}
    for name, value in network.state_dict().items():
        part, _, rest = name.partition(".")
        number, _, last = rest.partition(".")
        if part == "stem":
            original = f"feat_extract.0.main.0.{rest}"
        elif part in ("down", "up"):
            original = f"feat_extract.{int(number) + (1 if part == 'down' else 3)}.main.0.{last}"
        elif part == "head":
            original = f"ConvsOut.{number}.main.0.{last}"
            original = original if number != "2" else f"feat_extract.5.main.0.{last}"
        elif part == "join":
            original = f"Convs.{number}.main.0.{last}"
        elif part == "mix":
            place, _, end = last.partition(".")
            original = f"AFFs.{number}.conv.{int(place) // 2}.main.0.{end}"
        elif part == "fusion":
            original = f"Decoder.{number}.kv.{last.removeprefix('to_scale_shift.')}"
        elif part == "gate":
            original = gate_name(2 - int(number), last)
        else:
            block = last.replace(".first.", ".main.0.main.0.").replace(
                ".second.", ".main.1.main.0."
            )
            original = f"{part.capitalize()}.{number}.layers.{block}"
        state[original] = torch.randn_like(value)
    assert len(state) == len(network.state_dict())
    return state


def gate_name(number: int, ours: str) -> str:
    part, _, rest = ours.partition(".")
    if part == "see":
        place, _, end = rest.partition(".")
        return f"SCM{number}.main.{int(place) // 2}.main.0.{end}"
    module, layer = ("FAM", "merge") if part == "merge" else ("SCM", "conv")
    return f"{module}{number}.{layer}.main.0.{rest}"


def prior_checkpoint(channels: int = PRIOR_CHANNELS) -> dict[str, Tensor]:
    """Random weights of BlurDM under its authors' names, with the schedule that they keep."""
    sizes = [(64, 96), *[(64, 64)] * 12, (128, 64), (128, 128), (channels, 128)]
    places = ["0", *(f"{block}.body.{half}" for block in range(2, 8) for half in (0, 2))]
    places += ["8", "10", "12"]
    state: dict[str, Tensor] = {}

    def add(name: str, *shape: int) -> None:
        state[f"{name}.weight"] = torch.randn(shape) * shape[1] ** -0.5 / len(shape)
        state[f"{name}.bias"] = 0.1 * torch.randn(shape[0])

    for place, (outputs, inputs) in zip(places, sizes, strict=True):
        add(f"condition_encoder.E.{place}", outputs, inputs, 3, 3)
    for place in (0, 2):
        add(f"condition_encoder.mlp.{place}", channels, channels)
    for model in ("lcr_model", "noise_model"):
        add(f"{model}.resmlp.0", channels, 2 * channels + 1)
        for layer in range(2, 7):
            add(f"{model}.resmlp.{layer}.resmlp.0", channels, channels)
    values = schedule("released")
    state["alphas"] = torch.tensor(values.alpha)
    state["betas_bar"] = torch.tensor(values.beta_bar[1:])
    state["time_stamps_list"] = torch.arange(5, 0, -1)
    return state


def saved(folder: Path, content: Any, name: str = "weights.pth") -> Path:
    torch.save(content, folder / name)
    return folder / name


def original_prior(state: dict[str, Tensor], x: Tensor, eps: Tensor) -> Tensor:
    """The prior of an image in the words of BlurDM's Section 3, with no code of ours."""

    def layer(function: Callable[..., Tensor], name: str, x: Tensor, **options: int) -> Tensor:
        return function(x, state[f"{name}.weight"], state[f"{name}.bias"], **options)

    encoder = "condition_encoder"
    x = pixel_unshuffle(torch.cat([x, x], dim=1), 4)
    x = leaky_relu(layer(conv2d, f"{encoder}.E.0", x, padding=1), 0.1)
    for block in range(2, 8):
        inner = leaky_relu(layer(conv2d, f"{encoder}.E.{block}.body.0", x, padding=1), 0.1)
        x = x + layer(conv2d, f"{encoder}.E.{block}.body.2", inner, padding=1)
    for place in (8, 10, 12):
        x = leaky_relu(layer(conv2d, f"{encoder}.E.{place}", x, padding=1), 0.1)
    condition = x.mean(dim=(2, 3))
    for place in (0, 2):
        condition = leaky_relu(layer(linear, f"{encoder}.mlp.{place}", condition), 0.1)

    def estimate(model: str, z: Tensor, t: int) -> Tensor:
        z = torch.cat([condition, torch.full((1, 1), t / 5), z], dim=1)
        z = leaky_relu(layer(linear, f"{model}.resmlp.0", z), 0.1)
        for place in range(2, 7):
            z = leaky_relu(layer(linear, f"{model}.resmlp.{place}.resmlp.0", z), 0.1)
        return z

    alpha, beta_bar = state["alphas"], [torch.tensor(0.0), *state["betas_bar"]]
    z = condition + beta_bar[5] * eps
    for t in range(5, 0, -1):
        noise_share = alpha[t] * beta_bar[t] / alpha[t - 1] - beta_bar[t - 1]
        e_t, noise = estimate("lcr_model", z, t), estimate("noise_model", z, t)
        z = (alpha[t] * z - e_t) / alpha[t - 1] - noise_share * noise
    return z
