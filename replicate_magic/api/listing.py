"""Owns the list of an account's predictions, page by page; must not keep them.

Source: https://replicate.com/docs/reference/http#predictions.list
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from replicate_magic import errors
from replicate_magic.api import answers, protocol
from replicate_magic.plain import one_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime

    from replicate_magic.api.client import Client

_SUBJECT = "the account's predictions"
_MOST_TRIES = 5
_MOST_DELAY_S = 60.0


async def pages(
    client: Client,
    *,
    since: datetime | None,
    until: datetime | None,
    tell: Callable[[str], None],
) -> AsyncIterator[list[dict[str, Any]]]:
    """The predictions of each page, newest first, a hundred at most.

    Items have no logs, and are otherwise the API's JSON of a prediction. A `next` on another host
    is not followed. What is waited for is told.

    Raises:
        APIError, ConnectionFailed, UnexpectedAnswer: as their docstrings say.
    """
    request = protocol.list_request(created_after=since, created_before=until)
    seen: set[str] = set()
    while request.path not in seen:
        seen.add(request.path)
        page = await _page(client, request, tell)
        yield [raw for raw in answers.objects_in(page, "results") if answers.is_prediction(raw)]
        url = protocol.next_page(page, client.base)
        if url is None:
            return
        request = replace(request, path=url)


async def _page(
    client: Client, request: protocol.APIRequest, tell: Callable[[str], None]
) -> dict[str, Any]:
    """A page, asked for again where that may help."""
    tries = 0
    while True:
        tries += 1
        delay_s = protocol.backoff_s(tries)
        try:
            answer = await client.send(request)
            if answer.status == 429:
                delay_s = answers.retry_after_s(answer, client.server_time())
            return answers.read_object(answer, subject=_SUBJECT)
        except (
            errors.ServerError, errors.RateLimited, errors.ConnectionLost, errors.ConnectionFailed,
        ) as error:  # fmt: skip
            if tries >= _MOST_TRIES or delay_s > _MOST_DELAY_S:
                raise
            tell(f"{one_line(str(error), limit=80)} Asked again in {delay_s:.0f} s.")
        await asyncio.sleep(delay_s)
