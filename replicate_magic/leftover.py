"""Owns finding what a process had created that died before it knew the id; must not create it.

History has a note of each request from before it is sent until its prediction has a row. A request
like one that was left so is not sent: what that had created is taken up, and paid for once.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from replicate_magic import bridge
from replicate_magic.adopting import created_meanwhile
from replicate_magic.api.protocol import Create
from replicate_magic.cell.plan import read_target
from replicate_magic.errors import PredictionTimeout, ReplicateMagicError
from replicate_magic.plain import one_line
from replicate_magic.prediction import Created, Prediction, Retry
from replicate_magic.recording import Notes, fetched
from replicate_magic.runs.history import the_history
from replicate_magic.runs.sent import SentRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import ExitStack
    from datetime import datetime
    from typing import Any

    from replicate_magic.api.client import Client
    from replicate_magic.api.create import Conduct
    from replicate_magic.cell.hiding import Secrets
    from replicate_magic.order import Order
    from replicate_magic.prediction import Event
    from replicate_magic.recording import Recorder
    from replicate_magic.runs.record import Record

_PATIENCE_S = 0.3  # a history that is locked holds up no request for longer
_LOOKING = "looking for what an ended process had sent"
_NOT_SENT = (
    "The same was being sent by a process that has ended, and may have been created: until that is "
    "known, nothing is sent, since it could be paid twice."
)
_TOO_LONG = (
    "{}: it took longer than was given (--timeout) to look for the same request of a process that "
    "has ended. Nothing was sent."
)
_FOUND = "{} ({}) was created by a process that ended before it knew: it is in the history now."
_LOST = (
    "{}, sent {} by a process that has ended: no recent prediction of the account has its input, "
    "so that it was hardly created. Replicate deletes inputs after an hour; "
    "https://replicate.com/predictions lists all."
)


class Leftovers(NamedTuple):
    """What became of requests whose process had ended.

    Attributes:
        found: the rows of those that had been created.
        lost: those that no prediction of the account is like.
    """

    found: list[Record]
    lost: list[SentRequest]

    def told(self) -> list[str]:
        """That, a line each."""
        return [
            *(_FOUND.format(one_line(one.model), one.id) for one in self.found),
            *(_LOST.format(one_line(one.target), _when(one.sent_at)) for one in self.lost),
        ]


def is_noted(order: Order) -> bool:
    """Whether a request is noted before it is sent: those of a batch are already."""
    return order.conditions.log and order.conditions.pace is None and not order.target.is_local


def as_sent(
    client: Client, create: Create, conduct: Conduct, notes: Notes, secrets: Secrets
) -> SentRequest:
    """A request as history keeps it while it is sent."""
    return SentRequest(
        request_sha256=str(notes.local.get("request_sha256")),
        origin=notes.origin,
        target=str(create.target),
        version=create.version,
        official=conduct.official,
        input=secrets.input(create.input),
        secret=secrets.names,
        prompt=notes.prompt,
        local={name: value for name, value in notes.local.items() if value is not None},
        sent_at=client.server_time(),
    )


async def noted(sent: SentRequest, under_way: ExitStack, recorder: Recorder) -> list[SentRequest]:
    """Have history know that a request is sent, until `under_way` is closed.

    Returns:
        Those like it that a process left which has ended; none where history takes too long.
    """
    noting = asyncio.ensure_future(bridge.in_turn(partial(the_history().note_sent, sent)))

    async def forget() -> None:
        await asyncio.wait({noting})
        await recorder.kept()  # the row first
        await bridge.in_turn(partial(the_history().forget_sent, [sent.key]))

    under_way.callback(lambda: bridge.here().watch(forget()))
    done, _ = await asyncio.wait({noting}, timeout=_PATIENCE_S)
    return noting.result() if done else []


async def created_before(
    client: Client,
    create: Create,
    conduct: Conduct,
    left: Sequence[SentRequest],
    emit: Callable[[Event], None],
) -> dict[str, Any] | None:
    """What a process had created of this very request; told as if it were created now.

    Args:
        client: the API.
        create: the request.
        conduct: how it is created.
        left: those like it that a process left which has ended.
        emit: told what happens.

    Returns:
        The API's JSON, or `None` where none of them was created.

    Raises:
        PredictionTimeout: the time was over before.
        ReplicateMagicError: that cannot be found out.
    """
    if not left:
        return None
    loop = asyncio.get_running_loop()
    emit(Retry(reason=_LOOKING, delay_s=0.0, at_s=loop.time() - conduct.began_s))
    try:
        async with asyncio.timeout_at(conduct.deadline_s):
            wanted = {0: (create, conduct.official)}
            found = await created_meanwhile(client, wanted, left[0].sent_at)
    except TimeoutError as error:
        raise PredictionTimeout(
            _TOO_LONG.format(create.target), prediction=Prediction(model=str(create.target))
        ) from error
    except ReplicateMagicError as error:
        error.add_note(_NOT_SENT)
        raise
    if raw := found.get(0):
        emit(Created(raw=raw, at_s=loop.time() - conduct.began_s))
        left = left[:1]  # another one like it may have been created for the next
    await bridge.in_turn(partial(the_history().forget_sent, [one.key for one in left]))
    return raw


async def look_up(client: Client, left: Iterable[SentRequest]) -> Leftovers:
    """Find what became of requests at one API; those found are kept, and none is looked for again.

    Raises:
        ReplicateMagicError: the account's predictions cannot be listed.
    """
    by_number = dict(enumerate(left))
    creates = {number: (_create_of(one), one.official) for number, one in by_number.items()}
    found = await created_meanwhile(client, creates, min(one.sent_at for one in by_number.values()))
    records = [_record_of(by_number[number], raw) for number, raw in found.items()]
    keys = [one.key for one in by_number.values()]
    await bridge.in_turn(partial(the_history().save_all, records))
    await bridge.in_turn(partial(the_history().forget_sent, keys))
    return Leftovers(records, [one for n, one in by_number.items() if n not in found])


def _create_of(sent: SentRequest) -> Create:
    return Create(
        target=read_target(sent.target),
        input=dict(sent.input),
        version=sent.version,
        secret=sent.secret,
    )


def _record_of(sent: SentRequest, raw: dict[str, Any]) -> Record:
    record = fetched(raw, sent.origin)
    return replace(record, model=sent.target, prompt=sent.prompt, local=dict(sent.local))


def _when(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")
