"""Owns cancelling a prediction that somebody else began; must not say what became of it.

What counts is what is answered at last: a cancel that is heard may still come too late.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from replicate_magic import errors
from replicate_magic.api import answers, cog_protocol, cog_server, protocol
from replicate_magic.prediction import is_final

if TYPE_CHECKING:
    from replicate_magic.api.client import Client
    from replicate_magic.api.protocol import APIRequest

_MOST_TRIES = 4
_PASSING = (
    errors.ConnectionFailed, errors.ConnectionLost, errors.RateLimited, errors.ServerError,
)  # fmt: skip


async def end(
    client: Client, prediction_id: str, *, subject: str, within_s: float
) -> tuple[dict[str, Any], bool]:
    """Cancel a prediction where it runs, and wait for its end.

    Args:
        client: of the API that runs it.
        prediction_id: which.
        subject: what errors call it.
        within_s: for how many seconds the end is waited for, once the cancel is heard.

    Returns:
        The API's JSON at last, which is not final where the end was not seen; and whether a cancel
        was sent at all.

    Raises:
        NotFound: the API does not know it.
        ReplicateMagicError: it could not be told to stop.
    """
    raw = await _read(client, protocol.get_request(prediction_id), subject)
    if is_final(raw):
        return raw, False
    try:
        raw = await _read(client, protocol.cancel_request(prediction_id), subject)
    except (errors.NotFound, errors.Unauthorized, *_PASSING):
        raise
    except errors.APIError:  # such as a run that has just ended: the GET tells
        raw = await _read(client, protocol.get_request(prediction_id), subject)
    loop, polls = asyncio.get_running_loop(), 0
    until_s = loop.time() + within_s
    while not is_final(raw) and loop.time() < until_s:
        await asyncio.sleep(protocol.poll_delay_s(polls, stream="none"))
        polls += 1
        with suppress(*_PASSING):
            answer = await client.send(protocol.get_request(prediction_id))
            raw = answers.read_prediction(answer, subject=subject)
    return raw, True


async def end_on_a_server(
    client: Client, prediction_id: str, *, subject: str, within_s: float
) -> bool:
    """Cancel a prediction that a Cog server runs.

    Returns:
        Whether it was seen that it runs no more. How it ended, only who began it is told.

    Raises:
        NotFound: the server does not know it: it has ended, or never was.
        ReplicateMagicError: it could not be told to stop.
    """
    answer = await client.send(protocol.cancel_request(prediction_id))
    if answer.status >= 300:
        raise cog_protocol.refusal(answer, subject=subject)
    schema = await cog_server.answer_to(client, cog_protocol.schema_request(), subject)
    if not cog_protocol.read_dialect(cog_protocol.read_openapi(schema)).checks:
        return False  # where inputs are not checked, to ask would be to run it again
    loop, polls = asyncio.get_running_loop(), 0
    until_s = loop.time() + within_s
    while loop.time() < until_s:
        with suppress(*_PASSING):
            state = await client.send(cog_protocol.question(prediction_id))
            if cog_protocol.read_state(state) is None:
                return True
        await asyncio.sleep(protocol.poll_delay_s(polls, stream="none"))
        polls += 1
    return False


async def _read(client: Client, request: APIRequest, subject: str) -> dict[str, Any]:
    """Cancelling twice is the same as once: it is sent again where it was not heard."""
    for attempt in range(1, _MOST_TRIES):
        try:
            return answers.read_prediction(await client.send(request), subject=subject)
        except _PASSING:
            await asyncio.sleep(protocol.backoff_s(attempt))
    return answers.read_prediction(await client.send(request), subject=subject)
