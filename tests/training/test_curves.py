from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blurdm_cli.training import run
from blurdm_cli.training.curves import draw_curves
from tests.training.line import train

HEADER = "step,loss,learning_rate,crops_per_second,psnr_blurred,psnr_restored\n"


def test_each_evaluation_draws_the_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "find_spec", lambda name: name)
    train(tmp_path)
    with Image.open(tmp_path / "losses.png") as picture:
        assert picture.size == (800, 1000)


@pytest.mark.parametrize("rows", ["", "0,,,,20,21\n", "0,nan,1e-3,,,\n4,-0.5,1e-3,9,20,21\n"])
def test_whatever_a_run_has_logged_is_drawn(tmp_path: Path, rows: str) -> None:
    (tmp_path / "losses.csv").write_text(HEADER + rows)
    draw_curves(tmp_path / "losses.csv", tmp_path / "losses.png")
    pixels = np.asarray(Image.open(tmp_path / "losses.png").convert("RGB"))
    assert pixels.std() > 5


def test_a_run_without_matplotlib_has_no_curves(tmp_path: Path) -> None:
    train(tmp_path)
    assert (tmp_path / "losses.csv").exists()
    assert not (tmp_path / "losses.png").exists()
