import pytest
import torch

from blurdm_cli.physics.diffusion import (
    SCHEDULES,
    ExposureSchedule,
    diffuse,
    sample,
    schedule,
    undiffuse,
)

TABLE = {
    "paper": (0, 0.005000, 0.010915, 0.017864, 0.025661),
    "released": (0, 0.060609, 0.102317, 0.141857, 0.180278),
}
"""β̄_1 … β̄_5, as published and as the authors' code has them."""


def state(steps: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(steps)
    z_0, eps = torch.randn(2, 3, 8, dtype=torch.float64, generator=generator)
    e = torch.rand(steps, 3, 8, dtype=torch.float64, generator=generator)
    return z_0, e, eps


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 5, 10])
def test_true_residuals_lead_back_to_the_start(name: str, steps: int) -> None:
    z_0, e, eps = state(steps)
    chosen = schedule(name, steps)
    z_T = diffuse(z_0, e, eps, steps, chosen)

    found = sample(z_T, z_0, lambda z, t, c: e[t - 1], lambda z, t, c: eps, chosen)

    assert (found - z_0).abs().max() < 1e-12


@pytest.mark.parametrize("name", SCHEDULES)
def test_each_reverse_step_reaches_the_forward_state_before_it(name: str) -> None:
    z_0, e, eps = state(5)
    chosen = schedule(name)
    for t in range(1, 6):
        z_t = diffuse(z_0, e, eps, t, chosen)
        before = undiffuse(z_t, e[t - 1], eps, t, chosen)
        assert (before - diffuse(z_0, e, eps, t - 1, chosen)).abs().max() < 1e-12


def test_an_error_in_one_residual_comes_out_divided_by_the_first_exposure() -> None:
    z_0, e, eps = state(5)
    chosen = ExposureSchedule((0.5, 0.6, 0.7, 0.8, 0.9, 1.0), schedule("paper").beta_bar)
    z_T = diffuse(z_0, e, eps, 5, chosen)
    wrong = e.clone()
    wrong[2] += 0.25

    found = sample(z_T, z_0, lambda z, t, c: wrong[t - 1], lambda z, t, c: eps, chosen)

    torch.testing.assert_close(found, z_0 - 0.25 / 0.5, atol=1e-12, rtol=0)


def test_a_still_scene_without_noise_is_the_same_at_every_step() -> None:
    z_0 = state(5)[0]
    chosen = schedule("paper")
    e = torch.stack([(b - a) * z_0 for a, b in zip(chosen.alpha, chosen.alpha[1:], strict=False)])
    for t in range(6):
        torch.testing.assert_close(diffuse(z_0, e, 0 * z_0, t, chosen), z_0)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_have_the_published_values(name: str) -> None:
    found = schedule(name)
    assert found.alpha == pytest.approx((1, 1.2, 1.4, 1.6, 1.8, 2))
    assert found.beta_bar[1:] == pytest.approx(TABLE[name], abs=1e-6)
    assert found.beta_bar[0] == 0


@pytest.mark.parametrize(
    ("alpha", "beta_bar"),
    [
        ((1.0, 2.0), (0.0,)),
        ((0.0, 1.0), (0.0, 0.1)),
        ((2.0, 1.0), (0.0, 0.1)),
        ((1.0, 2.0), (0.1, 0.1)),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(
    alpha: tuple[float, ...], beta_bar: tuple[float, ...]
) -> None:
    with pytest.raises(ValueError, match=r"exposures|beta_bar"):
        ExposureSchedule(alpha, beta_bar)


@pytest.mark.parametrize(("name", "steps"), [("cosine", 5), ("paper", 0)])
def test_an_unknown_schedule_is_refused(name: str, steps: int) -> None:
    with pytest.raises(ValueError, match="known: paper, released"):
        schedule(name, steps)
