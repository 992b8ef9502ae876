"""Requests to a server with an expert: which models restore a photo."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from blurdm_cli import zoo
from blurdm_cli.engine import deblur
from blurdm_cli.engine.runtime import Runtime
from blurdm_cli.motion.found import Motion
from blurdm_cli.pipeline.options import ModelOptions
from blurdm_cli.serve.tasks import Task, Tasks
from blurdm_cli.spec import ModelSpec
from tests.engine.fake import FakeRuntime, spec
from tests.serve.conftest import Pretender

MOVING = "/models of the server/moving.onnx"
WITH_EXPERT = ModelOptions(zoo.DEFAULT, expert=MOVING)


def test_a_request_uses_the_servers_expert_or_names_another(pretending: Pretender) -> None:
    client = pretending(model=WITH_EXPERT)

    def used(**options: str) -> tuple[str, str | None]:
        reply = client.post("/api/deblur", content=b"photo", params=options)
        row = json.loads(reply.headers["blurdm-outcome"])
        return row["model"], row["expert"]

    assert used() == (zoo.DEFAULT, MOVING)
    assert used(model=zoo.DEFAULT, expert="moving") == (zoo.DEFAULT, MOVING)
    assert used(expert="blurdm-tiny") == (zoo.DEFAULT, "blurdm-tiny")
    assert used(expert="") == used(motion="off") == (zoo.DEFAULT, None)
    assert used(model="blurdm-tiny") == ("blurdm-tiny", None)
    form = {"files": {"file": ("a.jpg", b"photo")}, "data": {"expert": ""}}
    reply = client.post("/api/deblur", **form)
    assert json.loads(reply.headers["blurdm-outcome"])["expert"] is None

    for wrong, status, words in (
        ({"expert": MOVING}, 404, "moving"),
        ({"expert": "moving", "motion": "off"}, 400, "the motion is off"),
        ({"expert": "moving", "model": "blurdm-tiny"}, 400, "does not use the motion"),
    ):
        refused = client.post("/api/deblur", content=b"photo", params=wrong)
        assert refused.status_code == status
        assert words in refused.json()["error"] + refused.json()["hint"]


def test_the_list_of_models_marks_the_servers_own_by_name(pretending: Pretender) -> None:
    rows = pretending(model=WITH_EXPERT).get("/api/models").json()
    models = {row["name"]: (row["default"], row["expert"], row["motion"]) for row in rows}
    assert models[zoo.DEFAULT] == (True, False, True)
    assert models["blurdm-tiny"] == (False, False, False)
    assert models["moving"] == (False, True, None)
    assert "models of the server" not in json.dumps(rows)


def test_one_request_without_the_expert_leaves_it_open_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moving, other = (str(tmp_path / f"{name}.onnx") for name in ("moving", "other"))
    for graph in (moving, other):
        Path(graph).write_text("a graph")
    opened: list[str] = []

    def open_fake(model: str, *_: str) -> tuple[Runtime, ModelSpec]:
        opened.append(model)
        part = np.float32(0.5 if model == moving else 0.9)
        facts = {"candidates": model == zoo.DEFAULT}
        return FakeRuntime(lambda tiles: tiles[:, :3] * part), spec(**facts)

    monkeypatch.setattr(deblur, "open_runtime", open_fake)
    monkeypatch.setattr(deblur, "find_motion", lambda *_: Motion())
    path = tmp_path / "photo.png"
    Image.new("RGB", (64, 48), (200, 200, 200)).save(path)
    tasks = Tasks(ModelOptions(zoo.DEFAULT, guard="off", expert=moving))

    def restored(expert: str | None) -> tuple[int, str | None]:
        """A pixel of the result, and the expert that is reported."""
        told: list[dict[str, Any]] = []
        output = tmp_path / str(len(list(tmp_path.iterdir())))
        task = Task("deblur", (str(path),), f"{output}/", model=zoo.DEFAULT, expert=expert)
        tasks(task, told.append, lambda: None)
        row = told[-1]["file"]
        return int(np.asarray(Image.open(row["output"]))[20, 30, 0]), row["expert"]

    results = [restored(expert) for expert in (moving, None, moving)]
    assert results == [(100, "fake"), (180, None), (100, "fake")]
    assert opened == [zoo.DEFAULT, moving]
    assert restored(other) == (180, "fake")
    assert opened == [zoo.DEFAULT, moving, zoo.DEFAULT, other]
