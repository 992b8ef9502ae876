import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .conftest import TINY, Blurdm


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Three pairs of 64 x 80 pixels; the blurred photo is the sharp one, softened."""
    rng = np.random.default_rng(0)
    for number, side in enumerate((3, 5, 9)):
        noise = Image.fromarray(rng.integers(0, 256, (16, 20, 3), dtype=np.uint8))
        sharp = noise.resize((80, 64), Image.Resampling.BICUBIC)
        soft = noise.resize((20 - side, 16 - side)).resize((80, 64), Image.Resampling.BICUBIC)
        for kind, photo in (("input", soft), ("target", sharp)):
            (tmp_path / "pairs" / kind).mkdir(parents=True, exist_ok=True)
            photo.save(tmp_path / "pairs" / kind / f"{number}.png")
    return tmp_path / "pairs"


def run(blurdm: Blurdm, pairs: Path, *more: object) -> str:
    result = blurdm("eval", TINY[1], "--data", pairs, *TINY[2:], *more)
    assert result.code == 0, result.err
    return result.out


def test_the_table_ends_with_the_mean_and_its_interval(blurdm: Blurdm, pairs: Path) -> None:
    head, *rows, mean, last = run(blurdm, pairs).splitlines()
    assert "gain" in head
    assert [row.split()[0] for row in rows] == ["0.png", "1.png", "2.png"]
    gains = [float(row.split()[3]) for row in rows]
    assert float(mean.split()[3]) == pytest.approx(np.mean(gains), abs=0.011)
    assert last.startswith("3 pairs")


def test_json_and_csv_hold_the_same_figures(blurdm: Blurdm, pairs: Path, tmp_path: Path) -> None:
    out = json.loads(run(blurdm, pairs, "--json", "--csv", tmp_path / "scores.csv"))
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [pair["name"] for pair in out["pairs"]]
    for row, pair in zip(rows, out["pairs"], strict=True):
        assert float(row["gain"]) == pair["gain"] == pair["psnr_restored"] - pair["psnr_blurred"]
    assert out["gain"]["low"] <= out["gain"]["mean"] <= out["gain"]["high"]


def test_the_grid_shows_three_pairs_in_three_columns(
    blurdm: Blurdm, pairs: Path, tmp_path: Path
) -> None:
    run(blurdm, pairs, "--grid", tmp_path / "grid.png")
    grid = np.asarray(Image.open(tmp_path / "grid.png"))
    assert grid.shape == (3 * 64, 3 * 64, 3)
    sharp = np.asarray(Image.open(pairs / "target" / "0.png"))
    np.testing.assert_array_equal(grid[:64, 128:], sharp[:, 8:72])


def test_a_folder_without_pairs_is_an_input_error(blurdm: Blurdm, tmp_path: Path) -> None:
    result = blurdm("eval", TINY[1], "--data", tmp_path)
    assert result.code == 3
    assert "holds no pairs" in result.err
    assert "fix" in result.err
