import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blurdm_cli.commands.app import main
from blurdm_cli.commands.console import console

TINY = ("--model", "blurdm-tiny", "--precision", "fp32")
"""The small model, in the precision that every machine has."""


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Blurdm = Callable[..., Result]


@pytest.fixture(autouse=True)
def talk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that asks for quiet gets it for itself alone."""
    monkeypatch.setattr(console, "quiet", False)


@pytest.fixture
def blurdm(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Blurdm:
    """Runs the command line in this process."""

    def run(*words: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["blurdm", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        return Result(code, said.out, said.err)

    return run


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A JPEG of 90 x 70 pixels with soft random detail."""
    noise = np.random.default_rng(0).integers(0, 256, (14, 18, 3), dtype=np.uint8)
    path = tmp_path / "photo.jpg"
    Image.fromarray(noise).resize((90, 70), Image.Resampling.BICUBIC).save(path, quality=92)
    return path
