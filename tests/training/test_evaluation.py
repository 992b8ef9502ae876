import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d, interpolate

from blurdm_cli.training import evaluation


def soft_photo(side: int = 96) -> torch.Tensor:
    noise = torch.rand(1, 3, side // 6, side // 6, generator=torch.Generator().manual_seed(0))
    return interpolate(noise, size=(side, side), mode="bicubic").clamp(0, 1)


@pytest.mark.parametrize(("down", "right"), [(0, 0), (3, -2), (1, 4)])
def test_a_photo_that_was_moved_is_moved_back(down: int, right: int) -> None:
    wanted = soft_photo()
    moved, shift = evaluation.best_shift(wanted.roll((-down, -right), dims=(2, 3)), wanted)
    assert shift == pytest.approx((down, right), abs=0.13)
    inside = (..., slice(6, -6), slice(6, -6))
    assert (moved - wanted)[inside].abs().max() < 0.02


def test_half_a_pixel_is_found_too() -> None:
    fine = soft_photo(192)
    wanted, moved = avg_pool2d(fine, 2), avg_pool2d(fine.roll(-1, dims=3), 2)
    _, shift = evaluation.best_shift(moved, wanted)
    assert shift == pytest.approx((0, 0.5), abs=0.13)


@pytest.mark.parametrize("align", [False, True])
def test_scores_of_a_model_that_changes_nothing(align: bool) -> None:
    sharp = (soft_photo()[0] * 255).byte()
    blurred = torch.where(sharp > 100, sharp - 10, sharp + 10)
    (scores,) = evaluation.evaluate(np.copy, {"a": (blurred, sharp)}, align=align)

    assert scores.psnr_blurred == pytest.approx(20 * np.log10(255 / 10), abs=0.01)
    assert scores.psnr_restored == scores.psnr_blurred
    assert scores.ssim_restored == scores.ssim_blurred
    assert scores.psnr_sharp == 100


def test_the_mean_is_of_each_figure() -> None:
    rows = [evaluation.Scores(name, v, v + 1, v, v, 2 * v) for name, v in (("a", 1.0), ("b", 3.0))]
    assert evaluation.mean(rows) == evaluation.Scores("mean", 2.0, 3.0, 2.0, 2.0, 4.0)
