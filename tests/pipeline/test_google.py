"""Objects in a Google bucket, against a server on this machine that ignores conditions."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.buckets import rows
from tests.cli import TINY, Blurdm

google = pytest.importorskip("gcp_storage_emulator.server", reason="there is no Google server")

WORDS = ("deblur", "gs://photos/in", "-o", "gs://photos/out/", "--json", *TINY)
NAMES = [f"gs://photos/in/{letter}.png" for letter in "ab"]


@pytest.fixture(scope="module")
def running() -> Iterator[Any]:
    """A client of a server with a bucket "photos"."""
    fsspec, gcsfs = pytest.importorskip("fsspec"), pytest.importorskip("gcsfs")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        patch.setenv("FSSPEC_GS_TOKEN", "anon")
        # not the class that finds out with gRPC what kind of bucket it is
        fsspec.register_implementation("gs", gcsfs.core.GCSFileSystem, clobber=True)
        with google.create_server("127.0.0.1", port, in_memory=True, default_bucket="photos"):
            yield gcsfs.core.GCSFileSystem(token="anon", use_listings_cache=False)
        gcsfs.core.GCSFileSystem.clear_instance_cache()


@pytest.fixture
def files(
    running: Any, colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """The client, with a.png and b.png in the folder "in" of the bucket."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for letter in "cdef":
        (colours / f"{letter}.png").unlink()
    for path in colours.iterdir():
        running.pipe_file(f"photos/in/{path.name}", path.read_bytes())
    yield running
    running.rm(running.find("photos"))


def test_a_google_bucket_as_input_and_output_gives_the_bytes_of_files(
    blurdm: Blurdm, files: Any, colours: Path, tmp_path: Path
) -> None:
    assert blurdm("deblur", colours, "-o", tmp_path / "whole", *TINY).code == 0
    first, second = blurdm(*WORDS), blurdm(*WORDS)
    assert first.code == 0, first.err
    assert rows(first.out) == [(name, "done") for name in NAMES]
    assert rows(second.out) == [(name, "skipped") for name in NAMES]
    for letter in "ab":
        content = (tmp_path / "whole" / f"{letter}.png").read_bytes()
        assert files.cat_file(f"photos/out/{letter}.png") == content
    assert files.info("photos/out/a.png")["contentType"] == "image/png"
    other = blurdm(*WORDS, "--strength", "0.5")
    assert rows(other.out) == [(name, "done") for name in NAMES]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileExistsError("o"), "was changed by somebody else"),
        (OSError("Forbidden: o\n"), "must be allowed to list the bucket"),
    ],
)
def test_an_object_that_the_server_refuses_is_an_error_of_its_file(
    blurdm: Blurdm,
    files: Any,
    monkeypatch: pytest.MonkeyPatch,
    error: OSError,
    said: str,
) -> None:
    """These are the errors that gcsfs raises for the answers 412 and 403."""
    call = type(files)._call

    async def answered(self: Any, method: str, *words: Any, **options: Any) -> Any:
        if options.get("ifGenerationMatch") == "0":
            raise error
        return await call(self, method, *words, **options)

    monkeypatch.setattr(type(files), "_call", answered)
    result = blurdm(*WORDS)
    assert result.code == 5
    assert said in result.err
    assert files.find("photos/out") == []
