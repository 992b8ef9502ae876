from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d

from blurdm_cli.errors import TrainingError
from blurdm_cli.physics.camera import linear_to_srgb, srgb_to_linear
from blurdm_cli.training import photo_crops, synthesis
from blurdm_cli.training.pairs import Order
from blurdm_cli.training.photo_crops import PhotoCrops
from blurdm_cli.training.synthesis import Synthesis

CLEAN = Synthesis(noise_share=0.0, jpeg_share=0.0, highlight_share=0.0)
ORDER = Order(4, 32, seed=3, first=8)


def test_crops_are_pictures_of_the_side_asked_for(photos: list[torch.Tensor]) -> None:
    batch = PhotoCrops(photos, Synthesis()).draw(ORDER)
    for images in (batch.blurred, batch.sharp):
        assert images.shape == (4, 3, 32, 32)
        assert 0 <= images.min() < images.max() <= 1
    assert batch.partial is None


def test_an_order_decides_its_crops_whatever_was_drawn_before(photos: list[torch.Tensor]) -> None:
    used, fresh = PhotoCrops(photos, CLEAN), PhotoCrops(photos, CLEAN)
    for first in (0, 4, 1000):
        used.draw(replace(ORDER, first=first))
    one, other = used.draw(ORDER), fresh.draw(ORDER)
    assert torch.equal(one.sharp, other.sharp)
    assert torch.equal(one.blurred, other.blurred)
    assert not torch.equal(one.sharp, used.draw(replace(ORDER, seed=4)).sharp)


def test_each_exposure_is_photographed_several_times_and_never_twice_alike(
    photos: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    monkeypatch.setattr(photo_crops, "ROUND", 32)
    expose = synthesis.expose
    monkeypatch.setattr(
        synthesis,
        "expose",
        lambda scenes, *a, **k: made.append(len(scenes)) or expose(scenes, *a, **k),
    )
    source, crops = PhotoCrops(photos, CLEAN), set()
    for first in range(0, photo_crops.ROUND * photo_crops.REUSE, 16):
        crops |= {crop.numpy().tobytes() for crop in source.draw(Order(16, 16, first=first)).sharp}
    assert sum(made) == photo_crops.ROUND
    assert len(crops) == photo_crops.ROUND * photo_crops.REUSE


def test_a_share_of_the_crops_is_sharp_and_the_rest_is_not(photos: list[torch.Tensor]) -> None:
    source = PhotoCrops(photos, replace(CLEAN, sharp_share=0.5, object_share=0.0))
    batch = source.draw(Order(48, 32))
    error = (batch.blurred - batch.sharp).abs().mean(dim=(1, 2, 3))
    assert 0.25 < (error < 0.004).float().mean() < 0.75
    assert (error > 0.02).float().mean() > 0.2


def test_partial_exposures_lead_from_the_sharp_to_the_blurred_crop(
    photos: list[torch.Tensor],
) -> None:
    source = PhotoCrops(photos, replace(CLEAN, sharp_share=0.0))
    batch = source.draw(replace(ORDER, partial_steps=3))
    assert batch.partial is not None
    assert batch.partial.shape == (4, 4, 3, 32, 32)
    assert torch.equal(batch.partial[0], batch.sharp)
    assert (batch.partial[-1] - batch.blurred).abs().max() < 0.5 / 255 + 1e-6


def test_an_order_decides_its_noise(photos: list[torch.Tensor]) -> None:
    source = PhotoCrops(photos, replace(CLEAN, noise_share=1.0))
    assert torch.equal(source.draw(ORDER).blurred, source.draw(ORDER).blurred)


def test_noise_and_jpeg_change_the_blurred_crop_alone(photos: list[torch.Tensor]) -> None:
    clean = PhotoCrops(photos, CLEAN).draw(ORDER)
    noisy = PhotoCrops(photos, replace(CLEAN, noise_share=1.0)).draw(ORDER)
    packed = PhotoCrops(photos, replace(CLEAN, jpeg_share=1.0)).draw(ORDER)
    for other in (noisy, packed):
        assert torch.equal(other.sharp, clean.sharp)
        assert 0.0005 < (other.blurred - clean.blurred).abs().mean() < 0.05


def test_crops_come_from_where_there_is_detail() -> None:
    photo = torch.full((3, 128, 512), 128, dtype=torch.uint8)
    photo[:, :, 384:] = torch.randint(256, (3, 128, 128), dtype=torch.uint8)
    source, rng = PhotoCrops([photo], replace(CLEAN, shrink_share=0.0)), np.random.default_rng(0)
    detailed = [bool(source.scene(rng, 96).std() > 0.1) for _ in range(60)]
    assert np.mean(detailed) > 0.8


def test_photos_without_detail_are_refused() -> None:
    with pytest.raises(TrainingError, match="no detail"):
        PhotoCrops([torch.full((3, 64, 64), 128, dtype=torch.uint8)], CLEAN)


def test_crops_come_from_photos_that_need_not_be_enlarged() -> None:
    red, blue = torch.randint(256, (2, 3, 96, 120), dtype=torch.uint8)
    red[1:], blue[:2] = 0, 0
    small = red[:, :90, :90]
    crops = PhotoCrops([small, blue, small], CLEAN).draw(Order(24, 32)).sharp
    assert not crops[:, :2].any()
    assert crops[:, 2].std() > 0.1
    assert PhotoCrops([red, blue], CLEAN).draw(Order(24, 32)).sharp[:, 0].any()


def test_crops_larger_than_all_photos_are_refused_with_the_largest_that_are_not() -> None:
    source = PhotoCrops([torch.randint(256, (3, 160, 240), dtype=torch.uint8)], CLEAN)
    with pytest.raises(TrainingError, match="crops of 128 pixels, which need 192") as caught:
        source.draw(Order(1, 128))
    assert str(caught.value.hint).endswith("--crop 96")
    assert source.draw(Order(1, 96)).sharp.shape == (1, 3, 96, 96)


def test_the_motion_of_a_crop_turns_with_it(photos: list[torch.Tensor]) -> None:
    still = replace(CLEAN, sharp_share=0.0, object_share=0.0, max_length=6.0)
    batch = PhotoCrops(photos, still).draw(Order(8, 32))
    assert batch.motion is not None
    torch.testing.assert_close(batch.motion.sum(dim=(1, 2)), torch.ones(8))
    kernels = batch.motion[:, None, 10:31, 10:31]
    light = srgb_to_linear(batch.sharp)
    blurred = torch.cat(
        [
            conv2d(image[:, None], kernel[None], padding=10).transpose(0, 1)
            for image, kernel in zip(light, kernels, strict=True)
        ]
    )
    inside = (slice(None), slice(None), slice(8, -8), slice(8, -8))
    error = (linear_to_srgb(blurred) - batch.blurred)[inside].abs().mean()
    upside_down = torch.cat(
        [
            conv2d(image[:, None], kernel[None].flip(2), padding=10).transpose(0, 1)
            for image, kernel in zip(light, kernels, strict=True)
        ]
    )
    assert error < 0.7 * (linear_to_srgb(upside_down) - batch.blurred)[inside].abs().mean()
    assert error < 0.5 * (batch.sharp - batch.blurred)[inside].abs().mean()
