"""Run the server until a signal ends it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any
from urllib.parse import quote

import uvicorn

from blurdm_cli.errors import UsageError
from blurdm_cli.serve.app import create_app, worker_for
from blurdm_cli.serve.settings import Settings

GRACE = 30
"""Seconds that running requests have to end after the first signal; a second one ends at once."""


BACKLOG = 2048
"""Connections that wait to be accepted."""


@dataclass(frozen=True)
class Address:
    """Where the server listens."""

    host: str
    port: int

    def bind(self) -> socket.socket:
        """Open the socket.

        Raises:
            UsageError: the address is taken, or is not one of this machine.
        """
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listening = socket.socket(family)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((self.host, self.port))
            listening.listen(BACKLOG)  # who reads the address may connect at once
        except OSError as error:
            listening.close()
            reason = error.strerror or str(error)
            raise UsageError(
                f"The server cannot listen on {self.host}, port {self.port}: {reason}",
                hint="Choose another --port; 0 picks a free one",
            ) from error
        return listening


class _Server(uvicorn.Server):
    """Ends the queue at the first signal, so that waiting clients get an answer."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        app: Any = self.config.app
        asyncio.get_running_loop().call_soon_threadsafe(app.state.jobs.close_queue)
        super().handle_exit(sig, frame)


def run(settings: Settings, address: Address, say: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        settings: the server's settings.
        address: where it listens.
        say: told where the page is.

    Raises:
        UsageError: the address cannot be used.
        Failure: the model cannot be opened.
    """
    with address.bind() as listening:
        asyncio.run(_serve(settings, listening, say))


async def _serve(settings: Settings, listening: socket.socket, say: Callable[[str], None]) -> None:
    worker = worker_for(settings)
    await worker.start()
    app = create_app(settings, worker)
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=GRACE, ws="none")
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    query = f"/?token={quote(settings.token)}" if settings.token else "/"
    say(f"http://{shown}:{port}{query}   Ctrl-C ends the server")
    await _Server(config).serve(sockets=[listening])
