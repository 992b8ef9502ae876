"""Errors of the server, and the HTTP status of every error."""

from __future__ import annotations

from typing import Any

from blurdm_cli.errors import (
    BlurdmError,
    ComputeError,
    DiskFull,
    InputError,
    MemoryFull,
    ModelError,
    OutOfMemory,
    OutputError,
    TooManyPixels,
    UsageError,
)


class ServerError(BlurdmError):
    """The server refuses or gives up a request."""

    status = 500


class Busy(ServerError):
    """The queue is full, or the server is stopping."""

    status = 503

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message, hint=f"Try again in {seconds} s")
        self.seconds = seconds


class TooLarge(ServerError):
    """The body is over the limit."""

    status = 413


class TooSlow(ServerError):
    """The request did not arrive, or was not finished, in time."""

    status = 504


class Stopped(ServerError):
    """The job was cancelled."""

    status = 409


class Crashed(ServerError):
    """The worker process ended while it worked on the request."""


class NotFound(ServerError):
    """There is no such job, file or model."""

    status = 404


class Forbidden(ServerError):
    """The request comes from another site, or has another host name."""

    status = 403


class Unauthorized(ServerError):
    """The token is missing or wrong."""

    status = 401


STATUS: tuple[tuple[type[BlurdmError], int], ...] = (
    (UsageError, 400),
    (TooManyPixels, 413),
    (InputError, 422),
    (DiskFull, 507),
    (OutputError, 422),
    (ModelError, 500),
    (MemoryFull, 413),
    (OutOfMemory, 413),
    (ComputeError, 500),
)


def status_of(error: BlurdmError) -> int:
    """The HTTP status of an error."""
    if isinstance(error, ServerError):
        return error.status
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def hint_of(error: BlurdmError) -> str:
    """The hint for a client, who cannot give the server memory."""
    if isinstance(error, MemoryFull | OutOfMemory):
        return "Send a smaller file, or start the server with more memory; see --max-memory-mb"
    return error.hint or ""


def failure_row(error: BlurdmError) -> dict[str, Any]:
    """An error for JSON."""
    return {
        "error": str(error),
        "hint": hint_of(error),
        "exit_code": error.exit_code,
        "http_status": status_of(error),
    }


class Failure(BlurdmError):
    """A failure that the worker reported."""

    def __init__(self, row: dict[str, Any]) -> None:
        super().__init__(row["error"], hint=row["hint"] or None)
        self.row = row
        self.exit_code = row["exit_code"]
