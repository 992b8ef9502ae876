"""Receive the files and options of a request: a multipart form, or a single file as the body."""

from __future__ import annotations

import asyncio
import errno
import shutil
import unicodedata
from mimetypes import guess_extension
from pathlib import Path
from typing import Any, BinaryIO

from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive

from blurdm_cli.errors import BlurdmError, DiskFull, UsageError
from blurdm_cli.files.formats import CONTAINERS, SUFFIX_OF
from blurdm_cli.files.signatures import VIDEO, kind_of_file
from blurdm_cli.serve.failures import Stopped, TooLarge, TooSlow

FIELD = "file"
"""Name of the form field that holds files."""

GONE = "The client is gone"

MOST_FILES, MOST_FIELDS = 1000, 20

IDLE = 30.0
"""Seconds without a byte after which a request is given up."""

LONGEST_NAME = 160
"""Bytes of a file's name; the rest is cut off before the suffix. Disks hold 255."""


async def receive(
    request: Request, folder: Path, most_bytes: int, seconds: float
) -> tuple[list[Path], dict[str, Any]]:
    """Write the files of a request to a folder.

    Args:
        request: its body is read.
        folder: each file is written to its own sub-folder.
        most_bytes: limit of the body.
        seconds: limit for the arrival of the body.

    Returns:
        The files in their order, and the other fields of the form.

    Raises:
        TooLarge: the body is over the limit.
        TooSlow: it did not arrive in time.
        Stopped: the client is gone.
        DiskFull: there is no space left for the files.
        UsageError: there is no file in it.
    """
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most_bytes:
        raise _too_large(most_bytes)
    limited = Request(request.scope, _counted(request.receive, most_bytes))
    try:
        async with asyncio.timeout(seconds):
            if request.headers.get("content-type", "").startswith("multipart/form-data"):
                return await _form(limited, folder)
            return [await _body(limited, folder)], {}
    except TimeoutError as error:
        raise TooSlow(
            "The request did not arrive in time",
            hint=f"It may take {seconds:.0f} s, and pause for {IDLE:.0f} s",
        ) from error
    except ClientDisconnect as error:
        raise Stopped(GONE) from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFull(
            "The server has no space left for this request",
            hint="Free some space, or set TMPDIR to a folder on another disk",
        ) from error


async def _form(request: Request, folder: Path) -> tuple[list[Path], dict[str, Any]]:
    async with request.form(max_files=MOST_FILES, max_fields=MOST_FIELDS) as form:
        files, fields = list[Path](), dict[str, Any]()
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                if name != FIELD:
                    raise UsageError(f"There is no field {name!r}", hint=f"Use {FIELD!r}")
                path = _place(folder, len(files), value.filename or "")
                await asyncio.to_thread(_copy, value.file, path)
                files.append(_with_suffix(path))
            else:
                fields[name] = value
    if not files:
        raise UsageError(
            "There is no file in the form", hint=f"curl -F {FIELD}=@photo.jpg, for example"
        )
    return files, fields


async def _body(request: Request, folder: Path) -> Path:
    path = _place(folder, 0, "")
    with path.open("wb") as file:
        async for chunk in request.stream():
            file.write(chunk)
    if not path.stat().st_size:
        raise UsageError(
            "The request has no body", hint="Send a photo: curl --data-binary @photo.jpg"
        )
    return _with_suffix(path, request.headers.get("content-type", ""))


def _copy(source: BinaryIO, path: Path) -> None:
    with path.open("wb") as file:
        shutil.copyfileobj(source, file)


def _place(folder: Path, number: int, name: str) -> Path:
    """A path in a folder of its own, so that equal names stay apart."""
    own = folder / "in" / str(number)
    own.mkdir(parents=True)
    return own / safe_name(name)


def safe_name(name: str) -> str:
    """The last part of a file's name, without characters that have a meaning in paths."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    plain = "".join(
        "_" if each in '<>:"|?*%{}' or unicodedata.category(each)[0] == "C" else each
        for each in last
    )
    plain = plain.strip(" .")
    path = Path(plain or "photo")
    suffix = path.suffix[:10]
    room = LONGEST_NAME - len(suffix.encode())
    return path.stem.encode()[:room].decode(errors="ignore") + suffix


def _with_suffix(path: Path, media_type: str = "") -> Path:
    """Give a file without a suffix the one of its kind; of a video, that of its media type."""
    if path.suffix:
        return path
    kind = kind_of_file(path) or ""
    said = guess_extension(media_type.partition(";")[0].strip()) if kind == VIDEO else None
    return path.rename(path.with_suffix(SUFFIX_OF.get(kind, said if said in CONTAINERS else "")))


def _counted(receive: Receive, most_bytes: int) -> Receive:
    """Count the bytes of a body as they arrive, and wait for none too long."""
    arrived = 0

    async def counted() -> Message:
        nonlocal arrived
        async with asyncio.timeout(IDLE):
            message = await receive()
        arrived += len(message.get("body", b""))
        if arrived > most_bytes:
            raise _too_large(most_bytes)
        return message

    return counted


def _too_large(most_bytes: int) -> BlurdmError:
    return TooLarge(
        f"The request is larger than {most_bytes // 10**6} MB",
        hint="Send a smaller file, or start the server with a larger --max-mb",
    )
