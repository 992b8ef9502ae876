"""What all tests share."""

import os

worker = os.environ.get("PYTEST_XDIST_WORKER")
if worker and hasattr(os, "sched_setaffinity"):  # each has a core: threads of all would collide
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})

import shutil  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402

import tests.typechecker  # noqa: E402, F401  # what pyproject.toml names, before it is used
from blurdm_cli.commands.console import console  # noqa: E402
from tests.cli import Blurdm, in_process  # noqa: E402

torch.set_num_threads(1)  # networks here are tiny: threads on a busy machine cost, not help


@pytest.fixture(autouse=True)
def talk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that asks for quiet gets it for itself alone."""
    monkeypatch.setattr(console, "quiet", False)


@pytest.fixture
def blurdm(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Blurdm:
    """Runs the command line in this process."""
    return in_process(monkeypatch, capsys)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A JPEG of 90 x 70 pixels with soft random detail."""
    noise = np.random.default_rng(0).integers(0, 256, (14, 18, 3), dtype=np.uint8)
    path = tmp_path / "photo.jpg"
    Image.fromarray(noise).resize((90, 70), Image.Resampling.BICUBIC).save(path, quality=92)
    return path


@pytest.fixture(scope="module")
def traced_once() -> Iterator[None]:
    """Exports of one model share its trace."""
    from tests.export.traces import trace_once

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("blurdm_cli.export.onnx._trace", trace_once)
        yield


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """An installed Chromium; tests are skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
    if path is None:
        pytest.skip("no Chromium is installed")
    options = ["--disable-gpu", "--no-first-run", "--disable-background-networking"]
    root = os.name == "posix" and os.geteuid() == 0
    options += ["--disable-sync", *(["--no-sandbox"] if root else [])]
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=path, args=options)
        yield opened
        opened.close()
