"""Servers for tests: one with the small model, and some with a worker that only pretends."""

import base64
import io
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from blurdm_cli.pipeline.options import ModelOptions
from blurdm_cli.serve.app import create_app
from blurdm_cli.serve.settings import Settings
from blurdm_cli.serve.worker import Worker

LOCAL = "http://127.0.0.1"
TINY = ModelOptions("blurdm-tiny", precision="fp32")

REGIONS = [
    {"top": top, "left": left, "height": 35, "width": 45, "confidence": 1.0}
    for top in (0, 35)
    for left in (0, 45)
]


def _white() -> str:
    file = io.BytesIO()
    Image.new("L", (9, 5), 255).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


MOTION = {"size": [70, 90], "path": _white(), "regions": REGIONS}
MOTION |= {"linear": {"length": 9, "direction": 0.0}, "encoded": None}

PRETENDS = (
    f"MOTION = {MOTION!r}"
    + """
import json, os, shutil, sys, time
tell = lambda **message: print(json.dumps(message), flush=True)
sys.stdin.readline()
tell(ready=True)
while line := sys.stdin.readline():
    message = json.loads(line)
    if "task" in message:
        source = message["task"]["inputs"][0]
        said = open(source, "rb").read().decode("latin-1")
        if message["task"]["kind"] == "motion":
            tell(result=MOTION)
        elif said == "crash":
            os._exit(3)
        if said == "wait":  # until it is told to stop
            tell(progress=0.5, note="half")
            sys.stdin.readline()
            tell(failed={"error": "stopped", "hint": "", "exit_code": 1, "http_status": 409})
        elif said == "babble":
            print("{", flush=True)
        elif said == "hang":
            while True:
                time.sleep(9)
        else:
            os.makedirs(message["task"]["output"])
            target = shutil.copy(source, message["task"]["output"])
            row = {"input": source, "output": target, "status": "done", "kind": "photo"}
            row |= {"seconds": 0.1, "size": [70, 90], "motion": None, "notes": []}
            row |= {name: message["task"][name] for name in ("model", "expert")}
            tell(file=row, number=0)
    tell(ready=True)
"""
)
"""A worker process that copies its input, unless the input says otherwise."""


@pytest.fixture(scope="session")
def jpeg() -> bytes:
    """A JPEG of 90 x 70 pixels with soft random detail, and with EXIF."""
    noise = np.random.default_rng(0).integers(0, 256, (14, 18, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((90, 70), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[271] = "Acme"
    file = io.BytesIO()
    image.save(file, "JPEG", quality=92, exif=exif)
    return file.getvalue()


@pytest.fixture(scope="session")
def client() -> Iterator[TestClient]:
    """A client of a server with the small model."""
    with TestClient(create_app(Settings(TINY)), base_url=LOCAL) as client:
        yield client


Pretender = Callable[..., TestClient]


@pytest.fixture
def pretending() -> Iterator[Pretender]:
    """Starts servers whose worker only pretends; takes fields of `Settings`."""
    opened = []

    def start(seconds: float = 60, model: ModelOptions = TINY, **settings: Any) -> TestClient:
        worker = Worker(model, 10**6, seconds, None, (sys.executable, "-c", PRETENDS))
        app = create_app(Settings(model, seconds=seconds, **settings), worker)
        client = TestClient(app, base_url=LOCAL)
        client.__enter__()
        opened.append(client)
        return client

    yield start
    for client in opened:
        client.__exit__(None, None, None)
