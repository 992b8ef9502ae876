import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli import TINY, Blurdm


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


def test_the_grid_and_the_report_show_the_pairs_of_least_and_most_gain(
    blurdm: Blurdm, pairs: Path, tmp_path: Path
) -> None:
    grid, report = tmp_path / "grid.png", tmp_path / "report.html"
    options = ("--grid", grid, "--report", report, "--show", 2, "--json")
    out = json.loads(run(blurdm, pairs, *options))
    ranked = sorted(out["pairs"], key=lambda pair: pair["gain"])
    text = report.read_text(encoding="utf-8")
    assert [text.count(f"<h3>{pair['name']}</h3>") for pair in ranked] == [1, 0, 1]
    assert all(pair["seconds"] > 0 for pair in ranked)

    seen = np.asarray(Image.open(grid))
    for pair, rows in zip((ranked[0], ranked[2]), np.vsplit(seen, 2), strict=True):
        sharp = np.asarray(Image.open(pairs / "target" / pair["name"]))
        crops = np.lib.stride_tricks.sliding_window_view(sharp, (64, 64, 3))
        left = 320 + 2 * 12 + 2 * (400 + 12)
        crop = rows[12 + 24 : 12 + 24 + 64, left : left + 64]
        assert any((crop == each).all() for each in crops.reshape(-1, 64, 64, 3))


def test_a_grid_in_an_unknown_format_is_refused(
    blurdm: Blurdm, pairs: Path, tmp_path: Path
) -> None:
    result = blurdm("eval", TINY[1], "--data", pairs, "--grid", tmp_path / "grid.xyz")
    assert (result.code, result.err.count("error:")) == (2, 1)


def test_a_folder_without_pairs_is_an_input_error(blurdm: Blurdm, tmp_path: Path) -> None:
    result = blurdm("eval", TINY[1], "--data", tmp_path)
    assert result.code == 3
    assert "holds no pairs" in result.err
    assert "fix" in result.err


@pytest.mark.parametrize("option", ["--grid", "--csv", "--report"])
def test_a_file_that_is_there_is_replaced_only_if_that_is_asked_for(
    blurdm: Blurdm, pairs: Path, tmp_path: Path, option: str
) -> None:
    mine = tmp_path / "mine.png"
    mine.write_text("mine")
    words = ("eval", TINY[1], "--data", pairs, *TINY[2:], option)
    refused = blurdm(*words, mine)
    of_pair = blurdm(*words, pairs / "target" / "0.png", "--overwrite")
    assert (refused.code, of_pair.code) == (5, 5)
    assert "--overwrite" in refused.err
    assert mine.read_text() == "mine"
    assert blurdm(*words, mine, "--overwrite").code == 0
    assert mine.read_bytes() != b"mine"


@pytest.mark.parametrize(
    ("size", "options", "what"),
    [
        ((80, 10), (), "too small"),
        ((80, 20), ("--align", "shift"), "too small"),
        ((80, 63), (), "differ in size"),
    ],
)
def test_a_pair_that_cannot_be_scored_is_found_before_any_is(
    blurdm: Blurdm,
    pairs: Path,
    size: tuple[int, int],
    options: tuple[str, ...],
    what: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("blurdm_cli.engine.deblur.Deblurrer.open", None)
    kinds = ("input",) if "differ" in what else ("input", "target")
    for kind in kinds:
        Image.new("RGB", size).save(pairs / kind / "2.png")
    result = blurdm("eval", TINY[1], "--data", pairs, *options)
    assert result.code == 3
    assert what in result.err
    assert "2.png" in result.err
