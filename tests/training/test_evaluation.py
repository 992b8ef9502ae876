import numpy as np
import pytest
import torch
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample, interpolate

from blurdm_cli.training import evaluation
from blurdm_cli.training.metrics import psnr


def soft_photo(side: int = 96) -> torch.Tensor:
    noise = torch.rand(1, 3, side // 6, side // 6, generator=torch.Generator().manual_seed(0))
    return interpolate(noise, size=(side, side), mode="bicubic").clamp(0, 1)


@pytest.mark.parametrize(("down", "right"), [(17, -22), (0, 0), (3, -2), (1, 4)])
def test_a_photo_that_was_moved_is_moved_back(down: int, right: int) -> None:
    wanted = soft_photo()
    moved, shift = evaluation.best_shift(wanted.roll((-down, -right), dims=(2, 3)), wanted)
    assert shift == pytest.approx((down, right), abs=0.13)
    inside = (..., evaluation.INNER, evaluation.INNER)
    assert (moved - wanted)[inside].abs().max() < 0.02


def test_half_a_pixel_is_found_too() -> None:
    fine = soft_photo(192)
    wanted, moved = avg_pool2d(fine, 2), avg_pool2d(fine.roll(-1, dims=3), 2)
    _, shift = evaluation.best_shift(moved, wanted)
    assert shift == pytest.approx((0, 0.5), abs=0.13)


@pytest.mark.parametrize("align", ["none", "shift", "homography"])
def test_scores_of_a_model_that_changes_nothing(align: evaluation.Align) -> None:
    sharp = (soft_photo()[0] * 255).byte()
    blurred = torch.where(sharp > 100, sharp - 10, sharp + 10)
    ((scores, _),) = evaluation.evaluate(np.copy, [("a", (blurred, sharp))], align=align)

    tolerance = 1.0 if align == "homography" else 0.01  # it moves the photo a little
    assert scores.psnr_blurred == pytest.approx(20 * np.log10(255 / 10), abs=tolerance)
    assert scores.psnr_restored == scores.psnr_blurred
    assert scores.ssim_restored == scores.ssim_blurred
    assert scores.psnr_sharp == 100


def scores_with(*gains: float) -> list[evaluation.Scores]:
    return [
        evaluation.Scores(f"{number}", 20.0, 20 + gain, 0.5, 0.6, 0.7, 0.8, 50.0, gain, 3.0)
        for number, gain in enumerate(gains)
    ]


def test_the_mean_is_of_each_figure() -> None:
    mean = evaluation.mean(scores_with(1.0, 3.0))
    assert mean == evaluation.Scores("mean", 20, 22, 0.5, 0.6, 0.7, 0.8, 50, 2, 3)
    assert mean.gain == 2


def test_the_interval_is_two_standard_errors_wide_each_way() -> None:
    gains = np.random.default_rng(0).normal(1.0, 0.5, 400)
    low, high = evaluation.interval(scores_with(*gains))
    error = gains.std() / np.sqrt(len(gains))
    assert (low, high) == pytest.approx(gains.mean() + np.array([-1.96, 1.96]) * error, abs=0.01)
    assert evaluation.interval(scores_with(0.7)) == pytest.approx((0.7, 0.7))


def test_a_shift_counts_only_in_the_gain_that_is_not_aligned() -> None:
    sharp = (soft_photo()[0] * 255).byte()
    pairs = [("a", (sharp, sharp))]
    moved = lambda photo: np.roll(photo, 6, axis=1)  # noqa: E731
    ((scores, restored),) = evaluation.evaluate(moved, pairs, align="shift")
    assert scores.gain == pytest.approx(0, abs=0.1)
    assert scores.gain_unaligned < -50
    assert torch.equal(restored, sharp.roll(6, dims=2))


def test_a_photo_that_was_warped_is_warped_back() -> None:
    """Turned by half a degree and moved by a pixel: PSNR rises by 10 dB inside the photo."""
    wanted = soft_photo(144)
    angle = np.deg2rad(0.5)
    turn = [[np.cos(angle), -np.sin(angle), 0.02], [np.sin(angle), np.cos(angle), 0]]
    grid = affine_grid(
        torch.tensor([turn], dtype=torch.float32), [1, 3, 144, 144], align_corners=False
    )
    found = grid_sample(wanted, grid, padding_mode="reflection", align_corners=False)
    moved, inside = evaluation.best_homography(found, wanted)
    gained = psnr(moved, wanted, inside) - psnr(found, wanted, inside)
    assert gained.item() > 10
    assert 0.9 < inside.float().mean() < 1


@pytest.mark.parametrize("align", ["none", "shift", "homography", "realblur"])
def test_the_smallest_photo_that_can_be_scored_is_scored(align: evaluation.Align) -> None:
    side = evaluation.smallest(align)
    photo = (soft_photo()[0, :, :side, :side] * 255).byte()
    ((scores, _),) = evaluation.evaluate(np.copy, [("a", (photo, photo))], align=align)
    assert scores.ssim_restored == pytest.approx(1)


def test_realblur_s_score_does_not_see_the_exposure() -> None:
    wanted = soft_photo()
    dim = 0.8 * wanted
    plain = evaluation.score(dim, wanted, "homography")[0]
    matched = evaluation.score(dim, wanted, "realblur")[0]
    assert matched > 60 > 30 > plain
