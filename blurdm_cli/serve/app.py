"""The HTTP server: its routes, errors and start and end."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from blurdm_cli.errors import BlurdmError
from blurdm_cli.serve import routes
from blurdm_cli.serve.access import Access
from blurdm_cli.serve.failures import Busy, Failure, ServerError, failure_row
from blurdm_cli.serve.jobs import Jobs
from blurdm_cli.serve.metrics import CONTENT_TYPE_LATEST, Metrics
from blurdm_cli.serve.settings import Settings, refused
from blurdm_cli.serve.worker import Worker
from blurdm_cli.version import __version__

PAGE = Path(__file__).with_name("page")

mimetypes.add_type("text/javascript", ".js")  # Windows may have another in its registry

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' blob: data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""Headers of every response: the page loads nothing from elsewhere, and nothing is stored."""


def create_app(settings: Settings, worker: Worker | None = None) -> FastAPI:
    """Build the server.

    Args:
        settings: its settings.
        worker: the process that restores photos; None: one with the settings' model.
    """
    metrics = Metrics()
    process = worker or worker_for(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        jobs = Jobs(process, metrics, queue=settings.queue, keep_seconds=settings.keep_seconds)
        app.state.jobs = jobs
        try:
            await process.start()
            working = asyncio.create_task(jobs.work())
            yield
            working.cancel()
            with suppress(asyncio.CancelledError):
                await working
        finally:
            await jobs.close()

    app = FastAPI(
        title="blurdm",
        version=__version__,
        description="Removes motion blur from photos and videos.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = settings
    app.include_router(routes.router)

    @app.get("/healthz", response_class=PlainTextResponse, summary="Whether the server works")
    def health() -> str:
        return "ok\n"

    @app.get("/metrics", response_class=PlainTextResponse, summary="Metrics for Prometheus")
    def read_metrics() -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/docs", include_in_schema=False)
    def docs() -> Response:
        return Response((PAGE / "docs.html").read_bytes(), media_type="text/html")

    app.mount("/", StaticFiles(directory=PAGE, html=True))

    app.add_middleware(Access, token=settings.token)
    app.add_middleware(_Finish, metrics=metrics)
    _answer_errors(app)
    return app


def worker_for(settings: Settings) -> Worker:
    """The process that restores photos, within the limits of the settings."""
    return Worker(settings.model, settings.most_pixels, settings.seconds, settings.most_memory)


class _Finish:
    """ASGI middleware that adds headers to each response and counts it."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def finish(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                self._metrics.requests.labels(str(message["status"])).inc()
            await send(message)

        await self._app(scope, receive, finish)


def _answer_errors(app: FastAPI) -> None:
    """Answer errors as JSON, with the message and hint of the command line."""

    @app.exception_handler(BlurdmError)
    def answer(request: Request, error: BlurdmError) -> JSONResponse:
        row = error.row if isinstance(error, Failure) else failure_row(error)
        headers = {"Retry-After": str(error.seconds)} if isinstance(error, Busy) else {}
        return JSONResponse(row, row["http_status"], headers)

    @app.exception_handler(RequestValidationError)
    def answer_options(request: Request, error: RequestValidationError) -> JSONResponse:
        return answer(request, refused(error.errors()))

    @app.exception_handler(HTTPException)
    def answer_http(request: Request, error: HTTPException) -> JSONResponse:
        said = ServerError(f"{request.url.path}: {error.detail}", hint="/docs lists the requests")
        row = failure_row(said) | {"http_status": error.status_code}
        return JSONResponse(row, error.status_code, error.headers)
