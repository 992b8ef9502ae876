"""Objects in a bucket, through fsspec, which is only imported when one is named.

An object is written in one request, or in parts that count once all have arrived: readers see the
old object or the new one. Facts about a result are stored as the object's metadata, so they come
and go with its bytes.
"""

from __future__ import annotations

import errno
import json
import logging
import mimetypes
import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from blurdm_cli.errors import BlurdmError, InputError, OutputError, RuntimeMissing, UsageError
from blurdm_cli.files.atomic import output_error
from blurdm_cli.files.signatures import HEAD
from blurdm_cli.spec import parse_json

PACKAGES = {"s3": "s3fs", "gs": "gcsfs"}
"""The package of each scheme; each is also the name of an extra."""

LOGIN = {
    "s3": "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "gs": "Set GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth application-default login",
}
"""How to give credentials."""

UNKNOWN = re.compile("Credential|TokenRetrieval|ProfileNotFound|SSO|Refresh")
"""Names of errors of a caller who has not logged in."""

PART = 50 * 2**20
"""Bytes in a part of a large object."""

KEY = "blurdm"
"""The metadata's key."""

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a full disk."""


@dataclass(frozen=True)
class Object:
    """An object as it is listed."""

    url: str
    size: int
    mtime_ns: int
    """In whole seconds, the precision that all servers give."""
    tag: str
    """Differs whenever the content does."""


def scheme_of(word: str) -> str | None:
    """The scheme of a URL in lower case; None for a path, and for a file that looks like a URL."""
    scheme, colon, _ = word.partition("://")
    named = bool(colon) and re.fullmatch("[A-Za-z][A-Za-z0-9+.-]*", scheme)
    return scheme.lower() if named and not os.path.lexists(word) else None


def is_object(word: str) -> bool:
    """Whether a word is the URL of an object or of a folder of objects.

    Raises:
        UsageError: it is a URL, but not one that is supported.
    """
    scheme = scheme_of(word)
    if scheme in (None, "file"):
        return False
    if scheme not in PACKAGES:
        raise UsageError(
            f"{word}: {scheme}:// is not supported", hint="Supported: s3://, gs://, file://, paths"
        )
    if not word.partition("://")[2].strip("/"):
        raise UsageError(f"{word} names no bucket", hint=f"Example: {scheme}://bucket/folder/")
    return True


def without_scheme(word: str) -> str:
    """The path of a file:// URL; any other word as it is.

    Raises:
        UsageError: the URL names another computer.
    """
    if scheme_of(word) != "file":
        return word
    parts = urlsplit(word.replace("?", "%3F").replace("#", "%23"))
    if parts.netloc not in ("", "localhost"):
        raise UsageError(
            f"{word} is on another computer",
            hint=f"Three slashes for this one: file:///{parts.netloc}",
        )
    from urllib.request import url2pathname  # slow to import

    return url2pathname(parts.path)


class Store:
    """The objects of one scheme. Threads may share it."""

    def __init__(self, scheme: str) -> None:
        """Open it; nothing is sent yet.

        Raises:
            RuntimeMissing: the scheme's package is not installed.
        """
        package = PACKAGES[scheme]
        try:
            import fsspec

            options = {"use_listings_cache": False, **_patience(scheme)}
            self._files: Any = fsspec.filesystem(scheme, **options)
        except ImportError as error:
            raise RuntimeMissing(
                f"{scheme}:// needs {package}, which is not installed",
                hint=f'pip install {package}, or "blurdm-cli[{scheme}]"',
            ) from error
        logging.getLogger(package).setLevel(logging.CRITICAL)  # what matters is raised
        self._scheme = scheme

    def find(
        self, url: str, prefix: str = "", error: type[BlurdmError] = InputError
    ) -> list[Object]:
        """List the object of this name, or all objects in the folder of this name, sorted.

        Args:
            url: the object or the folder.
            prefix: beginning of the names in the folder.
            error: what to raise.

        Raises:
            BlurdmError: there is no such bucket, it may not be listed, or cannot be reached.
        """
        more = {"prefix": prefix} if prefix else {}
        found = self._try(error, url, lambda: self._files.find(_path(url), detail=True, **more))
        return [self._object(name, info) for name, info in sorted(found.items())]

    def head(self, found: Object) -> bytes:
        """Read the first bytes of an object.

        Raises:
            InputError: they cannot be read.
        """
        if found.size == 0:
            return b""
        limits = {"start": 0, "end": min(HEAD, found.size)}
        path = _path(found.url)
        return self._try(InputError, found.url, lambda: self._files.cat_file(path, **limits))

    def fetch(self, url: str, path: Path) -> None:
        """Write an object's content to a file.

        Raises:
            InputError: it cannot be read.
            DiskFull: the file does not fit.
        """
        self._try(InputError, url, lambda: self._files.get_file(_path(url), str(path)), path)

    def facts(self, url: str) -> dict[str, Any]:
        """Facts that were stored with an object; empty if there are none.

        Raises:
            OutputError: they cannot be read.
        """

        def read() -> Any:
            with suppress(FileNotFoundError):
                if self._scheme == "s3":
                    return self._files.metadata(_path(url))
                return self._files.info(_path(url)).get("metadata")

        text = (self._try(OutputError, url, read) or {}).get(KEY, "{}")
        with suppress(ValueError):
            facts = parse_json(text)
            return facts if isinstance(facts, dict) else {}
        return {}

    def send(self, path: Path, url: str, facts: dict[str, Any], replaced: Object | None) -> None:
        """Write a file's content to an object, whole or not at all.

        Args:
            path: the file.
            url: the object.
            facts: stored with it.
            replaced: the object that it may replace; None: only write it if there is none.

        Raises:
            OutputError: it cannot be written, or somebody else wrote to it meanwhile.
        """
        kind = mimetypes.guess_type(url)[0] or "application/octet-stream"
        names = {"s3": ("Metadata", "ContentType"), "gs": ("metadata", "content_type")}
        options = dict(zip(names[self._scheme], ({KEY: json.dumps(facts)}, kind), strict=True))
        options["mode"] = "overwrite" if replaced else "create"

        def put() -> None:
            if replaced and _tag(self._files.info(_path(url))) != replaced.tag:
                raise FileExistsError
            if self._scheme == "s3" and path.stat().st_size >= 2 * PART:
                self._abort_unfinished(url)
            self._files.put_file(str(path), _path(url), chunksize=PART, **options)

        self._try(OutputError, url, put)

    def _abort_unfinished(self, url: str) -> None:
        """Remove the parts of a large object that a killed run left: unseen, but paid for."""
        bucket, _, key = _path(url).partition("/")
        with suppress(PermissionError):
            listed = self._files.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=key)
            for upload in listed.get("Uploads", ()):
                if upload["Key"] == key:
                    self._files.abort_mpu(bucket, key, upload["UploadId"])

    def _object(self, name: str, info: dict[str, Any]) -> Object:
        when = info["LastModified"] if self._scheme == "s3" else info["mtime"]
        seconds = int(when.timestamp())
        return Object(f"{self._scheme}://{name}", info["size"], seconds * 10**9, _tag(info))

    def _try(
        self,
        kind: type[BlurdmError],
        url: str,
        call: Callable[[], Any],
        path: Path | None = None,
    ) -> Any:
        """Call fsspec; all errors of all its packages become our own here."""
        try:
            return call()
        except Exception as error:
            if path and isinstance(error, OSError) and error.errno in FULL:
                raise output_error(path, error) from error
            raise self._error(kind, url, error) from error

    def _error(self, kind: type[BlurdmError], url: str, error: Exception) -> BlurdmError:
        verb = "read" if kind is InputError else "written"
        reason = (str(error) or type(error).__name__).splitlines()[0]
        if isinstance(error, FileExistsError):
            return kind(
                f"{url} was changed by somebody else while the result was being made",
                hint="Move it elsewhere and run the same command again",
            )
        if isinstance(error, FileNotFoundError):
            if "bucket" in f"{reason} {error.__cause__!r}".lower():
                bucket = _path(url).partition("/")[0]
                return kind(f"There is no bucket {bucket}", hint=f"Check {self._scheme}://{bucket}")
            return kind(f"There is no {url}", hint="Check the name and the folder")
        denied = isinstance(error, PermissionError) or getattr(error, "code", 0) in (401, 403)
        if denied or reason.startswith("Forbidden"):  # the words of gcsfs
            hint = "The account must be allowed to list the bucket, and to read and write objects"
            return kind(f"{url} cannot be {verb}: {reason}", hint=hint)
        if UNKNOWN.search(type(error).__name__):
            return kind(f"{url} cannot be {verb}: {reason}", hint=LOGIN[self._scheme])
        hint = "Check the network and the address; the same command continues"
        return kind(f"{url} cannot be {verb}: {reason}", hint=hint)


def _tag(info: dict[str, Any]) -> str:
    return str(info.get("ETag") or info["etag"]).strip('"')


def _path(url: str) -> str:
    """Return the bucket and key of a URL, which fsspec calls a path."""
    return url.partition("://")[2]


def _patience(scheme: str) -> dict[str, Any]:
    """Time limits, so that a lost network is an error within minutes.

    fsspec's own configuration is respected.
    """
    if scheme != "s3":
        return {}
    from fsspec.config import conf

    own = conf.get("s3", {}).get("config_kwargs", {})
    return {"config_kwargs": {"connect_timeout": 10, "read_timeout": 30, **own}}
