import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.commands.conftest import Blurdm

SMALL = ("--size", "tiny", "--prior-channels", "16", "--crop", "32", "--batch", "2")


@pytest.fixture
def sharp_photos(tmp_path: Path) -> Path:
    folder = tmp_path / "sharp"
    folder.mkdir()
    for number in range(2):
        noise = np.random.default_rng(number).integers(0, 256, (150, 160, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Two pairs of 256 pixels, in GoPro's layout."""
    for number in range(2):
        noise = np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        sharp = Image.fromarray(noise).resize((256, 256), Image.Resampling.BICUBIC)
        for kind, image in (("sharp", sharp), ("blur", sharp.reduce(2).resize((256, 256)))):
            (tmp_path / "pairs" / kind).mkdir(parents=True, exist_ok=True)
            image.save(tmp_path / "pairs" / kind / f"{number}.png")
    return tmp_path / "pairs"


def test_a_model_that_was_just_trained_is_scored_and_deblurs(
    blurdm: Blurdm, sharp_photos: Path, pairs: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = ("--data", sharp_photos, "--val", pairs, "-o", run, *SMALL)

    trained = blurdm("train", "all", *words, "--steps", "9", "--name", "mine")
    scored = blurdm("eval", run / "model", "--data", pairs, "--precision", "fp32")
    deblurred = blurdm("deblur", sharp_photos / "0.png", "--model", run / "model")

    assert (trained.code, scored.code, deblurred.code) == (0, 0, 0)
    assert scored.out.splitlines()[-2].startswith("mean")
    assert "mine" in blurdm("models", "show", run / "model").out
    for stage in ("stage1", "stage2", "stage3"):
        rows = list(csv.DictReader((run / stage / "losses.csv").read_text().splitlines()))
        assert float(rows[-1]["psnr_restored"]) > 0
        assert list((run / stage / "pictures").glob("*.png"))


def test_a_run_that_reaches_its_time_limit_says_so_and_is_resumed(
    blurdm: Blurdm, sharp_photos: Path, tmp_path: Path
) -> None:
    words = ("train", "stage1", "--data", sharp_photos, "-o", tmp_path / "run", *SMALL)

    stopped = blurdm(*words, "--steps", "4", "--time-limit", "0.001")
    again = blurdm(*words, "--steps", "4")
    resumed = blurdm(*words, "--steps", "4", "--resume")

    assert stopped.code == 0
    assert "--resume" in stopped.err
    assert again.code == 2
    assert resumed.code == 0
    assert "done" in resumed.err


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--size", "huge"), 2),
        (("--schedule", "none"), 2),
        (("--crop", "33"), 2),
        (("--from", "no-such-model"), 6),
        (("--device", "cuda:99"), 7),
        (("--val", "no-such-folder"), 3),
    ],
)
def test_what_cannot_be_trained_is_one_line_with_a_code(
    blurdm: Blurdm, sharp_photos: Path, tmp_path: Path, options: tuple[str, str], code: int
) -> None:
    words = ("train", "all", "--data", sharp_photos, "-o", tmp_path / "run", *SMALL, *options)
    result = blurdm(*words)
    assert result.code == code
    assert result.err.count("error") == 1
    assert not (tmp_path / "run").exists()


def test_data_that_is_not_there_is_code_3(blurdm: Blurdm, tmp_path: Path) -> None:
    result = blurdm("train", "all", "--data", tmp_path / "nothing", "-o", tmp_path / "run")
    assert result.code == 3
