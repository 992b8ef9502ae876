"""Scenes at night: lamps that are brighter than what a sensor holds, in dark surroundings."""

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

DARKNESS = 0.05, 0.5
"""Share of a scene's light that is left at night, at least and at most."""

MOST = 25
"""Lamps of a scene; few are as likely as many."""

RADII = 0.7, 6.0
"""Radius of a lamp in pixels."""

STRENGTHS = 1.5, 60.0
"""Light of a lamp; white is 1."""

LONGEST = 2.0
"""Height of a lamp as a multiple of its width, at most; or its share, at least."""

GLOW = 0.03
"""Light of the glow at a lamp's edge, as a share of the lamp's, at most."""

REACH = 12
"""Radii that the glow is drawn to."""

WARM_SHARE = 0.7
WARM, COLD = (0.0, 0.45, 1.0), (0.6, 0.2, 0.0)
"""Red, green and blue that warm and cold lamps lack, relative to each other."""

TINT = 0.7
"""Share of a colour that they lack, at most."""


def at_night(light: Float[Tensor, "3 h w"], rng: np.random.Generator) -> Float[Tensor, "3 h w"]:
    """A scene in linear light as it is at night: dark, with lamps."""
    image = light.numpy() * np.float32(_between(rng, DARKNESS))
    for _ in range(int(_between(rng, (1, MOST + 1)))):
        _add_lamp(image, rng)
    return torch.from_numpy(image)


def _add_lamp(image: Float32[np.ndarray, "3 h w"], rng: np.random.Generator) -> None:
    """Add the light of a lamp at a random place: an ellipse with a soft edge, and a glow."""
    radius, strength = _between(rng, RADII), _between(rng, STRENGTHS)
    reach = int(REACH * radius) + 2
    middle = [rng.uniform(0, side) for side in image.shape[1:]]
    spans = [
        slice(max(int(at) - reach, 0), min(int(at) + reach, side))
        for at, side in zip(middle, image.shape[1:], strict=True)
    ]
    down, right = (
        np.arange(span.start, span.stop) - at for span, at in zip(spans, middle, strict=True)
    )
    far = np.hypot(down[:, None] * _between(rng, (1 / LONGEST, LONGEST)), right)
    shape = np.clip(radius + 0.5 - far, 0, 1) + rng.uniform(0, GLOW) * np.exp(-far / (2 * radius))
    lacking = np.array(WARM if rng.random() < WARM_SHARE else COLD)
    colour = strength * (1 - rng.uniform(0, TINT) * lacking)
    image[:, spans[0], spans[1]] += np.multiply.outer(colour, shape)


def _between(rng: np.random.Generator, limits: tuple[float, float]) -> float:
    """A random number whose logarithm is as likely everywhere between the limits'."""
    return float(np.exp(rng.uniform(*np.log(limits))))
