"""The part of the plug-in for GIMP that runs without GIMP: the call of blurdm."""

import runpy
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import pytest

SCRIPT = Path(__file__).parents[1] / "examples" / "gimp" / "blurdm.py"

COMMAND = """\
#!/bin/sh
test "$1 $3 $5" = "deblur -o --strength" || exit 2
test -z "$PYTHONPATH" || exit 3
test "$6" = 0.5 || { echo "error: strength $6" >&2; exit 4; }
cp "$2" "$4"
"""


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The script's functions, with an empty GIMP."""
    gi, repository = ModuleType("gi"), MagicMock()
    repository.Gimp.PlugIn = object
    gi.require_version = lambda name, version: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gi", gi)
    monkeypatch.setitem(sys.modules, "gi.repository", repository)
    return runpy.run_path(str(SCRIPT))


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A blurdm that copies the photo, if it is called as it should be."""
    path = tmp_path / "blurdm"
    path.write_text(COMMAND)
    path.chmod(0o755)
    monkeypatch.setenv("BLURDM", str(path))
    monkeypatch.setenv("PYTHONPATH", "/of/gimp")


@pytest.mark.skipif(sys.platform == "win32", reason="the command is a shell script")
@pytest.mark.usefixtures("command")
def test_the_layer_goes_through_blurdm(plugin: dict[str, Any], tmp_path: Path) -> None:
    source, target = tmp_path / "a.png", tmp_path / "b.png"
    source.write_bytes(b"pixels")
    plugin["restore"](source, target, 0.5)
    assert target.read_bytes() == b"pixels"
    with pytest.raises(plugin["DeblurError"], match=r"strength 0\.25"):
        plugin["restore"](source, target, 0.25)


def test_a_missing_blurdm_is_named(
    plugin: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLURDM", str(tmp_path / "nowhere"))
    with pytest.raises(plugin["DeblurError"], match="BLURDM"):
        plugin["restore"](tmp_path / "a.png", tmp_path / "b.png", 1.0)


def test_the_script_is_short_and_can_be_executed() -> None:
    assert len(SCRIPT.read_text().splitlines()) < 150
    assert SCRIPT.stat().st_mode & 0o100
