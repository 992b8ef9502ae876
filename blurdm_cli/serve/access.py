"""Who may use the server: the token, the host name, and no other site in the user's browser."""

from __future__ import annotations

import secrets
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from blurdm_cli.serve.failures import Forbidden, ServerError, Unauthorized, failure_row

COOKIE = "blurdm-token"
LOCAL = ("127.0.0.1", "localhost", "::1")
OPEN = ("/healthz",)
"""Paths that need no token."""


class Access:
    """ASGI middleware that refuses requests from elsewhere.

    With a token, each request needs it: `Authorization: Bearer TOKEN`, or the cookie that
    `/?token=TOKEN` sets. Without one, requests must name this machine as their host, so that no
    web site can reach the server under a name of its own. A request that a browser makes for
    another site is always refused.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            self._check_site(headers)
            query = parse_qs(scope["query_string"].decode("latin-1"))
            given = query.pop("token", [""])[0]
            if self._token and given and self._fits(given) and scope["path"] == "/":
                reply = RedirectResponse("/?" + urlencode(query, doseq=True) if query else "/", 303)
                reply.set_cookie(COOKIE, given, httponly=True, samesite="strict")
                await reply(scope, receive, send)
                return
            if scope["path"] not in OPEN:
                self._check_token(headers)
        except ServerError as error:
            asks = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}
            refusal = JSONResponse(failure_row(error), error.status, asks)
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check_site(self, headers: Headers) -> None:
        host = headers.get("host", "")
        if not self._token and _name(host) not in LOCAL:
            raise Forbidden(
                f"{host!r} is not this machine's own name",
                hint="Open http://127.0.0.1, or start the server with --token",
            )
        origin = headers.get("origin")
        if origin and origin.partition("//")[2] != host:
            raise Forbidden("The request comes from another site", hint="Use the server's own page")

    def _check_token(self, headers: Headers) -> None:
        if not self._token:
            return
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        if not self._fits(bearer if scheme.lower() == "bearer" else cookie):
            raise Unauthorized(
                "The token is missing or wrong",
                hint="Send Authorization: Bearer TOKEN, or open /?token=TOKEN",
            )

    def _fits(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), (self._token or "").encode())


def _name(host: str) -> str | None:
    """The name in a Host header, without the port; None if it is malformed."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
