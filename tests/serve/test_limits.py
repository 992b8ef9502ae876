"""The server under stress: full queues, slow and crashing work, foreign and broken requests."""

import errno
import io
import sys
import threading
import weakref
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient
from starlette.types import Message

from blurdm_cli.serve import uploads, worker
from blurdm_cli.serve.app import create_app
from blurdm_cli.serve.jobs import Job
from blurdm_cli.serve.settings import Settings
from blurdm_cli.serve.uploads import safe_name
from tests.cli import Blurdm
from tests.serve.conftest import LOCAL, TINY, Pretender


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


def test_an_error_of_the_server_is_an_answer_and_the_server_goes_on(
    pretending: Pretender, capfd: pytest.CaptureFixture[str]
) -> None:
    client = pretending()
    failed = client.post("/api/deblur", content=b"babble")
    assert failed.status_code == 500
    assert "See its log" in failed.json()["hint"]
    assert "JSONDecodeError" in capfd.readouterr().err
    assert client.post("/api/deblur", content=b"photo").content == b"photo"


def test_a_full_disk_is_an_answer(pretending: Pretender, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(uploads, "_copy", full)
    reply = pretending().post("/api/deblur", files={"file": ("a.jpg", b"photo")})
    assert reply.status_code == 507
    assert "TMPDIR" in reply.json()["hint"]


def test_a_client_that_goes_while_it_sends_is_no_error_of_the_server(pretending: Pretender) -> None:
    client = pretending()

    async def gone() -> Message:
        return {"type": "http.disconnect"}

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    for kind in (b"image/jpeg", b"multipart/form-data; boundary=edge"):
        headers = [(b"host", b"127.0.0.1"), (b"content-type", kind)]
        scope = {"type": "http", "method": "POST", "path": "/api/deblur", "headers": headers}
        assert client.portal
        client.portal.call(client.app, scope | {"query_string": b""}, gone, send)
    starts = [message["status"] for message in sent if message["type"] == "http.response.start"]
    assert starts == [409, 409]
    assert not any(client.app.state.jobs._root.iterdir())


def test_jobs_are_removed_by_the_event_loop_and_nothing_is_kept_of_them(
    pretending: Pretender,
) -> None:
    client = pretending()
    jobs = client.app.state.jobs
    remove, threads, removed = jobs.remove, list[int](), list[weakref.ref[Job]]()

    def noted(job: Job) -> None:
        threads.append(threading.get_ident())
        removed.append(weakref.ref(job))
        remove(job)

    jobs.remove = noted
    for _ in range(2):  # the last job is known until the next one
        assert client.post("/api/deblur", content=b"photo").content == b"photo"
    assert client.portal
    assert set(threads) == {client.portal.call(threading.get_ident)}
    assert removed[0]() is None


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


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits memory")
def test_a_photo_that_needs_too_much_memory_is_refused_and_the_server_goes_on(jpeg: bytes) -> None:
    file = io.BytesIO()
    Image.new("1", (9900, 9900)).save(file, "PNG")
    app = create_app(Settings(TINY, most_memory=700 * 10**6))
    with TestClient(app, base_url=LOCAL) as client:
        refused = client.post("/api/deblur", content=file.getvalue())
        assert refused.status_code == 413
        assert "--max-memory-mb" in refused.json()["hint"]
        assert client.post("/api/deblur", content=jpeg).status_code == 200
        assert "blurdm_worker_starts 1.0" in client.get("/metrics").text


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
        ("a.日本語", "a.日本語"),
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
    for letter in ("ä", "漢", "🎉"):
        path = tmp_path / f"{safe_name(letter * 500 + '.jpeg')}.deblurred.jpeg"
        path.write_bytes(b"")
        assert path.name.startswith(letter * 30)
        assert path.suffixes[0] == ".jpeg"


def test_an_end_of_the_server_deletes_all_files(pretending: Pretender) -> None:
    client = pretending()
    client.post("/api/jobs", content=b"photo")
    root = client.app.state.jobs._root
    assert root.exists()
    client.__exit__(None, None, None)
    assert not root.exists()
    client.__enter__()
