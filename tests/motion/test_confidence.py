from dataclasses import replace

import numpy as np
import pytest

from blurdm_cli.motion.candidates import make_candidates
from blurdm_cli.motion.confidence import confidences, with_confidence
from blurdm_cli.motion.found import NONE, Found, Motion

from .scenes import blurred, leaves, page, path_kernel


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
    other = with_confidence(photo, replace(one, noise=motion.noise), threads=3)
    assert one.linear.confidence == other.linear.confidence
    planes = make_candidates(photo, motion)
    assert confidences(photo.transpose(2, 0, 1), planes) == (
        one.linear.confidence,
        one.encoded.confidence,
    )
