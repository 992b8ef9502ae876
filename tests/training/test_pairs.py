from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from blurdm_cli.errors import InputError, TrainingError
from blurdm_cli.training import layouts, pairs
from blurdm_cli.training.pairs import Batch, FrameCrops, Mixture, Order, PairCrops
from blurdm_cli.training.photo_crops import PhotoCrops
from blurdm_cli.training.synthesis import Synthesis


def write(path: Path, height: int = 40, width: int = 50, seed: int = 0) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


@pytest.mark.parametrize("layout", layouts.FLAT_LAYOUTS)
def test_pairs_are_read_by_name(tmp_path: Path, layout: tuple[str, str]) -> None:
    for name in ("b.png", "a.png"):
        for number, kind in enumerate(layout):
            write(tmp_path / kind / name, seed=number)
    found = pairs.read_pairs(tmp_path)
    assert list(found) == ["a.png", "b.png"]
    blurred, sharp = found["a.png"]
    again = write(tmp_path / "again.png", seed=1)
    assert torch.equal(sharp, torch.from_numpy(again).permute(2, 0, 1))
    assert not torch.equal(blurred, sharp)


def test_the_middle_of_each_pair_is_for_evaluation(tmp_path: Path) -> None:
    sharp = write(tmp_path / "target" / "a.png", 41, 60)
    write(tmp_path / "input" / "a.png", 41, 60)
    crops = pairs.centre_crops(tmp_path, 20)
    wanted = torch.from_numpy(sharp[10:30, 20:40]).permute(2, 0, 1) / 255
    torch.testing.assert_close(crops.sharp[0], wanted)
    with pytest.raises(InputError, match="smaller than 64"):
        pairs.centre_crops(tmp_path, 64)


def test_pairs_that_are_not_complete_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no pairs"):
        pairs.read_pairs(tmp_path)
    (tmp_path / "input").mkdir()
    write(tmp_path / "target" / "a.png")
    with pytest.raises(InputError, match="no photo in"):
        pairs.read_pairs(tmp_path)
    write(tmp_path / "input" / "b.png")
    with pytest.raises(InputError, match="no partner"):
        pairs.read_pairs(tmp_path)
    write(tmp_path / "input" / "a.png", 41)
    (tmp_path / "input" / "b.png").unlink()
    with pytest.raises(InputError, match="differ in size"):
        pairs.read_pairs(tmp_path)


def test_16_bit_photos_are_read_as_8_bit(tmp_path: Path) -> None:
    import cv2

    values = np.array([[[0, 257, 65535]]], dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), values[..., ::-1])
    assert pairs.read_photos(tmp_path)["a.png"].flatten().tolist() == [0, 1, 255]


def test_both_crops_of_a_pair_are_the_same_place_turned_the_same_way() -> None:
    photo = torch.arange(3 * 40 * 50).view(3, 40, 50).remainder(251).byte()
    source = PairCrops([(photo, 255 - photo)])
    batch = source.draw(Order(8, 16))
    torch.testing.assert_close(batch.blurred + batch.sharp, torch.ones(8, 3, 16, 16))
    assert len({crop.numpy().tobytes() for crop in batch.sharp}) == 8
    assert torch.equal(batch.sharp, source.draw(Order(8, 16)).sharp)
    assert not torch.equal(batch.sharp, source.draw(Order(8, 16, first=8)).sharp)


def test_a_crop_larger_than_the_photo_is_refused() -> None:
    photo = torch.zeros(3, 40, 50, dtype=torch.uint8)
    with pytest.raises(TrainingError, match="smaller than a crop"):
        PairCrops([(photo, photo)]).draw(Order(1, 48))


def test_the_sharp_crop_is_the_middle_one_of_the_frames_that_are_averaged() -> None:
    """Frame n is as bright as n, so that brightness tells which frame is which."""
    frames = torch.arange(0, 80, 4, dtype=torch.uint8)[:, None, None, None].expand(20, 3, 32, 32)
    batch = FrameCrops(frames, lengths=(5,)).draw(Order(16, 16))
    values = (batch.sharp[:, 0, 0, 0] * 255).round()
    assert (values % 4 == 0).all()
    assert (values >= 8).all()
    assert (values <= 68).all()
    assert ((batch.blurred - batch.sharp).abs() * 255).max() < 3
    with pytest.raises(TrainingError, match="too few"):
        FrameCrops(frames[:4], lengths=(5,))


def test_an_average_of_one_frame_is_that_frame() -> None:
    frames = torch.randint(0, 256, (13, 3, 32, 32), dtype=torch.uint8)
    batch = FrameCrops(frames, lengths=(1,)).draw(Order(16, 16))
    torch.testing.assert_close(batch.blurred, batch.sharp, rtol=0, atol=1e-6)
    mixed = FrameCrops(frames).draw(Order(200, 8))
    same = ((mixed.blurred - mixed.sharp).abs().amax(dim=(1, 2, 3)) < 1e-6).float().mean()
    assert 0.1 < same < 0.3


def test_a_mixture_has_each_source_in_its_share() -> None:
    dark, bright = (
        PairCrops([(torch.full((3, 40, 40), v, dtype=torch.uint8),) * 2]) for v in (0, 255)
    )
    mixture = Mixture([(3.0, dark), (1.0, bright)])
    share = [
        mixture.draw(replace(Order(8, 16), first=8 * step)).sharp.mean().item()
        for step in range(50)
    ]
    assert 0.18 < np.mean(share) < 0.32
    assert all(round(8 * s) == pytest.approx(8 * s, abs=1e-4) for s in share)


def test_crops_that_are_drawn_for_several_steps_are_mixed_in_each() -> None:
    dark, bright = (
        PairCrops([(torch.full((3, 40, 40), v, dtype=torch.uint8),) * 2]) for v in (0, 255)
    )
    drawn = Mixture([(1.0, dark), (1.0, bright)]).draw(Order(128, 16))
    means = [part.sharp.mean().item() for part in drawn.split(32)]
    assert 0.2 < min(means) < max(means) < 0.8


def test_turning_moves_pixels_and_does_nothing_else() -> None:
    image, rng = torch.arange(3 * 16).view(3, 4, 4), np.random.default_rng(0)
    turned = {pairs.random_turn(rng)(image).numpy().tobytes() for _ in range(100)}
    assert len(turned) == 8
    assert all(sorted(t) == sorted(image.numpy().tobytes()) for t in turned)


def test_crops_of_unknown_motion_tell_of_none_in_a_mixture(photos: list[torch.Tensor]) -> None:
    frames = torch.stack([photos[0]] * 13)
    mixture = Mixture([(1.0, PhotoCrops(photos, Synthesis())), (1.0, FrameCrops(frames))])
    batch = mixture.draw(Order(12, 16))
    assert batch.motion is not None
    sums = batch.motion.sum(dim=(1, 2))
    assert 0 < sums.sum() < 12
    assert all(s == 0 or s == pytest.approx(1, abs=1e-4) for s in sums.tolist())


def test_a_batch_is_split_with_all_that_belongs_to_its_crops() -> None:
    images = torch.arange(5.0)[:, None, None, None].expand(5, 3, 2, 2)
    batch = Batch(images, images + 10, images.expand(4, -1, -1, -1, -1), images[:, 0])
    parts = batch.split(2)
    assert [len(part.sharp) for part in parts] == [2, 2, 1]
    for name in ("blurred", "sharp", "motion"):
        whole = torch.cat([getattr(part, name) for part in parts])
        assert torch.equal(whole, getattr(batch, name))
    assert parts[1].partial is not None
    assert parts[1].partial.shape == (4, 2, 3, 2, 2)
    assert parts[2].partial is not None
    assert (parts[2].partial == 4).all()
