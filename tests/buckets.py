"""An S3 server on this machine, for tests."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest


@dataclass
class Server:
    """A server that may be stopped and started again; its objects stay."""

    port: int = 0
    files: Any = None
    _running: Any = field(default=None, repr=False)

    def start(self) -> None:
        from moto.server import ThreadedMotoServer

        self._running = ThreadedMotoServer("127.0.0.1", self.port, verbose=False)
        self._running.start()
        self.port = self._running.get_host_and_port()[1]

    def stop(self) -> None:
        self._running.stop()

    def put(self, url: str, content: bytes) -> None:
        self.files.pipe_file(url, content)

    def contents(self, url: str) -> dict[str, bytes]:
        """The objects below a URL, by their names there."""
        names = self.files.find(url)
        inside = len(url.removeprefix("s3://"))
        return {name[inside:]: self.files.cat_file(name) for name in names}


ACCOUNT = {
    "AWS_ACCESS_KEY_ID": "id",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_MAX_ATTEMPTS": "1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def environment(server: Server) -> Mapping[str, str]:
    """Variables that lead S3 clients to the server."""
    return ACCOUNT | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.port}"}


@contextmanager
def serving() -> Iterator[Server]:
    """Run a server, with a bucket `photos`, while the block runs."""
    pytest.importorskip("moto")
    s3fs = pytest.importorskip("s3fs")
    server = Server()
    server.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment(server).items():
                patch.setenv(name, value)
            server.files = s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)
            server.files.makedirs("photos", exist_ok=True)  # moto keeps its buckets
            yield server
    finally:
        s3fs.S3FileSystem.clear_instance_cache()
        server.stop()


@contextmanager
def refusing(request: str, error: Exception) -> Iterator[None]:
    """Fail requests of one kind while the block runs."""
    from s3fs import S3FileSystem

    call = S3FileSystem._call_s3

    async def answered(files: S3FileSystem, method: str, *words: Any, **options: Any) -> Any:
        if method == request:
            raise error
        return await call(files, method, *words, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(S3FileSystem, "_call_s3", answered)
        yield


def rows(text: str) -> list[tuple[str, str]]:
    """Inputs and statuses of a run with --json."""
    return [(row["input"], row["status"]) for row in map(json.loads, text.splitlines())]
