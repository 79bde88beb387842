"""Who may talk to the engine: the checks before any route, as ASGI middleware.

A page in the user's browser can reach 127.0.0.1 too; the `Host` check stops DNS rebinding, the
`Origin` check stops foreign pages, the token stops everybody else.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders

from . import problems
from .problems import Problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
CREATES_A_MINUTE = 600
OTHERS_A_MINUTE = 3000


class Guard:
    """Lets a request through to *app*, or answers 401 or 403."""

    def __init__(self, app: ASGIApp, *, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = _with_rate_limit(scope, send)
        if problem := self._objection(scope):
            await problems.answer(problem)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _objection(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        if _host(f"//{headers.get('host', '')}") not in LOOPBACK:
            return Problem(403, "The engine answers only to localhost and 127.0.0.1.")
        if "origin" in headers and _host(headers["origin"]) not in LOOPBACK:
            return Problem(403, "Requests from other origins are not allowed.")
        if not _is_capability_url(scope) and not self._knows_token(headers):
            return problems.unauthenticated()
        return None

    def _knows_token(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        known = hmac.compare_digest(given.strip().encode("utf-8", "replace"), self._token)
        return known and scheme.lower() in {"bearer", "token"}


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _is_capability_url(scope: Scope) -> bool:
    """Whether the URL itself is the secret; its route checks it."""
    path: str = scope["path"]
    if path.startswith("/v1/streams/"):
        return True
    query = parse_qs(scope["query_string"].decode("latin-1"))
    return path.startswith("/v1/files/") and path.endswith("/download") and "signature" in query


def _with_rate_limit(scope: Scope, send: Send) -> Send:
    # The engine limits nothing; these are the figures Replicate starts with.
    creates = scope["method"] == "POST" and scope["path"].endswith("/predictions")
    remaining = (CREATES_A_MINUTE if creates else OTHERS_A_MINUTE) - 1

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["ratelimit-remaining"] = str(remaining)
            headers["ratelimit-reset"] = "1"
        await send(message)

    return send_with_headers
