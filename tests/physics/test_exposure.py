import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d

from blurdm_cli.physics.exposure import MovingObjects, average, expose, masks, random_outline
from blurdm_cli.physics.trajectory import Trajectory, random_trajectory

STILL = np.zeros(4)


def sweep(right: float = 0.0, down: float = 0.0) -> Trajectory:
    return Trajectory(np.array([right, down, 0.0, 0.0]), STILL, np.zeros((2, 4, 4)))


def picture(
    image: torch.Tensor,
    path: Trajectory,
    size: tuple[int, int],
    thing: MovingObjects | None = None,
    **options: int,
) -> torch.Tensor:
    """I_0 … I_T of one scene."""
    return expose(image[None], [path], size, things=thing, **options)[:, 0]


def scene(side: int = 96) -> torch.Tensor:
    return torch.rand(3, side, side, generator=torch.Generator().manual_seed(0))


def test_a_still_scene_stays_sharp() -> None:
    exposures = picture(scene(), sweep(), (64, 64), steps=5)
    assert (exposures[0] == scene()[:, 16:80, 16:80]).all()
    torch.testing.assert_close(exposures, exposures[:1].expand(6, -1, -1, -1), atol=1e-5, rtol=0)


def test_a_straight_sweep_is_a_box_blur() -> None:
    image = avg_pool2d(scene(96)[None], 3, stride=1, padding=1)[0]  # less to interpolate
    blurred = picture(image, sweep(right=9.0), (64, 64))[-1]
    box = avg_pool2d(image[None], (1, 9), stride=1)[0][:, 16:80, 12:76]
    assert (blurred - box).abs().mean() < 0.01
    assert (blurred - image[:, 16:80, 16:80]).abs().mean() > 0.05


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_no_interval_of_the_exposure_gathers_less_than_no_light(steps: int) -> None:
    path = random_trajectory(np.random.default_rng(1), 24.0, 32.0)
    exposures = picture(scene(), path, (64, 64), steps=steps)
    light = exposures[1:] * torch.arange(1, steps + 1)[:, None, None, None]
    intervals = torch.diff(light, dim=0, prepend=torch.zeros_like(light[:1]))
    assert intervals.min() > -1e-5
    assert intervals.max() < 1 + 1e-5


def test_the_blurred_image_does_not_depend_on_the_number_of_partial_exposures() -> None:
    path = random_trajectory(np.random.default_rng(1), 24.0, 32.0)
    once, parts = (picture(scene(), path, (64, 64), steps=steps)[-1] for steps in (1, 5))
    assert (once - parts).abs().mean() < 0.005


def test_longer_exposures_are_blurrier() -> None:
    path = random_trajectory(np.random.default_rng(1), 24.0, 32.0)
    exposures = picture(scene(), path, (64, 64), steps=5)
    detail = exposures.diff(dim=-1).abs().mean(dim=(1, 2, 3))
    assert (detail.diff() < 0).all()


def test_flat_light_stays_flat() -> None:
    flat = torch.full((3, 96, 96), 0.3)
    path = random_trajectory(np.random.default_rng(2), 40.0, 32.0)
    torch.testing.assert_close(
        picture(flat, path, (64, 64), steps=3), torch.full((4, 3, 64, 64), 0.3)
    )


def test_with_a_camera_that_stands_only_the_object_is_blurred() -> None:
    mask = torch.zeros(1, 96, 96)
    mask[:, 40:56, 40:56] = 1
    thing = MovingObjects(1 - scene()[None], mask[None], [sweep(right=12.0)])

    first, last = picture(scene(), sweep(), (64, 64), thing=thing)[[0, -1]]

    changed = (first - last).abs().amax(dim=0) > 1e-4
    assert changed[24:40, 17:47].float().mean() > 0.9
    changed[22:42, 15:49] = False
    assert not changed.any()


def test_masks_are_soft_and_cover_part_of_the_picture() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        [mask] = masks([random_outline(rng)], torch.zeros(1, 3, 64, 64))
        assert 0 <= mask.min() < 0.1
        assert 0.9 < mask.max() <= 1
        assert ((mask > 0.1) & (mask < 0.9)).float().mean() > 0.01
        assert 0.02 < mask.mean() < 0.9


def test_the_average_of_frames_is_their_mean() -> None:
    frames = torch.stack([scene(), 1 - scene()])
    torch.testing.assert_close(average(frames), torch.full((3, 96, 96), 0.5))


@pytest.mark.parametrize("side", [95, 98])
def test_margins_that_are_no_whole_pixels_are_refused(side: int) -> None:
    with pytest.raises(ValueError, match="from scenes of"):
        picture(scene(96), sweep(), (side, side))


def test_a_wide_picture_holds_the_square_one_in_its_middle() -> None:
    """For shifts alone; what turns, turns about the middle of the picture."""
    image = torch.rand(3, 96, 160, generator=torch.Generator().manual_seed(0))
    wide = picture(image, sweep(right=7.0, down=3.0), (64, 128), steps=2)
    square = picture(image, sweep(right=7.0, down=3.0), (64, 64), steps=2)
    assert wide.shape == (3, 3, 64, 128)
    torch.testing.assert_close(wide[..., 32:96], square, atol=1e-4, rtol=0)


@pytest.mark.parametrize("steps", [1, 3])
def test_scenes_are_exposed_together_as_each_alone(steps: int) -> None:
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    paths = [random_trajectory(rng, length, 32.0) for length in (4.0, 30.0, 0.0, 12.0)]
    own = [random_trajectory(rng, length, 32.0) for length in (20.0, 1.0, 9.0, 0.0)]
    scenes, light = torch.rand(2, 4, 3, 96, 96, generator=generator)
    mask = masks([random_outline(rng) for _ in paths], scenes)
    together = expose(scenes, paths, (64, 64), things=MovingObjects(light, mask, own), steps=steps)
    for n in range(4):
        thing = MovingObjects(light[n : n + 1], mask[n : n + 1], own[n : n + 1])
        alone = picture(scenes[n], paths[n], (64, 64), thing, steps=steps)
        torch.testing.assert_close(together[:, n], alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("frames", [3, 7, 13])
def test_an_average_of_an_odd_number_of_frames_has_the_sharp_one_in_its_middle(frames: int) -> None:
    """All instants lie whole pixels from the middle one, as many on each side."""
    image = scene()
    blurred = expose(image[None], [sweep(right=float(frames))], (64, 64), frames=[frames])[-1, 0]
    half = frames // 2
    seen = [image[:, 16:80, 16 + shift : 80 + shift] for shift in range(-half, half + 1)]
    torch.testing.assert_close(blurred, torch.stack(seen).mean(dim=0), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("frames", "counted"), [(7, 6), (13, 12), (2, 6)])
def test_partial_exposures_share_out_no_more_frames_than_there_are(
    frames: int, counted: int
) -> None:
    path = sweep(right=40.0)
    some = expose(scene()[None], [path], (64, 64), steps=3, frames=[frames])[-1, 0]
    as_many = expose(scene()[None], [path], (64, 64), frames=[counted])[-1, 0]
    torch.testing.assert_close(some, as_many, atol=1e-5, rtol=0)


def test_few_instants_are_as_many_pictures_on_top_of_each_other() -> None:
    image, path = scene(), sweep(right=8.0)  # at the instants: 2 pixels to the left and right
    blurred = expose(image[None], [path], (64, 64), frames=[2])[-1, 0]
    twice = (image[:, 16:80, 14:78] + image[:, 16:80, 18:82]) / 2
    torch.testing.assert_close(blurred, twice, atol=1e-4, rtol=0)
