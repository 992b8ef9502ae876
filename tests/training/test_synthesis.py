from dataclasses import replace

import numpy as np
import pytest
import torch

from blurdm_cli.errors import TrainingError
from blurdm_cli.training import synthesis
from blurdm_cli.training.synthesis import Synthesis, synthesise

CLEAN = Synthesis(noise_share=0.0, jpeg_share=0.0, highlight_share=0.0)


@pytest.mark.parametrize(("reach", "longest"), [(1.0, 40.0), (0.25, 10.0)])
def test_blurs_are_as_long_as_they_may_be_and_no_longer(reach: float, longest: float) -> None:
    rng = np.random.default_rng(0)
    lengths = np.array([synthesis._length(CLEAN, rng, reach) for _ in range(3000)])
    assert 0.95 * longest < lengths.max() <= longest
    assert 0.12 < (lengths < 1).mean() < 0.18
    moved = lengths[lengths >= 1]
    assert abs(np.median(moved) - (1 + longest) / 2) < 0.04 * longest


@pytest.mark.parametrize(("height", "width"), [(96, 131), (101, 70)])
def test_a_whole_photo_loses_its_margins_and_is_blurred(height: int, width: int) -> None:
    photo, other = (
        torch.randint(256, (3, *s), dtype=torch.uint8) for s in ((height, width), (50, 80))
    )
    recipe = replace(CLEAN, sharp_share=0.0, object_share=0.5)
    made = [synthesise(photo, other, recipe, np.random.default_rng(seed)) for seed in range(8)]
    for blurred, sharp in made:
        assert blurred.shape == sharp.shape == (3, height // 2 * 2 - 64, width // 2 * 2 - 64)
    kept = [(blurred.float().std() / sharp.float().std()).item() for blurred, sharp in made]
    assert np.mean(kept) < 0.8
    assert max(kept) < 1.05


def test_a_photo_no_larger_than_its_margins_is_refused() -> None:
    photo = torch.zeros(3, 64, 200, dtype=torch.uint8)
    with pytest.raises(TrainingError, match="too small"):
        synthesise(photo, photo, CLEAN, np.random.default_rng(0))


def test_frames_are_averaged_as_they_are_encoded() -> None:
    """Light that is added up looks brighter than the average of what is encoded."""
    photo = torch.randint(2, (3, 1, 192), dtype=torch.uint8).mul(255).expand(3, 192, 192)
    means = {}
    for share in (0.0, 1.0):
        recipe = replace(CLEAN, sharp_share=0.0, object_share=0.0, frames_share=share)
        pairs = [synthesise(photo, photo, recipe, np.random.default_rng(n)) for n in range(12)]
        means[share] = np.mean([(b.float().mean() - s.float().mean()).item() for b, s in pairs])
    assert abs(means[1.0]) < 5 < 20 < means[0.0]
