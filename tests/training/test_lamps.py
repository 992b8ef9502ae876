import numpy as np
import torch

from blurdm_cli.training.lamps import DARKNESS, STRENGTHS, at_night


def test_lamps_exceed_white_in_a_dark_scene() -> None:
    scene = torch.full((3, 64, 96), 0.5)
    for seed in range(20):
        night = at_night(scene, np.random.default_rng(seed))
        assert night.shape == scene.shape
        assert night.dtype == torch.float32
        assert 0.5 * DARKNESS[0] <= night.min() + 1e-6
        assert night.median() <= 0.5 * DARKNESS[1] + 0.03 * STRENGTHS[1]
        assert night.max() > 0.9
    assert scene.eq(0.5).all()


def test_a_seed_decides_everything() -> None:
    scene = torch.rand(3, 40, 40, generator=torch.Generator().manual_seed(0))
    one, same, other = (at_night(scene, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
