"""Owns a client for each endpoint, over connections that all share; must not know what they ask."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from replicate_magic import bridge
from replicate_magic.api.client import Client, open_pool

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replicate_magic.api.limiter import Limiter
    from replicate_magic.api.pool import Pool
    from replicate_magic.endpoint import Endpoint

_SETTLE_S = 1.5  # with what stops a run, less than `bridge.CLEAN_UP_S`


class Clients:
    """The clients of the present loop; they end with it."""

    def __init__(self) -> None:
        self._pool: tuple[asyncio.AbstractEventLoop, Pool] | None = None
        self._clients: dict[Endpoint, Client] = {}

    async def at(self, endpoint: Endpoint) -> Client:
        """The client of an endpoint."""
        here = asyncio.get_running_loop()
        if self._pool is None or self._pool[0] is not here:  # closed, or left behind by a fork
            self._pool = (here, open_pool())
            self._clients = {}
            bridge.here().at_close(partial(_close, self._pool[1], self._clients))
        if endpoint not in self._clients:
            pool = self._pool[1]
            self._clients[endpoint] = Client(pool, base=endpoint.base, token=endpoint.token)
        return self._clients[endpoint]

    def limits(self, endpoint: Endpoint) -> Limiter | None:
        """The rate limits of an endpoint, where it has been asked for anything."""
        client = self._clients.get(endpoint)
        return client.limits if client else None


async def _close(pool: Pool, clients: Mapping[Endpoint, Client]) -> None:
    """Cancels that are on their way get a while to arrive."""
    await asyncio.gather(*(client.settle(_SETTLE_S) for client in clients.values()))
    await pool.aclose()
