"""Owns looking, for a person, for what processes had sent that ended before they knew the id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicate_magic.errors import ReplicateMagicError
from replicate_magic.leftover import look_up
from replicate_magic.plain import count
from replicate_magic.runs.history import the_history
from replicate_magic.session import now, the_session

if TYPE_CHECKING:
    from collections.abc import Callable

    from replicate_magic.endpoint import Endpoint
    from replicate_magic.leftover import Leftovers
    from replicate_magic.runs.record import Record
    from replicate_magic.runs.sent import SentRequest


def look_for_left(tell: Callable[[str], object]) -> list[Record]:
    """Look for all of it; what is found, and what is not, is not looked for again.

    Args:
        tell: told what became of each, and why something cannot be looked for now.

    Returns:
        The rows of those that had been created, which history has from now on.

    Raises:
        HistoryError: the history cannot be read.
    """
    by_origin: dict[str, list[SentRequest]] = {}
    for one in the_history().left_sent():
        by_origin.setdefault(one.origin, []).append(one)
    records: list[Record] = []
    for origin, some in by_origin.items():
        try:
            found = _found(the_session().endpoints.at(origin), some)
        except ReplicateMagicError as error:
            tell(f"{count(len(some), 'request')} of a process that has ended: {error}")
            continue
        records += found.found
        for line in found.told():
            tell(line)
    return records


def _found(endpoint: Endpoint, left: list[SentRequest]) -> Leftovers:
    async def work(_: object) -> Leftovers:
        return await look_up(await the_session().runner.clients.at(endpoint), left)

    return now(work)
