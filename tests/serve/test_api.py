"""The HTTP API with a real model: what the command line gives, byte for byte."""

import base64
import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from blurdm_cli import deblur_file
from tests.cli import Blurdm

OPTIONS: dict[str, Any] = {"model": "blurdm-tiny", "precision": "fp32"}


def events(client: TestClient, job: str) -> list[tuple[str, dict[str, Any]]]:
    """All events of a job, until its end."""
    lines = client.get(f"/api/jobs/{job}/events").text.split("\n")
    kinds = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    rows = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    return list(zip(kinds, rows, strict=True))


def test_a_form_and_a_raw_body_give_the_bytes_of_the_command_line(
    client: TestClient, jpeg: bytes, tmp_path: Path
) -> None:
    (tmp_path / "photo.jpg").write_bytes(jpeg)
    wanted = deblur_file(tmp_path / "photo.jpg", strength=0.5, quality=90, **OPTIONS).read_bytes()
    options = {"strength": "0.5", "quality": "90"}
    form = client.post("/api/deblur", files={"file": ("my photo.jpg", jpeg)}, data=options)
    raw = client.post("/api/deblur", content=jpeg, params=options)
    assert form.content == raw.content == wanted
    assert form.headers["content-type"] == "image/jpeg"
    assert "my%20photo.deblurred.jpg" in form.headers["content-disposition"]
    outcome = json.loads(form.headers["blurdm-outcome"])
    assert (outcome["status"], outcome["size"], outcome["model"]) == (
        "done",
        [70, 90],
        "blurdm-tiny",
    )
    assert Image.open(io.BytesIO(form.content)).getexif()[271] == "Acme"


def test_options_of_one_request_do_not_stay_for_the_next(client: TestClient, jpeg: bytes) -> None:
    usual = client.post("/api/deblur", content=jpeg).content
    other = client.post(
        "/api/deblur", content=jpeg, params={"format": "png", "metadata": "strip", "strength": 0}
    )
    picture = Image.open(io.BytesIO(other.content))
    assert picture.format == "PNG"
    assert not picture.getexif()
    assert np.array_equal(np.asarray(picture), np.asarray(Image.open(io.BytesIO(jpeg))))
    assert client.post("/api/deblur", content=jpeg).content == usual


def test_errors_are_those_of_the_command_line(
    client: TestClient, blurdm: Blurdm, jpeg: bytes, tmp_path: Path
) -> None:
    (tmp_path / "cut.jpg").write_bytes(jpeg[:300])
    said = blurdm("deblur", tmp_path / "cut.jpg", "--model", "blurdm-tiny", "--json")
    row = json.loads(said.out)
    reply = client.post("/api/deblur", files={"file": ("cut.jpg", jpeg[:300])})
    assert reply.status_code == 422
    assert reply.json()["error"] == row["message"].replace(f"{tmp_path}/", "")
    assert reply.json()["hint"] == row["hint"]
    assert reply.json()["exit_code"] == row["exit_code"] == said.code


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("strength=2", 400, "strength"),
        ("quality=0", 400, "quality"),
        ("strenght=1", 400, "Known: model, expert, strength"),
        ("model=nope", 404, "blurdm-tiny"),
        ("model=/etc", 404, "blurdm-tiny"),
        ("model=../models/blurdm-tiny", 404, "blurdm-tiny"),
    ],
)
def test_wrong_options_are_named(
    client: TestClient, jpeg: bytes, query: str, status: int, words: str
) -> None:
    reply = client.post(f"/api/deblur?{query}", content=jpeg)
    assert reply.status_code == status
    assert words in reply.json()["error"] + reply.json()["hint"]


def test_a_photo_that_is_too_large_is_refused_before_decoding(client: TestClient) -> None:
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, "PNG")
    data = bytearray(file.getvalue())
    data[16:24] = struct.pack(">II", 20_000, 20_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    reply = client.post("/api/deblur", content=bytes(data))
    assert reply.status_code == 413
    assert "100,000,000" in reply.json()["hint"]


def test_a_job_reports_each_file_and_keeps_its_results_until_it_is_deleted(
    client: TestClient, jpeg: bytes
) -> None:
    names = ("a.jpg", "a.jpg", "notes.txt")
    files = [("file", (name, jpeg if name != "notes.txt" else b"text")) for name in names]
    job = client.post("/api/jobs", files=files).json()["id"]
    told = events(client, job)
    assert [row["status"] for kind, row in told if kind == "file"] == ["done", "done", "failed"]
    states = [row for kind, row in told if kind == "job"]
    assert states[-1]["state"] == "done"
    progress = [row["progress"] for row in states]
    assert progress == sorted(progress)
    assert progress[-1] == 1
    whole = client.post("/api/deblur", content=jpeg).content
    for number in (0, 1):
        assert client.get(f"/api/jobs/{job}/files/{number}").content == whole
    assert client.get(f"/api/jobs/{job}/files/2").status_code == 404
    assert client.delete(f"/api/jobs/{job}").status_code == 200
    assert client.get(f"/api/jobs/{job}").status_code == 404
    assert not any(client.app.state.jobs._root.iterdir())


def test_a_result_is_mixed_with_its_input_as_strength_mixes_them(
    client: TestClient, jpeg: bytes
) -> None:
    reply = client.post("/api/jobs", files={"file": ("a.jpg", jpeg)}, data={"format": "png"})
    job = reply.json()["id"]
    events(client, job)
    mixed = client.get(f"/api/jobs/{job}/files/0", params={"strength": 0.25})
    direct = client.post("/api/deblur", content=jpeg, params={"format": "png", "strength": 0.25})
    pictures = [Image.open(io.BytesIO(each.content)) for each in (mixed, direct)]
    assert all(picture.getexif()[271] == "Acme" for picture in pictures)
    first, second = (np.asarray(picture).astype(int) for picture in pictures)
    assert np.abs(first - second).max() <= 1
    shown = client.get(f"/api/jobs/{job}/files/0", params={"view": True})
    assert Image.open(io.BytesIO(shown.content)).format == "JPEG"
    client.delete(f"/api/jobs/{job}")


def test_the_motion_of_a_shaken_photo_is_found_and_drawn(client: TestClient) -> None:
    grey = np.random.default_rng(1).integers(0, 256, (24, 30), dtype=np.uint8)
    sharp = Image.fromarray(grey).resize((240, 192), Image.Resampling.NEAREST)
    shaken = np.mean([np.roll(np.asarray(sharp), step, 1) for step in range(13)], axis=0)
    file = io.BytesIO()
    Image.fromarray(shaken.astype(np.uint8)).save(file, "PNG")
    found = client.post("/api/motion", content=file.getvalue()).json()
    assert found["found"]
    assert found["size"] == [192, 240]
    path = np.asarray(Image.open(io.BytesIO(base64.b64decode(found["path"]))))
    best = found["linear"] or found["encoded"]
    assert path.max() == 255
    assert max(path.shape) >= best["length"]


def test_models_health_metrics_and_the_description(client: TestClient) -> None:
    models = {model["name"]: model for model in client.get("/api/models").json()}
    assert models["blurdm-tiny"]["default"]
    assert client.get("/healthz").text == "ok\n"
    metrics = client.get("/metrics").text
    assert 'blurdm_jobs_total{state="done"}' in metrics
    assert "blurdm_worker_starts 1.0" in metrics
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/api/deblur", "/api/jobs", "/api/models", "/healthz", "/metrics"} <= set(paths)
    body = paths["/api/deblur"]["post"]["requestBody"]["content"]["multipart/form-data"]
    fields = {"file", "model", "expert", "strength", "motion", "format"}
    assert fields <= set(body["schema"]["properties"])
    assert client.get("/app.js").headers["content-type"].startswith("text/javascript")
    for page in ("/", "/docs"):
        reply = client.get(page)
        assert reply.headers["content-type"].startswith("text/html")
        assert "default-src 'none'" in reply.headers["content-security-policy"]
