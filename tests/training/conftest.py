from collections.abc import Iterator

import pytest
import torch
from torch.nn.functional import interpolate

from blurdm_cli.networks.unet import SIZES
from blurdm_cli.physics.diffusion import schedule
from blurdm_cli.spec import BackboneSpec, ModelSpec, PriorSpec, ScheduleSpec
from blurdm_cli.training.pairs import Batch


@pytest.fixture(autouse=True, scope="module")
def undrawn() -> Iterator[None]:
    """Curves are not drawn: that takes longer than most of these runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("blurdm_cli.training.run.find_spec", lambda name: None)
        yield


@pytest.fixture
def spec() -> ModelSpec:
    """A small model."""
    values = schedule("released", steps=3)
    return ModelSpec(
        "small",
        BackboneSpec("unet", dict(SIZES["tiny"])),
        PriorSpec("blurdm", 16, schedule=ScheduleSpec("3", values.alpha, values.beta_bar)),
        multiple_of=8,
        input_range=(-0.5, 0.5),
    )


@pytest.fixture
def photos() -> list[torch.Tensor]:
    """Photos with soft detail of several sizes, 8 bit."""
    generator = torch.Generator().manual_seed(0)
    return [
        (interpolate(noise[None], scale_factor=4, mode="bicubic")[0].clamp(0, 1) * 255).byte()
        for noise in torch.rand(3, 3, 40, 50, generator=generator)
    ]


@pytest.fixture
def batch() -> Batch:
    """Two crops and how they look out of focus, with partial exposures for three steps."""
    sharp = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    blurred = torch.nn.functional.avg_pool2d(sharp, 5, stride=1, padding=2)
    partial = torch.stack([sharp + (blurred - sharp) * t / 3 for t in range(4)])
    return Batch(blurred, sharp, partial)
