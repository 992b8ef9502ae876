from dataclasses import replace

import cv2
import numpy as np
import pytest

from blurdm_cli.motion.candidates import make_candidates
from blurdm_cli.motion.confidence import with_confidence
from blurdm_cli.motion.deconvolution import noise_of
from blurdm_cli.motion.found import NONE, SHAKEN, Found, Motion
from blurdm_cli.motion.light import LUMA

from .scenes import blurred, leaves, page, path_kernel, psnr


def right(kernel: np.ndarray) -> Found:
    """A motion that was found as it was."""
    return Found(kernel.astype(np.float32), 0.8, "right")


@pytest.mark.parametrize("linear", [True, False])
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_the_values_that_the_blur_was_made_in_are_recognised(seed: int, linear: bool) -> None:
    kernel = path_kernel(16, seed)
    photo = np.float32(blurred(leaves(seed=seed), kernel, linear=linear))
    found = with_confidence(photo, Motion(right(kernel), right(kernel), 0.002))
    assert found.best is (found.linear if linear else found.encoded)
    assert found.best.confidence > 0.5


@pytest.mark.parametrize("scene", [leaves(seed=4), page()], ids=["leaves", "page"])
def test_a_path_that_was_not_is_hardly_believed(scene: np.ndarray) -> None:
    wrong = right(path_kernel(20, 9))
    found = with_confidence(scene, Motion(wrong, wrong, 0.002))
    assert found.linear.confidence + found.encoded.confidence < 0.3


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_right_kernel_is_believed_more_than_its_mirror_image(seed: int) -> None:
    kernel = path_kernel(24, seed)
    photo = np.float32(blurred(leaves(seed=seed), kernel))
    mirrored = np.ascontiguousarray(kernel[:, ::-1])
    near, far = (
        with_confidence(photo, Motion(right(each), NONE, 0.002)).linear.confidence
        for each in (kernel, mirrored)
    )
    assert near > 0.5 > far


def test_a_candidate_that_is_the_photo_itself_has_no_confidence() -> None:
    kernel = path_kernel(12, 5)
    photo = np.float32(blurred(leaves(seed=5), kernel, linear=False))
    assert with_confidence(photo, Motion()).best is NONE
    found = with_confidence(photo, Motion(NONE, right(kernel), 0.002))
    assert found.linear.confidence == 0 < found.encoded.confidence


def test_confidence_that_is_there_and_the_number_of_threads_do_not_matter() -> None:
    kernel = path_kernel(12, 6)
    photo = np.float32(blurred(leaves(seed=6), kernel))
    motion = Motion(right(kernel), right(kernel), 0.002)
    one = with_confidence(photo, motion)
    other = with_confidence(photo, one, threads=3)
    assert one.linear.confidence == other.linear.confidence
    assert one.encoded.smoothing == other.encoded.smoothing


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_kernel_that_explains_the_photo_is_smoothed_less_and_gains(seed: int) -> None:
    sharp, kernel = leaves(seed=seed), path_kernel(22, seed)
    noise = np.random.default_rng(seed).normal(0, 0.004, sharp.shape)
    photo = (blurred(sharp, kernel, linear=False) + noise).astype(np.float32)
    rough = cv2.GaussianBlur(kernel, (0, 0), 1.2)
    near, far = (
        with_confidence(photo, Motion(NONE, right(each), noise_of(photo @ LUMA))).encoded
        for each in (kernel, rough)
    )
    assert near.smoothing < 0.5
    assert near.smoothing < 0.9 * far.smoothing
    plain = replace(near, smoothing=1.0)
    gained = [
        psnr(make_candidates(photo, Motion(NONE, each, 0.004))[3:6].transpose(1, 2, 0), sharp)
        for each in (near, plain)
    ]
    assert gained[0] > gained[1] + 0.5


def test_the_softness_of_a_sharp_photo_is_smoothed_as_its_noise_asks() -> None:
    sharp = leaves(seed=7)
    short = right(path_kernel(4, 7))
    found = with_confidence(sharp, Motion(NONE, short, 0.003))
    assert short.spread < SHAKEN
    assert found.encoded.smoothing == 1
