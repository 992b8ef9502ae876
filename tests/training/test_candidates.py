from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file

from blurdm_cli.errors import InputError, TrainingError
from blurdm_cli.motion.estimation import HYPOTHESES, find_motion
from blurdm_cli.motion.kernel import extent
from blurdm_cli.physics.trajectory import Trajectory
from blurdm_cli.training import candidate_run, candidate_store
from blurdm_cli.training.alignment import moved_to_candidate
from blurdm_cli.training.candidate_crops import CandidateCrops
from blurdm_cli.training.candidate_maker import GROUP, CandidateMaker
from blurdm_cli.training.candidate_run import make_shards, read_objects
from blurdm_cli.training.candidate_store import Shard, shards_of
from blurdm_cli.training.h264 import through_h264
from blurdm_cli.training.pages import random_page
from blurdm_cli.training.pairs import Order
from blurdm_cli.training.photo_crops import PhotoCrops
from blurdm_cli.training.scenes import CandidateRecipe, Scenes
from tests.motion.scenes import leaves

RECIPE = CandidateRecipe(side=64, longest=16)


@pytest.fixture(scope="module")
def photos() -> list[torch.Tensor]:
    return [
        torch.from_numpy(leaves(160, seed) * 255).permute(2, 0, 1).byte().contiguous()
        for seed in range(2)
    ]


@pytest.fixture
def frames() -> torch.Tensor:
    """Frames that move by a pixel each."""
    wide = torch.from_numpy(leaves(128) * 255).permute(2, 0, 1).byte()
    return torch.stack([wide[:, 8:104, n : n + 96] for n in range(14)])


@pytest.fixture(autouse=True, scope="module")
def small_shards_with_few_hypotheses() -> Iterator[None]:
    few = [each for each in HYPOTHESES if each.name == "half"]
    look = partial(find_motion, hypotheses=few)

    def threads(jobs: int, context: object, begin: object, given: tuple) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1, initializer=begin, initargs=given)

    with pytest.MonkeyPatch.context() as patch:
        for module in (candidate_store, candidate_run):
            patch.setattr(module, "SHARD", GROUP)
        patch.setattr("blurdm_cli.training.candidate_maker.find_motion", look)
        patch.setattr(candidate_run, "ProcessPoolExecutor", threads)
        yield


def shards(folder: Path, photos: list[torch.Tensor], count: int, **more: float) -> bool:
    return make_shards(folder, photos, None, [], RECIPE, count=count, **more)


@pytest.fixture(scope="module")
def two_shards(tmp_path_factory: pytest.TempPathFactory, photos: list[torch.Tensor]) -> Path:
    """A folder of two shards."""
    folder = tmp_path_factory.mktemp("shards")
    assert shards(folder, photos, 2 * GROUP)
    return folder


def test_the_same_number_makes_the_same_crop(
    photos: list[torch.Tensor], frames: torch.Tensor
) -> None:
    cut_out = np.full((30, 40, 4), 200, np.uint8)
    scenes = Scenes(PhotoCrops(photos, RECIPE.develop), frames, [cut_out], RECIPE)
    makers = [CandidateMaker(scenes, seed=3) for _ in range(2)]
    for one, other in zip(*(maker.make_group(1) for maker in makers), strict=True):
        for name in candidate_store.NAMES:
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert one.blurred.shape == one.sharp.shape == (3, 64, 64)
        assert 0 <= one.confidence.min() <= one.confidence.max() <= 1


def test_a_found_motion_serves_for_other_scenes(photos: list[torch.Tensor]) -> None:
    """Of a group, all crops have the first one's path; they show different things."""
    recipe = CandidateRecipe(
        side=96, shortest=6, longest=6, near_share=0, object_share=0, wrong_share=0, page_share=0
    )
    maker = CandidateMaker(Scenes(PhotoCrops(photos, recipe.develop), None, [], recipe), seed=2)
    for number in range(4):
        group = maker.make_group(number)
        if group[0].confidence.max() > 0:
            break
    assert len(group) == GROUP
    for crop in group[1:]:
        np.testing.assert_array_equal(crop.path, group[0].path)
        assert np.abs(crop.sharp.astype(int) - group[0].sharp).mean() > 5


def test_shards_are_made_once_and_a_run_goes_on_where_it_ended(
    tmp_path: Path, photos: list[torch.Tensor]
) -> None:
    assert not shards(tmp_path, photos, 2 * GROUP, deadline=0)
    assert not shards_of(tmp_path)
    assert shards(tmp_path, photos, GROUP)
    [first] = shards_of(tmp_path)
    before = first.stat().st_mtime_ns
    assert shards(tmp_path, photos, 2 * GROUP)
    assert len(shards_of(tmp_path)) == 2
    assert first.stat().st_mtime_ns == before
    first.unlink()
    assert shards(tmp_path, photos, 2 * GROUP, jobs=2)
    assert len(shards_of(tmp_path)) == 2


def test_crops_of_another_recipe_are_refused(two_shards: Path, photos: list[torch.Tensor]) -> None:
    with pytest.raises(TrainingError, match="longest"):
        make_shards(two_shards, photos, None, [], CandidateRecipe(side=64), count=GROUP)


def test_shards_of_before_kernels_were_kept_are_read(two_shards: Path, tmp_path: Path) -> None:
    [first, *_] = shards_of(two_shards)
    arrays = load_file(first)
    del arrays["kernels"]
    save_file(arrays, tmp_path / first.name)
    old, new = (Shard(path).read(1) for path in (tmp_path / first.name, first))
    assert not old.kernels.any()
    np.testing.assert_array_equal(old.planes, new.planes)


def test_what_is_drawn_is_a_part_of_what_was_prepared(two_shards: Path) -> None:
    source = CandidateCrops([two_shards])
    assert source.count == 2 * GROUP
    batch = source.draw(Order(4, 32))
    assert batch.candidates is not None
    assert batch.seen.shape == (4, 13, 32, 32)
    assert 0 <= batch.seen.min() <= batch.seen.max() <= 1
    again = source.draw(Order(4, 32))
    torch.testing.assert_close(batch.seen, again.seen)
    known = {
        float(np.sort(image.reshape(3, -1).sum(1))[0])
        for path in shards_of(two_shards)
        for image in [Shard(path).read(n, 0, 0, 64).sharp for n in range(GROUP)]
    }
    whole = source.draw(Order(3, 64)).sharp * 255
    for image in whole:
        assert float(np.sort(image.round().flatten(1).sum(1).numpy())[0]) in known


def test_an_empty_folder_of_crops_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        CandidateCrops([tmp_path])
    assert caught.value.hint


def test_a_sharp_crop_is_moved_to_where_a_good_candidate_stands() -> None:
    sharp = np.rint(leaves(96) * 255).astype(np.uint8)
    moved = np.roll(sharp, (1, -2), (0, 1))
    blurred = np.full_like(sharp, 128)
    planes = np.repeat(moved.transpose(2, 0, 1)[None], 2, 0).reshape(6, 96, 96)
    planes = np.concatenate([planes / 255, np.zeros((4, 96, 96))]).astype(np.float32)
    found = moved_to_candidate(sharp, blurred, planes)
    assert np.abs(found[10:-10, 10:-10].astype(int) - moved[10:-10, 10:-10]).mean() < 3
    far = np.roll(planes, 12, 2)
    np.testing.assert_array_equal(moved_to_candidate(sharp, blurred, far), sharp)


def test_h264_changes_a_little_and_keeps_the_size() -> None:
    photo = np.rint(leaves(96) * 255).astype(np.uint8)
    good, bad = through_h264(photo, 18), through_h264(photo, 40)
    assert good.shape == photo.shape
    error = lambda image: np.abs(image.astype(int) - photo).mean()  # noqa: E731
    assert 0 < error(good) < error(bad)


def test_pages_are_paper_with_ink() -> None:
    page = random_page(np.random.default_rng(1), 120, 200)
    assert page.shape == (120, 200, 3)
    assert np.median(page) > 140
    assert page.std() > 5


def test_cut_outs_are_photos_with_transparency(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "opaque.png")
    with pytest.raises(InputError, match="no cut-out"):
        read_objects(tmp_path)
    Image.new("RGBA", (9, 8), (200, 10, 10, 120)).save(tmp_path / "thing.png")
    [cut_out] = read_objects(tmp_path)
    assert cut_out.shape == (8, 9, 4)
    assert cut_out[0, 0].tolist() == [200, 10, 10, 120]


def test_known_paths_keep_their_length(
    photos: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = CandidateRecipe(side=96, known_share=1, page_share=1, wrong_share=0)
    scenes = Scenes(PhotoCrops(photos, recipe.develop), None, [], recipe)
    still = np.zeros(4)
    line = Trajectory(np.array([60.0, 0, 0, 0]), still, np.zeros((2, 4, 4))).centred()
    monkeypatch.setattr(scenes, "path", lambda rng, near: line)
    crops = CandidateMaker(scenes, seed=1).make_group(0)
    lengths = [extent(kernel.astype(np.float32)) for crop in crops for kernel in crop.kernels]
    assert lengths == pytest.approx([60] * len(lengths), abs=4)


def test_crops_out_of_focus_come_with_discs_that_help(photos: list[torch.Tensor]) -> None:
    recipe = CandidateRecipe(side=96, focus_share=1, known_share=1, shortest=6, widest=14)
    recipe = replace(recipe, page_share=0, wrong_share=0, h264_share=0)
    scenes = Scenes(PhotoCrops(photos, recipe.develop), None, [], recipe)
    crops = CandidateMaker(scenes, seed=1).make_group(0)
    assert np.mean([crop.gain for crop in crops]) > 1
    assert not any(crop.path.any() for crop in crops)
    for kernel in (kernel for crop in crops for kernel in crop.kernels.astype(np.float32)):
        middle = kernel.shape[0] // 2
        assert kernel[middle, middle] < 3 * kernel[kernel > 0].mean()
        assert 5 <= extent(kernel) <= 17


def test_a_soft_lens_that_lay_still_leaves_nothing_to_do(photos: list[torch.Tensor]) -> None:
    recipe = CandidateRecipe(side=96, still_share=1, focus_share=0, known_share=1)
    develop = replace(recipe.develop, noise_share=0, jpeg_share=0)
    recipe = replace(recipe, page_share=0, wrong_share=0, h264_share=0, develop=develop)
    scenes = Scenes(PhotoCrops(photos, develop), None, [], recipe)
    crops = [CandidateMaker(scenes, seed=1).make_group(group)[0] for group in range(6)]
    for crop in crops:
        np.testing.assert_allclose(crop.blurred, crop.sharp, atol=1)
        np.testing.assert_allclose(crop.planes[:3], crop.blurred, atol=1)
    detail = [np.abs(np.diff(crop.sharp.astype(int), axis=2)).max() for crop in crops]
    assert max(detail) > 1.5 * min(detail)
