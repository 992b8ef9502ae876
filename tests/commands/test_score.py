import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from tests.cli import Blurdm


def pair(folder: Path) -> None:
    """A sharp photo and a blurred one."""
    noise = np.random.default_rng(0).integers(0, 256, (150, 150), dtype=np.uint8)
    sharp = Image.fromarray(noise).resize((300, 300), Image.Resampling.NEAREST)
    sharp.save(folder / "a sharp.png")
    sharp.filter(ImageFilter.GaussianBlur(4)).save(folder / "b blurred.png")


def test_each_photo_is_a_line_with_its_score(blurdm: Blurdm, tmp_path: Path) -> None:
    pair(tmp_path)
    result = blurdm("score", tmp_path)

    assert result.code == 0
    sharp, blurred = (line.split(maxsplit=2) for line in result.out.splitlines())
    assert (sharp[1], blurred[1]) == ("sharp", "blurred")
    assert sharp[2].endswith("a sharp.png")
    assert float(sharp[0]) < 0.3 < 0.8 < float(blurred[0])
    assert "1 blurred" in result.err


def test_json_is_an_object_a_line_also_for_what_cannot_be_read(
    blurdm: Blurdm, tmp_path: Path
) -> None:
    pair(tmp_path)
    (tmp_path / "c.jpg").write_text("no photo")
    result = blurdm("score", tmp_path, "--json")

    rows = [json.loads(line) for line in result.out.splitlines()]
    assert result.code == 4
    assert [row["status"] for row in rows] == ["done", "done", "failed"]
    assert all(row["schema"] == 1 for row in rows)
    assert [row["blurred"] for row in rows[:2]] == [False, True]
    assert rows[2]["exit_code"] == 3


def test_nothing_to_score_is_code_3(blurdm: Blurdm, tmp_path: Path) -> None:
    assert blurdm("score", tmp_path).code == 3
    assert blurdm("score", tmp_path / "missing.jpg").code == 3
