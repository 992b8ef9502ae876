"""blurdm serve: a page in the browser, and an HTTP API."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Annotated

import typer

from blurdm_cli.commands import deblur_options as options
from blurdm_cli.commands.console import say
from blurdm_cli.errors import RuntimeMissing, UsageError

LIMITS = "Limits"
LOCAL = ("127.0.0.1", "localhost", "::1")


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on. All but 127.0.0.1 need --token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 picks a free one.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="BLURDM_TOKEN", help="Secret that each request needs.", show_default="none"
        ),
    ] = None,
    model: options.Model = None,
    expert: options.Expert = None,
    device: options.Device = "auto",
    runtime: options.Runtime = "auto",
    precision: options.Precision = "auto",
    batch: options.Batch = 1,
    queue: Annotated[
        int,
        typer.Option(min=1, help="Requests that may wait; more get 503.", rich_help_panel=LIMITS),
    ] = 16,
    max_mb: Annotated[
        int, typer.Option(min=1, help="Size of a request in MB.", rich_help_panel=LIMITS)
    ] = 500,
    max_megapixels: Annotated[
        int,
        typer.Option(
            min=1, max=500, help="Size of a photo, or a video's frame.", rich_help_panel=LIMITS
        ),
    ] = 100,
    max_memory_mb: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Memory of a request, with the model; Linux only.",
            show_default="none",
            rich_help_panel=LIMITS,
        ),
    ] = None,
    max_seconds: Annotated[
        int, typer.Option(min=1, help="Seconds of work on a request.", rich_help_panel=LIMITS)
    ] = 600,
    keep: Annotated[
        int,
        typer.Option(
            min=1,
            help="Minutes that the files of an ended job are kept.",
            rich_help_panel=LIMITS,
        ),
    ] = 60,
) -> None:
    """Serve a page for the browser, and an HTTP API for other programs.

    Files stay on this machine, and are deleted after use. Ctrl-C finishes the current file.
    """
    if host not in LOCAL and not token:
        raise UsageError(
            f"Others could use the server at {host} without a token",
            hint="Add --token SECRET, or set BLURDM_TOKEN",
        )
    if max_memory_mb and sys.platform != "linux":
        raise UsageError(
            "Memory can be limited on Linux only", hint="Use a smaller --max-megapixels instead"
        )
    try:
        from blurdm_cli.serve.running import Address, run
        from blurdm_cli.serve.settings import Settings
    except ModuleNotFoundError as error:
        raise RuntimeMissing(
            f"{error.name} is not installed", hint="pip install 'blurdm-cli[serve]'"
        ) from error
    from blurdm_cli.pipeline.options import ModelOptions
    from blurdm_cli.zoo import DEFAULT

    settings = Settings(
        ModelOptions(model or DEFAULT, runtime, device, precision, batch=batch, expert=expert),
        token,
        queue,
        max_mb * 10**6,
        max_megapixels * 10**6,
        max_memory_mb and max_memory_mb * 10**6,
        max_seconds,
        keep * 60,
    )
    with suppress(KeyboardInterrupt):  # uvicorn repeats the signal that ended it
        run(settings, Address(host, port), say)
