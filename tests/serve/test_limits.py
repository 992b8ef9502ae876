"""The server under stress: full queues, slow and crashing work, foreign and broken requests."""

from pathlib import Path

import pytest

from blurdm_cli.serve import worker
from blurdm_cli.serve.uploads import safe_name
from tests.cli import Blurdm
from tests.serve.conftest import Pretender


def test_beyond_the_queue_requests_are_told_when_to_come_again(pretending: Pretender) -> None:
    client = pretending(queue=2)
    jobs = [client.post("/api/jobs", content=b"wait").json()["id"]]
    while client.get(f"/api/jobs/{jobs[0]}").json()["state"] != "running":
        continue
    jobs += [client.post("/api/jobs", content=b"wait").json()["id"] for _ in range(2)]
    refused = client.post("/api/jobs", content=b"wait")
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert client.get("/healthz").status_code == 200
    for job in jobs:
        assert client.delete(f"/api/jobs/{job}").status_code == 200
    assert client.post("/api/deblur", content=b"photo").content == b"photo"
    assert not any(client.app.state.jobs._root.iterdir())


def test_a_cancelled_job_ends_and_the_next_one_runs_in_the_same_process(
    pretending: Pretender,
) -> None:
    client = pretending()
    job = client.post("/api/jobs", content=b"wait").json()["id"]
    while client.get(f"/api/jobs/{job}").json()["progress"] != 0.5:
        continue
    client.delete(f"/api/jobs/{job}")
    assert client.post("/api/deblur", content=b"photo").content == b"photo"
    assert "blurdm_worker_starts 1.0" in client.get("/metrics").text


def test_work_that_takes_too_long_is_ended_and_the_server_goes_on(
    pretending: Pretender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "GRACE", 0.1)
    client = pretending(seconds=0.2)
    late = client.post("/api/deblur", content=b"hang")
    assert late.status_code == 504
    assert "--max-seconds" in late.json()["hint"]
    assert client.post("/api/deblur", content=b"photo").content == b"photo"
    assert "blurdm_worker_starts 2.0" in client.get("/metrics").text


def test_a_crash_of_the_worker_is_an_answer_and_the_server_goes_on(pretending: Pretender) -> None:
    client = pretending()
    crashed = client.post("/api/deblur", content=b"crash")
    assert crashed.status_code == 500
    assert "Memory" in crashed.json()["hint"]
    assert client.post("/api/deblur", content=b"photo").content == b"photo"


def test_bodies_over_the_limit_are_refused_whether_or_not_they_say_their_size(
    pretending: Pretender,
) -> None:
    client = pretending(most_bytes=1000)
    chunks = (b"x" * 100 for _ in range(20))
    for body in (b"x" * 1001, chunks):
        reply = client.post("/api/deblur", content=body)
        assert reply.status_code == 413
    assert client.post("/api/deblur", files={"file": ("a", b"x" * 2000)}).status_code == 413
    assert client.post("/api/deblur", content=b"x" * 1000).status_code == 200


@pytest.mark.parametrize("body", [b"", b"--edge\r\n", b"--edge\r\nContent-Disposition: x\r\n\r\n"])
def test_broken_forms_are_refused(pretending: Pretender, body: bytes) -> None:
    client = pretending()
    headers = {"content-type": "multipart/form-data; boundary=edge"}
    reply = client.post("/api/deblur", content=body, headers=headers)
    assert reply.status_code == 400
    assert reply.json()["error"]


def test_without_a_token_only_this_machine_s_own_pages_may_ask(pretending: Pretender) -> None:
    client = pretending()
    assert client.get("/healthz", headers={"host": "evil.example"}).status_code == 403
    assert client.get("/healthz", headers={"host": "[::1"}).status_code == 403
    assert client.get("/healthz", headers={"host": "[::1]:8000"}).status_code == 200
    assert client.get("/healthz", headers={"host": "localhost:8000"}).status_code == 200
    for origin, status in (("http://evil.example", 403), ("null", 403), ("http://127.0.0.1", 200)):
        reply = client.post("/api/deblur", content=b"photo", headers={"origin": origin})
        assert reply.status_code == status


def test_a_token_is_needed_for_all_but_the_health(pretending: Pretender) -> None:
    client = pretending(token="secret")
    assert client.get("/healthz").status_code == 200
    for path in ("/", "/api/models", "/metrics", "/docs", "/openapi.json", "/?token=wrong"):
        assert client.get(path).status_code == 401
    bearer = {"authorization": "Bearer secret"}
    assert client.get("/api/models", headers=bearer).status_code == 200
    moved = client.get("/?token=secret", follow_redirects=False)
    assert moved.headers["location"] == "/"
    assert client.get("/api/models").status_code == 200, "the cookie counts"


def test_a_server_for_others_needs_a_token(blurdm: Blurdm) -> None:
    said = blurdm("serve", "--host", "0.0.0.0")
    assert said.code == 2
    assert "--token" in said.err


def test_a_model_that_cannot_be_opened_is_an_error_of_the_command(blurdm: Blurdm) -> None:
    said = blurdm("serve", "--port", 0, "--model", "nope")
    assert said.code == 6
    assert "There is no model 'nope'" in said.err


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\photos\\a.jpg", "a.jpg"),
        (".hidden.png", "hidden.png"),
        ("a\nb\0.jpg", "a_b_.jpg"),
        ("Größe 🎉.jpg", "Größe 🎉.jpg"),
        ("..", "photo"),
        ("", "photo"),
    ],
)
def test_names_of_files_lead_nowhere(given: str, safe: str) -> None:
    assert safe_name(given) == safe


def test_a_video_without_a_name_keeps_the_container_of_its_media_type(
    pretending: Pretender,
) -> None:
    client = pretending()
    body = b"\0\0\0\x18ftypisom"
    for media, name in (("video/mp4", "photo.mp4"), ("application/octet-stream", "photo")):
        reply = client.post("/api/deblur", content=body, headers={"content-type": media})
        assert reply.headers["content-disposition"] == f'attachment; filename="{name}"'


def test_long_names_fit_on_a_disk(tmp_path: Path) -> None:
    path = tmp_path / safe_name("ä" * 500 + ".jpeg")
    path.write_bytes(b"")
    assert path.suffix == ".jpeg"


def test_an_end_of_the_server_deletes_all_files(pretending: Pretender) -> None:
    client = pretending()
    client.post("/api/jobs", content=b"photo")
    root = client.app.state.jobs._root
    assert root.exists()
    client.__exit__(None, None, None)
    assert not root.exists()
    client.__enter__()
