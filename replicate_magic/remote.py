"""Owns merging the account's own list of predictions into the history; must not draw it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from replicate_magic import bridge
from replicate_magic.api.listing import pages
from replicate_magic.recording import fetched
from replicate_magic.runs.history import the_history

if TYPE_CHECKING:
    from collections.abc import Callable

    from replicate_magic.api.client import Client
    from replicate_magic.runs.query import Query


async def merge(client: Client, query: Query, tell: Callable[[str], None]) -> int:
    """Merge the account's predictions into history, by the query's times and limit; on the loop.

    Args:
        client: of the account.
        query: `since`, `until` and `limit` count.
        tell: told how far it is.

    Returns:
        How many there were.

    Raises:
        ReplicateMagicError: they could not be had; those that came are kept.
    """
    count = 0
    async for page in pages(client, since=query.since, until=query.until, tell=tell):
        records = [fetched(raw, client.base) for raw in page]
        wanted = records if query.limit is None else records[: query.limit - count]
        await bridge.in_turn(partial(the_history().save_all, wanted))
        count += len(wanted)
        if query.limit is not None and count >= query.limit:
            break
    return count
