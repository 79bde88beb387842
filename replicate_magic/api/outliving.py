"""Owns work that goes on where nobody waits for it any more; must not know what it is."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine


def hear_out(task: asyncio.Task[Any]) -> None:
    """Mark an error as seen, as a task's callback; whoever waits for the task is told of it too."""
    if not task.cancelled():
        task.exception()


async def to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Do what is bounded by itself; being cancelled meanwhile does not end it.

    Raises:
        asyncio.CancelledError: the caller was cancelled; the work is done all the same.
    """
    doing = asyncio.create_task(work)
    try:
        await asyncio.shield(doing)
    except asyncio.CancelledError:
        while not doing.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({doing})
        raise
