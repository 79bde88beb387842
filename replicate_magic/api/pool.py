"""Owns connections: which one a request takes, and when it is closed; must not know what is sent.

httpx's own pool looks at all of its connections for each request and each answer, which costs more
than the request itself where sixty are in use. So each of httpx's clients here carries one request
at a time, and of those that lead to its origin the one used last is taken first.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple, Self

from replicate_magic.api.protocol import origin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import httpx

    Origin = tuple[str, str, int | None]

IDLE_S = 5.0
"""As httpx has it: what is idle for longer may be closed by the API just as it is used again."""


class _Free(NamedTuple):
    to: Origin
    since_s: float
    http: httpx.AsyncClient


class Pool:
    """Connections that all clients of a loop share; as many as there are requests at a time.

    Args:
        open_one: makes a client of httpx.
        idle_s: for how long one that is not in use is kept, at least: it is closed at the next
            request.
    """

    def __init__(self, open_one: Callable[[], httpx.AsyncClient], idle_s: float = IDLE_S) -> None:
        self._open_one = open_one
        self._idle_s = idle_s
        self._all: set[httpx.AsyncClient] = set()
        self._free: list[_Free] = []  # the longest idle first

    @asynccontextmanager
    async def client(self, url: str) -> AsyncIterator[httpx.AsyncClient]:
        """A client of httpx for one request to an address, until its answer is read."""
        to = origin(url)
        http = self._take(to)
        try:
            await self._close_idle()
            yield http
        finally:
            self._free.append(_Free(to, time.monotonic(), http))

    def _take(self, to: Origin) -> httpx.AsyncClient:
        for place in reversed(range(len(self._free))):
            if self._free[place].to == to:
                return self._free.pop(place).http
        http = self._open_one()
        self._all.add(http)
        return http

    async def _close_idle(self) -> None:
        until_s = time.monotonic() - self._idle_s
        while self._free and self._free[0].since_s < until_s:
            http = self._free.pop(0).http
            self._all.discard(http)
            await http.aclose()

    async def aclose(self) -> None:
        """Close all connections, those in use as well."""
        self._free.clear()
        while self._all:
            await self._all.pop().aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
