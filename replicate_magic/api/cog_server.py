"""Owns what a Cog server is asked before it runs anything: its schema, and whether it is ready."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Any

from replicate_magic import errors
from replicate_magic.api import answers, cog_protocol, protocol
from replicate_magic.plain import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from replicate_magic.api.answers import Answer
    from replicate_magic.api.client import Client
    from replicate_magic.api.cog_protocol import Health
    from replicate_magic.api.protocol import APIRequest

    Tell = Callable[[str], None]

BUSY = "busy with another prediction"
_SETTING_UP = "the model is being set up"
_WAITED_FOR = {
    "STARTING": _SETTING_UP,
    "UNKNOWN": _SETTING_UP,
    "BUSY": BUSY,
}


async def described(
    client: Client, subject: str, tell: Tell
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """The schema of a server's model, and what the server says of itself.

    While the model is being set up there may be none yet, which is waited for; one that was never
    built by `cog build` has none at all.

    Args:
        client: the server.
        subject: what errors call it.
        tell: called with what is waited for.

    Raises:
        ConnectionFailed: nobody answers there.
        UnexpectedAnswer: whoever answers is no Cog server.
        ServerError: its setup has failed.
    """
    told = ""
    for waits in count():
        answer = await answer_to(client, cog_protocol.schema_request(), subject)
        if answer.status < 300:
            openapi = cog_protocol.read_openapi(answer)
            if openapi is None:
                break
            return openapi, await _root(client, subject)
        health = cog_protocol.read_health(
            await answer_to(client, cog_protocol.health_request(), subject)
        )
        if health is None:
            break
        reason = _reason(health, subject)
        if reason != _SETTING_UP:
            return None, await _root(client, subject)
        told = _told_once(reason, told, tell)
        await asyncio.sleep(protocol.poll_delay_s(waits, stream="none"))
    raise errors.UnexpectedAnswer(
        f"{subject}: whoever answers there is no Cog server: it tells of no predictions."
    )


async def until_ready(client: Client, subject: str, tell: Tell) -> None:
    """Wait until a server takes predictions.

    Args:
        client: the server.
        subject: what errors call it.
        tell: called with what is waited for.

    Raises:
        ConnectionFailed, UnexpectedAnswer: nobody answers any more.
        ServerError: it will never take one.
    """
    told = ""
    for waits in count():
        health = cog_protocol.read_health(
            await answer_to(client, cog_protocol.health_request(), subject)
        )
        reason = _reason(health, subject) if health else ""
        if not reason:
            return
        told = _told_once(reason, told, tell)
        await asyncio.sleep(protocol.poll_delay_s(waits, stream="none") / 2)


async def is_there(client: Client) -> bool:
    """Whether anybody answers."""
    try:
        await client.send(cog_protocol.health_request())
    except errors.ReplicateMagicError:
        return False
    return True


def _reason(health: Health, subject: str) -> str:
    """What is to be waited for; an empty string where nothing is."""
    if health.is_broken:
        raise cog_protocol.broken(health, subject=subject)
    return _WAITED_FOR.get(health.status, "")


def _told_once(reason: str, told: str, tell: Tell) -> str:
    if reason != told:
        tell(reason)
    return reason


async def _root(client: Client, subject: str) -> dict[str, Any]:
    answer = await answer_to(client, cog_protocol.root_request(), subject)
    try:
        return answers.read_object(answer, subject=subject)
    except errors.ReplicateMagicError:
        return {}


async def answer_to(client: Client, request: APIRequest, subject: str) -> Answer:
    """The answer to a question that may be asked twice.

    Raises:
        ConnectionFailed, ConnectionLost: there is none; the message is about Cog servers.
    """
    try:
        try:
            return await client.send(request)
        except errors.ConnectionLost:  # such as a connection that was kept for long
            return await client.send(request)
    except errors.ConnectionFailed as error:
        reason = one_line(str(error.__cause__ or error)).rstrip(".")
        raise errors.ConnectionFailed(
            f"No Cog server answers at {subject}: {reason}. Nothing was run. Is it started, and "
            "is that its port?"
        ) from error
