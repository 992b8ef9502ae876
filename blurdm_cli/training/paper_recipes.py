"""Training recipes of each backbone's authors, for `blurdm train --recipe paper`.

Steps are epochs over the 2,103 pairs of GoPro's training set, or iterations where the authors
count those. BlurDM's own numbers (He et al., NeurIPS 2025) are known for MIMO-UNet+: stages 1
and 3 of 3000 epochs, stage 2 of 500. For the others stage 2 is as long, and stages 1 and 3
follow the backbone's authors. docs/backbones.md lists the differences.
"""

from math import pi
from typing import Any

GOPRO_PAIRS = 2103

LEFT_ALONE: dict[str, Any] = {
    "growth": 0.0,
    "prior_rate": 1.0,
    "ema_decay": 0.0,
    "gradient_clip": 1e6,
    "motion_weight": 0.0,
    "full_rate_inputs": 0,
}
"""No curriculum of blurs, no average of weights, no clipping with any effect, no motion loss,
and one learning rate for all layers."""

PARTS_OF_MODULUS = 2 / pi
"""Mean magnitude of a coefficient's real and imaginary parts, as a share of its modulus."""


def _epochs(count: int, batch: int) -> int:
    return round(count * GOPRO_PAIRS / batch)


def _stages(image: dict[str, Any], last: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """Recipes of all stages: 1 and 3 from `image`, 3 with the changes of `last`, and 2 between."""
    image = LEFT_ALONE | image
    shared = ("batch", "crop", "learning_rate", "weight_decay", *LEFT_ALONE)
    return {
        "stage1": image,
        "stage2": {name: image[name] for name in shared} | {"steps": _epochs(500, image["batch"])},
        "stage3": image | (last or {}),
    }


PUBLISHED: dict[str, dict[str, dict[str, Any]]] = {
    # BlurDM's code: Charbonnier at three sizes + 0.1 of the same on Fourier coefficients
    "mimo_unet": _stages(
        {
            "steps": _epochs(3000, 20),
            "batch": 20,
            "crop": 256,
            "learning_rate": 1e-4,
            "weight_decay": 0.0,
            "frequency_weight": 0.1 * 256,
        }
    ),
    # Stripformer's configs: 3000 epochs of 256 pixels, then 1000 of 512
    "stripformer": _stages(
        {
            "steps": _epochs(3000, 8),
            "batch": 8,
            "crop": 256,
            "learning_rate": 1e-4,
            "weight_decay": 0.0,
            "frequency_weight": 0.0,
            "edge_weight": 0.05,
        },
        {"steps": _epochs(1000, 8), "crop": 512},
    ),
    # FFTformer's options/train/GoPro.yml: 8 cards with 8 crops each
    "fftformer": _stages(
        {
            "steps": 300_000,
            "batch": 64,
            "crop": 128,
            "learning_rate": 1e-3,
            "weight_decay": 1e-3,
            "pixel_loss": "l1",
            "frequency_weight": 0.1 * 128 * PARTS_OF_MODULUS,
        }
    ),
    # LoFormer's Options/train_GoPro_LoformerSmall: the fourth of its six crop sizes, 8 cards
    "loformer": _stages(
        {
            "steps": 600_000,
            "batch": 16,
            "crop": 256,
            "learning_rate": 3e-4,
            "weight_decay": 1e-4,
            "gradient_clip": 0.01,
            "pixel_loss": "l1",
            "frequency_weight": 0.01 * 256,
        }
    ),
    # NAFNet's options/train/GoPro: 8 cards with 8 crops each
    "nafnet": _stages(
        {
            "steps": 400_000,
            "batch": 64,
            "crop": 256,
            "learning_rate": 1e-3,
            "weight_decay": 1e-3,
            "pixel_loss": "psnr",
            "frequency_weight": 0.0,
        }
    ),
}
"""Fields of the recipes, by backbone and stage."""
