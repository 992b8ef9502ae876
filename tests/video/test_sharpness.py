import cv2
import numpy as np
import pytest

from blurdm_cli.photo.blur_score import BLURRED
from blurdm_cli.video import sharpness as scenes
from blurdm_cli.video.sharpness import SHARP, Sharpness, is_cut, luma_histogram


def picture(seed: int, light: float = 0.5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = cv2.resize(rng.random((9, 16, 3), np.float32), (320, 180)) - 0.5
    return np.clip(values * 0.5 + light, 0, 1).astype(np.float32)


def test_motion_noise_and_slow_light_are_no_cuts() -> None:
    first = picture(0)
    before = luma_histogram(first)
    rng = np.random.default_rng(1)
    for shift in (5, 20):
        assert not is_cut(before, luma_histogram(np.roll(first, shift, axis=1)))
    noisy = np.clip(first + rng.normal(0, 0.03, first.shape), 0, 1).astype(np.float32)
    assert not is_cut(before, luma_histogram(noisy))
    assert not is_cut(before, luma_histogram(np.clip(first + np.float32(0.01), 0, 1)))


def test_another_scene_is_a_cut() -> None:
    assert is_cut(luma_histogram(picture(0, 0.3)), luma_histogram(picture(1, 0.6)))


def follow(monkeypatch: pytest.MonkeyPatch, scores: list[float], cuts: set[int]) -> list[bool]:
    """Which frames are left alone, of a clip with these scores and cuts."""
    remaining = iter(scores)
    monkeypatch.setattr(scenes, "blur_score", lambda pixels: next(remaining))
    sharpness, found, light = Sharpness(), list[bool](), 0.3
    for number in range(len(scores)):
        light = 0.9 - light if number in cuts else light
        sharpness = Sharpness(**sharpness.state())  # as a resumed run does
        found.append(sharpness.follow(picture(0, light)))
    return found


def test_a_score_between_the_thresholds_switches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    between = (SHARP + BLURRED) / 2
    scores = [between, 0.2, between, BLURRED - 0.01, SHARP + 0.01, 0.9, between, SHARP + 0.01]
    expected = [False, True, True, True, True, False, False, False]
    assert follow(monkeypatch, scores, cuts=set()) == expected


def test_a_cut_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    between = (SHARP + BLURRED) / 2
    scores = [0.2, between, between, 0.2, between]
    assert follow(monkeypatch, scores, cuts={2}) == [True, True, False, True, True]


def test_a_sharp_frame_is_left_alone_and_a_blurred_one_is_not() -> None:
    down, across = np.fft.fftfreq(240)[:, None], np.fft.rfftfreq(320)[None]
    falling = 1 / np.maximum(np.hypot(down, across), 1 / 320)  # as natural scenes' spectra do
    waves = np.fft.rfft2(np.random.default_rng(0).normal(size=(240, 320)))
    gray = np.fft.irfft2(waves * falling)
    gray = (gray - gray.min()) / np.ptp(gray)
    sharp = np.repeat(gray[..., None], 3, axis=2).astype(np.float32)
    assert Sharpness().follow(sharp)
    assert not Sharpness().follow(cv2.blur(sharp, (15, 1)))
