"""Small untrained models of every backbone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from blurdm_cli import zoo
from blurdm_cli.networks.build import BACKBONES, build
from blurdm_cli.networks.mimo_unet import SIZES as MIMO_SIZES
from blurdm_cli.networks.stripformer import SIZES as STRIP_SIZES
from blurdm_cli.spec import BackboneSpec, PriorSpec, ScheduleSpec

SCHEDULE = ScheduleSpec("short", (1.0, 1.5, 2.0), (0.0, 0.05, 0.1))


SMALL: dict[str, dict[str, Any]] = {
    "unet": {"widths": [8, 16], "encoder_blocks": [1], "decoder_blocks": [1, 1]},
    "mimo_unet": MIMO_SIZES["tiny"],
    "stripformer": STRIP_SIZES["tiny"] | {"pairs": [1, 0]},
    "fftformer": {"width": 8, "blocks": [1, 0, 0], "refinement_blocks": 0},
    "loformer": {
        "width": 8,
        "encoder_pairs": [0, 0, 0],
        "middle_pairs": 0,
        "decoder_pairs": [1, 0, 0],
    },
    "nafnet": {
        "width": 8,
        "encoder_blocks": [0, 0, 0, 1],
        "middle_blocks": 0,
        "decoder_blocks": [1, 0, 0, 0],
        "window": 80,
    },
}
"""Sizes of each backbone that are traced in a second."""


def model_of(
    folder: Path, backbone: str, prior: PriorSpec, *, candidates: bool = False
) -> zoo.Model:
    """An untrained model whose output is not its input, and that takes its authors' sizes."""
    import torch

    kind = BACKBONES[backbone]
    spec = kind.spec("small", BackboneSpec(backbone, SMALL[backbone]), prior)
    multiple_of = kind.original_multiple_of or spec.multiple_of
    unlike_smallest = 80 if multiple_of == 16 else 64
    spec = replace(
        spec,
        multiple_of=multiple_of,
        tile=max(unlike_smallest, multiple_of),
        halo=8,
        candidates=candidates,
    )
    torch.manual_seed(0)
    state = build(spec).state_dict()
    weights = {k: (v + 0.02 * torch.randn_like(v)).numpy() for k, v in state.items()}
    return zoo.write(folder / "small", spec, weights, "a card")
