"""Owns finding what had been created when its process died, before history knew of it.

It must not create anything. Requests that are alike are worth the same, so that any of several
predictions that could be theirs will do; what history has already is somebody else's.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from replicate_magic import bridge
from replicate_magic.api import answers, protocol
from replicate_magic.runs.history import the_history

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from replicate_magic.api.client import Client
    from replicate_magic.api.protocol import Create

_MOST_PAGES = 200
# https://replicate.com/docs/topics/predictions/data-retention
_COMPARABLE = timedelta(hours=1)  # for so long the API keeps an input


async def created_meanwhile(
    client: Client, creates: Mapping[int, tuple[Create, bool | None]], since: datetime
) -> dict[int, dict[str, Any]]:
    """What the API has of requests that history has no prediction of.

    Args:
        client: the API.
        creates: the requests by number, and whether the model is an official one, where known.
        since: when the first of them may have been created, by a clock that may have been wrong.

    Returns:
        The API's JSON by number, for those that were found.

    Raises:
        ReplicateMagicError: the account's predictions cannot be listed.
    """
    missing, found = dict(creates), dict[int, dict[str, Any]]()
    if not missing:
        return found
    after = _back_to(client, since)
    answer = await client.send(protocol.list_request(created_after=after))
    if (truly := _back_to(client, since)) < after - protocol.LOOK_BACK:  # its Date has told
        answer = await client.send(protocol.list_request(created_after=truly))
    for _ in range(_MOST_PAGES):
        page = answers.read_object(answer, subject="the account's recent predictions")
        for raw in answers.objects_in(page, "results"):
            number = _whose(raw, missing)
            if number is None or await bridge.apart(partial(the_history().has, str(raw["id"]))):
                continue
            found[number] = raw
            del missing[number]
        url = protocol.next_page(page, client.base)
        if url is None or not missing:
            break
        answer = await client.send(protocol.APIRequest(method="GET", path=url))
    return found


def _back_to(client: Client, since: datetime) -> datetime:
    """From when on predictions are listed; all that can be compared, since clocks may be set."""
    return min(since, client.server_time() - _COMPARABLE) - protocol.LOOK_BACK


def _whose(raw: dict[str, Any], missing: Mapping[int, tuple[Create, bool | None]]) -> int | None:
    return next(
        (
            number
            for number, (create, official) in missing.items()
            if protocol.could_be(raw, create, official=official)
        ),
        None,
    )
