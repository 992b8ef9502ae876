import shutil
from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def album(photo: Path, tmp_path: Path) -> Path:
    """A folder of four photos, one of them in a folder of its own."""
    folder = tmp_path / "album"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg", "c d.jpg", "sub/a.jpg"):
        shutil.copy(photo, folder / name)
    return folder


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """Six photos of one colour each, a.png to f.png."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number, name in enumerate("abcdef"):
        Image.new("RGB", (8, 6), (10 * number, 100, 200)).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of five frames."""
    monkeypatch.setattr("blurdm_cli.pipeline.clip.SECONDS", Fraction(1, 5))
