from dataclasses import replace

import numpy as np
import pytest

from blurdm_cli.motion.candidates import make_candidates
from blurdm_cli.motion.estimation import HYPOTHESES, find_motion
from blurdm_cli.motion.found import NONE, Motion
from blurdm_cli.motion.kernel import likeness
from blurdm_cli.motion.light import LUMA
from blurdm_cli.motion.windows import is_pagelike, window

from .scenes import blurred, leaves, page, path_kernel, psnr

FEW = [each for each in HYPOTHESES if each.name in ("half", "half, gradual", "full")]
TWO = [each for each in FEW if each.name != "half, gradual"]


def eight_bit(image: np.ndarray) -> np.ndarray:
    return np.rint(image * 255).astype(np.uint8)


@pytest.mark.parametrize(("length", "seed"), [(8, 1), (18, 2), (36, 3)])
def test_the_path_of_a_hand_is_found_in_linear_light(length: int, seed: int) -> None:
    sharp, kernel = leaves(seed=seed), path_kernel(length, seed)
    photo = eight_bit(blurred(sharp, kernel))
    motion = find_motion(photo, hypotheses=FEW)
    assert likeness(motion.linear.kernel, kernel) > 0.75
    planes = make_candidates(photo.astype(np.float32) / 255, motion)
    restored = planes[:3].transpose(1, 2, 0)
    assert psnr(restored, sharp, 40) > psnr(photo / np.float32(255), sharp, 40) + 2


def test_blur_made_in_encoded_values_is_undone_best_there() -> None:
    sharp, kernel = leaves(seed=5), path_kernel(14, 5)
    photo = eight_bit(blurred(sharp, kernel, linear=False))
    planes = make_candidates(photo.astype(np.float32) / 255, find_motion(photo, hypotheses=FEW))
    linear, encoded = (planes[i : i + 3].transpose(1, 2, 0) for i in (0, 3))
    assert psnr(encoded, sharp, 40) > psnr(linear, sharp, 40)
    assert psnr(encoded, sharp, 40) > psnr(photo / np.float32(255), sharp, 40) + 2


def test_a_shaken_page_is_read_again() -> None:
    sharp, kernel = page(), path_kernel(12, 7)
    photo = eight_bit(blurred(sharp, kernel))
    assert is_pagelike(photo.astype(np.float32) / 255 @ LUMA)
    motion = find_motion(photo)
    restored = make_candidates(photo.astype(np.float32) / 255, motion)[:3].transpose(1, 2, 0)
    assert psnr(restored, sharp, 40) > psnr(photo / np.float32(255), sharp, 40) + 2.5


def test_a_page_that_hardly_looks_like_one_is_read_again() -> None:
    sharp, kernel = page(), path_kernel(18, 4)
    photo = eight_bit(blurred(sharp, kernel, linear=False))
    assert not is_pagelike(photo.astype(np.float32) / 255 @ LUMA)
    restored = make_candidates(photo.astype(np.float32) / 255, find_motion(photo, 1, FEW))[3:6]
    before, after = photo / np.float32(255), restored.transpose(1, 2, 0)
    assert psnr(after, sharp, 40) > psnr(before, sharp, 40) + 8


def test_what_is_looked_for_in_one_kind_of_values_is_found_in_both() -> None:
    kernel = path_kernel(18, 2)
    photo = eight_bit(blurred(leaves(seed=2), kernel))
    one = [replace(each, values=("linear",)) for each in FEW if each.name == "half"]
    motion = find_motion(photo, hypotheses=one)
    assert likeness(motion.linear.kernel, kernel) > 0.75
    assert likeness(motion.encoded.kernel, kernel) > 0.6


def test_noise_and_jpeg_do_not_hide_the_path() -> None:
    import cv2

    sharp, kernel = leaves(seed=8), path_kernel(16, 8)
    seen = blurred(sharp, kernel)
    seen = seen + 0.01 * np.random.default_rng(0).standard_normal(seen.shape)
    coded = cv2.imencode(".jpg", eight_bit(np.clip(seen, 0, 1)), [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    motion = find_motion(cv2.imdecode(coded, cv2.IMREAD_COLOR), hypotheses=TWO)
    assert likeness(motion.best.kernel, kernel) > 0.6
    assert motion.noise > 0.001


def test_a_sharp_photo_has_no_long_path() -> None:
    motion = find_motion(eight_bit(leaves(seed=9)), hypotheses=FEW)
    assert motion.best.spread < 2.5


def test_texture_that_runs_one_way_is_no_motion() -> None:
    import cv2

    grain = np.random.default_rng(0).standard_normal((200, 200)).astype(np.float32)
    brushed = cv2.GaussianBlur(grain, (0, 0), 0.6, sigmaY=1.8)
    grey = np.clip(0.15 * brushed / brushed.std() + 0.5, 0, 1)
    motion = find_motion(eight_bit(np.stack([grey] * 3, -1)), hypotheses=TWO)
    assert motion.reach == 1


def test_the_same_photo_gives_the_same_bytes_on_any_number_of_threads() -> None:
    photo = eight_bit(blurred(leaves(200), path_kernel(10)))
    one, three = (find_motion(photo, threads, TWO) for threads in (1, 3))
    for ours, theirs in ((one.linear, three.linear), (one.encoded, three.encoded)):
        np.testing.assert_array_equal(ours.kernel, theirs.kernel)
        assert ours.score == theirs.score
    pixels = photo.astype(np.float32) / 255
    np.testing.assert_array_equal(make_candidates(pixels, one, 1), make_candidates(pixels, one, 3))


@pytest.mark.parametrize("shape", [(1, 1), (20, 400), (33, 33), (64, 40)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_photos_without_anything_in_them_have_no_motion(shape: tuple[int, int], value: int) -> None:
    photo = np.full((*shape, 3), value, np.uint8)
    motion = find_motion(photo, hypotheses=FEW)
    planes = make_candidates(photo.astype(np.float32) / 255, motion)
    assert np.isfinite(planes).all()
    np.testing.assert_allclose(planes[:3], value / 255, atol=0.02)


def test_without_a_motion_the_candidates_are_the_photo() -> None:
    photo = leaves(64)
    planes = make_candidates(photo, Motion())
    np.testing.assert_array_equal(planes[:3].transpose(1, 2, 0), photo)
    np.testing.assert_array_equal(planes[3:6], planes[:3])
    assert not planes[6:].any()
    assert NONE.confidence == 0


def test_the_window_lies_where_the_edges_are() -> None:
    photo = np.full((1600, 2400, 3), 0.5, np.float32)
    photo[900:1300, 1500:1900] = leaves(400)
    rows, columns = window(photo)
    assert (rows.stop - rows.start) * (columns.stop - columns.start) <= 250_000
    assert rows.start < 950
    assert rows.stop > 1250
    assert columns.start < 1550
    assert columns.stop > 1850


def test_large_photos_are_looked_at_in_a_quarter_of_their_size_too() -> None:
    sharp, kernel = leaves(1500, seed=3), path_kernel(90, 11)
    photo = eight_bit(blurred(sharp, kernel))
    far = [each for each in HYPOTHESES if each.name == "quarter"]
    assert likeness(find_motion(photo, 2, far).linear.kernel, kernel) > 0.6
