import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image

from tests.buckets import Server, serving


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
    monkeypatch.setattr("blurdm_cli.pipeline.clip_job.SECONDS", Fraction(1, 5))


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def server(running: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server with an empty bucket."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield running
    running.files.rm(running.files.find("photos"))
    private = tmp_path / "cache" / "blurdm" / "buckets"
    assert not private.exists() or private.stat().st_mode & 0o777 == 0o700
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


@pytest.fixture
def uploaded(server: Server, colours: Path) -> Path:
    """Photos of one colour each, a.png to c.png, as files and as objects in s3://photos/in/."""
    for letter in "def":
        (colours / f"{letter}.png").unlink()
    for path in colours.iterdir():
        server.put(f"s3://photos/in/{path.name}", path.read_bytes())
    return colours
