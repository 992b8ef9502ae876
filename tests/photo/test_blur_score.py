import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blurdm_cli.photo import blur_score as score
from blurdm_cli.photo.blur_score import BLURRED, blur_score


def scene(side: int = 256, seed: int = 0) -> np.ndarray:
    """Overlapping discs of all sizes: sharp edges, and the spectrum of natural scenes."""
    rng = np.random.default_rng(seed)
    pixels = np.full((side, side, 3), 128, np.uint8)
    for _ in range(400):
        radius = int(np.clip(3 / rng.uniform(0.02, 1), 3, side / 3))
        x, y = (int(value) for value in rng.integers(0, side, 2))
        cv2.circle(pixels, (x, y), radius, rng.integers(0, 256, 3).tolist(), -1, cv2.LINE_AA)
    return pixels


def moved(pixels: np.ndarray, length: int, degrees: float) -> np.ndarray:
    """Blurred along a straight path."""
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1 / length
    turn = cv2.getRotationMatrix2D((length // 2, length // 2), degrees, 1)
    kernel = cv2.warpAffine(kernel, turn, (length, length))
    return cv2.filter2D(pixels, -1, kernel / kernel.sum())


@pytest.mark.parametrize("degrees", [0, 30, 45, 90, 135])
@pytest.mark.parametrize("seed", range(3))
def test_blur_in_any_direction_raises_the_score_over_the_threshold(
    seed: int, degrees: float
) -> None:
    sharp = scene(seed=seed)
    scores = [blur_score(sharp), *(blur_score(moved(sharp, n, degrees)) for n in (5, 11, 21))]
    assert scores == sorted(scores)
    assert scores[0] < BLURRED < scores[2]


@pytest.mark.parametrize("deviation", [3, 8])
def test_noise_does_not_make_a_blurred_photo_sharp(deviation: float) -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, deviation, (256, 256, 1))
    noisy = np.clip(moved(scene(), 21, 20) + noise, 0, 255).astype(np.uint8)
    assert blur_score(noisy) > BLURRED


@pytest.mark.parametrize("value", [0, 33, 255])
def test_what_has_no_detail_is_not_called_blurred(value: int) -> None:
    assert blur_score(np.full((40, 50, 3), value, np.uint8)) == 0


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]), st.integers(0, 9))
def test_any_photo_has_a_score_from_0_to_1(
    height: int, width: int, channels: int, seed: int
) -> None:
    shape = (height, width, channels)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    assert 0 <= blur_score(pixels) <= 1


def test_16_bits_have_the_score_of_8() -> None:
    pixels = scene()
    assert blur_score(pixels.astype(np.uint16) * 257) == pytest.approx(blur_score(pixels), abs=1e-3)


def test_strips_do_not_change_the_score(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = moved(scene(), 7, 30)
    whole = blur_score(pixels)
    monkeypatch.setattr(score, "STRIP", 256 * 64)
    assert blur_score(pixels) == pytest.approx(whole, abs=0.01)
