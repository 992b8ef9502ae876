import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli import TINY, Blurdm


@pytest.fixture
def sharp(tmp_path: Path) -> Path:
    """Five frames of 100 x 140 pixels, a pattern that moves by a pixel a frame."""
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    large = np.asarray(Image.fromarray(noise).resize((160, 120), Image.Resampling.BICUBIC))
    (tmp_path / "sharp").mkdir()
    for number in range(5):
        frame = large[10:110, number : number + 140]
        Image.fromarray(frame).save(tmp_path / "sharp" / f"{number}.png")
    return tmp_path / "sharp"


def pictures(folder: Path) -> dict[str, np.ndarray]:
    return {path.name: np.asarray(Image.open(path)) for path in sorted(folder.iterdir())}


def test_the_same_seed_makes_the_same_pairs_and_writes_its_settings(
    blurdm: Blurdm, sharp: Path, tmp_path: Path
) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        words = ("--count", "2", "--max-length", "12", "--seed", seed)
        assert blurdm("synth", sharp, "-o", tmp_path / name, *words).code == 0
    made = {name: pictures(tmp_path / name / "input") for name in "abc"}
    assert len(made["a"]) == 10
    assert all(np.array_equal(made["a"][name], made["b"][name]) for name in made["a"])
    assert not all(np.array_equal(made["a"][name], made["c"][name]) for name in made["a"])
    settings = json.loads((tmp_path / "a" / "synth.json").read_text())
    assert settings["seed"] == 1
    assert settings["synthesis"]["max_length"] == 12


def test_pairs_can_be_evaluated_on(blurdm: Blurdm, sharp: Path, tmp_path: Path) -> None:
    assert blurdm("synth", sharp / "0.png", "-o", tmp_path / "pairs").code == 0
    result = blurdm("eval", TINY[1], "--data", tmp_path / "pairs", *TINY[2:])
    assert (result.code, result.out.splitlines()[-1][:7]) == (0, "1 pairs")


def test_large_photos_are_made_smaller(blurdm: Blurdm, sharp: Path, tmp_path: Path) -> None:
    assert blurdm("synth", sharp, "-o", tmp_path / "pairs", "--largest", "126").code == 0
    (size,) = {picture.shape for picture in pictures(tmp_path / "pairs" / "target").values()}
    assert size == (90 - 64, 126 - 64, 3)


def test_frames_are_averaged_around_the_sharp_one(
    blurdm: Blurdm, sharp: Path, tmp_path: Path
) -> None:
    words = ("--average", "5", "--no-linear")
    assert blurdm("synth", sharp, "-o", tmp_path / "pairs", *words).code == 0
    frames = np.stack(list(pictures(sharp).values())).astype(float)
    (blurred,) = pictures(tmp_path / "pairs" / "input").values()
    (middle,) = pictures(tmp_path / "pairs" / "target").values()
    np.testing.assert_array_equal(middle, frames[2])
    assert np.abs(blurred - frames.mean(axis=0)).max() <= 0.5


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        (("--average", "4"), 2, "odd"),
        (("--average", "7"), 3, "too few"),
    ],
)
def test_what_cannot_be_averaged_is_refused(
    blurdm: Blurdm, sharp: Path, tmp_path: Path, words: tuple[str, ...], code: int, what: str
) -> None:
    result = blurdm("synth", sharp, "-o", tmp_path / "pairs", *words)
    assert (result.code, what in result.err) == (code, True)
    assert not (tmp_path / "pairs").exists()


def test_a_folder_with_something_in_it_is_left_alone(blurdm: Blurdm, sharp: Path) -> None:
    before = pictures(sharp).keys()
    result = blurdm("synth", sharp, "-o", sharp)
    assert (result.code, "not empty" in result.err) == (5, True)
    assert pictures(sharp).keys() == before
