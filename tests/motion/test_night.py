import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from blurdm_cli.motion.confidence import with_confidence
from blurdm_cli.motion.deconvolution import noise_of
from blurdm_cli.motion.estimation import Hypothesis, find_motion
from blurdm_cli.motion.found import LIGHTS, Found, Motion
from blurdm_cli.motion.kernel import DELTA, extent, likeness
from blurdm_cli.motion.night import motion_of_lights
from blurdm_cli.motion.pyramid import Settings
from blurdm_cli.motion.windows import Views

from .scenes import blurred, exposed, leaves, night, path_kernel


def look(photo: np.ndarray) -> Motion:
    views = Views(photo, [1])
    return motion_of_lights(photo, views, noise_of(views.grey("encoded", 1)))


def kernel_of(length: int, seed: int) -> np.ndarray:
    return path_kernel(length, seed).astype(np.float32)


@pytest.mark.parametrize(("length", "seed"), [(24, 8), (48, 2), (60, 0)])
def test_small_lights_draw_the_whole_path(length: int, seed: int) -> None:
    kernel = kernel_of(length, seed)
    motion = look(exposed(night(seed=seed), kernel))
    assert likeness(motion.linear.kernel, kernel) > 0.8
    assert extent(motion.linear.kernel) == pytest.approx(extent(kernel), abs=3)
    assert motion.best is motion.linear
    assert motion.is_shaken


@pytest.mark.parametrize("width", [0.4, 1.6])
def test_wide_lights_do_not_widen_the_path(width: float) -> None:
    kernel = kernel_of(60, 8)
    motion = look(exposed(night(seed=8, width=width), kernel))
    assert likeness(motion.linear.kernel, kernel) > 0.8


@pytest.mark.parametrize(("length", "seed"), [(24, 8), (24, 3)])
def test_lights_of_one_brightness_count_where_their_path_explains_the_photo(
    length: int, seed: int
) -> None:
    kernel = kernel_of(length, seed)
    motion = look(exposed(night(seed=seed, lights=12, powers=(4.1, 4.1), ground=0.1), kernel))
    assert likeness(motion.linear.kernel, kernel) > 0.75
    assert min(motion.linear.confidence, motion.encoded.confidence) > 0.4


def test_noise_and_jpeg_do_not_hide_the_streaks() -> None:
    kernel = kernel_of(40, 8)
    photo = exposed(night(seed=8), kernel, noise=0.02)
    coded = cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    motion = look(cv2.imdecode(coded, cv2.IMREAD_COLOR))
    assert likeness(motion.linear.kernel, kernel) > 0.8


def test_the_kernel_of_a_large_photo_has_its_own_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blurdm_cli.motion.night.LOOKED_AT", 60_000)
    kernel = kernel_of(60, 7)
    motion = look(exposed(night(400, seed=7, width=1.2), kernel))
    assert likeness(motion.linear.kernel, kernel) > 0.8


def sharp_night() -> np.ndarray:
    """Point lights, tubes, windows, wires, and curved neon signs that are not alike."""
    light = night(seed=3, width=0.9)
    for row in range(30, 300, 45):
        for column in range(20, 300, 70):
            cv2.line(light, (column, row), (column, row + 14), (0.2 + row / 200,) * 3, 2)
    for column in range(40, 300, 60):
        cv2.rectangle(light, (column, 250), (column + 5, 262), (0.6, 0.5, column / 300), -1)
    for number in range(6):
        size = (5 + 2 * number, 12 - number)
        cv2.ellipse(light, (30 + 50 * number, 60), size, 40 * number, 0, 230, (0.3, 0.9, 0.4), 1)
    cv2.line(light, (0, 100), (319, 140), (0.3, 0.3, 0.3), 1)
    return exposed(light, DELTA)


def page_at_night() -> np.ndarray:
    """Bright letters on black, somewhat soft: many are alike."""
    sheet = Image.new("RGB", (320, 320), (8, 8, 12))
    draw = ImageDraw.Draw(sheet)
    for top in range(4, 320, 22):
        draw.text(
            (4, top), "sees cases, races, zeros" * 2, (230, 235, 225), ImageFont.load_default(16)
        )
    return cv2.GaussianBlur(np.asarray(sheet), (0, 0), 1.0)


@pytest.mark.parametrize(
    "photo",
    [
        exposed(night(seed=1), DELTA),
        sharp_night(),
        page_at_night(),
        np.rint(leaves(seed=4) * 255).astype(np.uint8),
        np.rint(blurred(leaves(seed=4), path_kernel(30, 4)) * 255).astype(np.uint8),
        np.zeros((64, 64, 3), np.uint8),
        np.full((64, 64, 3), 255, np.uint8),
    ],
    ids=["lights", "lamps and lines", "letters", "day", "shaken day", "black", "white"],
)
def test_what_is_no_streak_of_light_shows_no_motion(photo: np.ndarray) -> None:
    assert look(photo).reach == 1


QUICK = [Hypothesis("quick", 1.0, 9, Settings(iterations=1, fine_iterations=1))]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The estimator does not polish what it finds."""
    monkeypatch.setattr("blurdm_cli.motion.estimation.ROUNDS", 0)


@pytest.mark.usefixtures("hasty")
def test_lights_count_where_nothing_else_is_found() -> None:
    kernel = kernel_of(40, 8)
    photo = exposed(night(160, seed=8, lights=8), kernel)
    motion = find_motion(photo, hypotheses=QUICK)
    assert motion.linear.name == motion.encoded.name == LIGHTS
    assert likeness(motion.linear.kernel, kernel) > 0.8
    assert motion.linear.confidence > 0.8 > motion.encoded.confidence > 0
    assert with_confidence(photo, motion) is motion


@pytest.mark.usefixtures("hasty")
def test_lights_do_not_count_where_something_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Motion(Found(path_kernel(9, 1).astype(np.float32), 0.9, "half", confidence=0.1))
    monkeypatch.setattr("blurdm_cli.motion.estimation.with_confidence", lambda *_: known)
    assert find_motion(exposed(night(64, seed=8), DELTA), hypotheses=QUICK) is known
