"""Owns answering from history in place of the API; must not run anything."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from replicate_magic import bridge
from replicate_magic.cell.fingerprint import request_sha256
from replicate_magic.cell.objects import LargeFile
from replicate_magic.errors import NotInHistory
from replicate_magic.recording import prediction_of
from replicate_magic.runs.history import the_history
from replicate_magic.sending import secrets_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from replicate_magic.cell.plan import Request
    from replicate_magic.order import Order
    from replicate_magic.prediction import Prediction

_NOT_KEPT = (
    "REPLICATE_MAGIC_REPLAY=only: the history has no answer of {model} to this input. Nothing was "
    "sent. REPLICATE_MAGIC_REPLAY=prefer runs what is missing."
)


async def digest_of(request: Request) -> str:
    """What requests that are alike have in common, files by their bytes: `request_sha256`.

    Raises:
        InputError: a file cannot be read.
    """
    files = {id(file): file for file in _large_in(request.input)}
    digests = {name: await bridge.apart(partial(_sha256, file)) for name, file in files.items()}
    return request_sha256(
        request.target,
        request.input,
        lambda file: digests[id(file)],
        secrets=secrets_in(request).names,
    )


async def answered(order: Order, digest: str) -> Prediction | None:
    """The newest answer of history to a request like this one, if there is one.

    Of several requests that are alike each takes another: those that were given are left out.
    """
    given = order.conditions.given
    limit = len(given) + 1
    found = await bridge.in_turn(partial(the_history().answers, digest, limit=limit))
    record = next((one for one in found if one.id not in given), None)
    if record is None:
        return None
    given.add(record.id)
    prediction = replace(prediction_of(record), model=order.model)
    ended = prediction.completed_at or prediction.created_at or datetime.now(UTC)
    age_s = max((datetime.now(UTC) - ended).total_seconds(), 0.0)
    return replace(prediction, age_s=age_s, cost_usd=None)  # nothing is paid a second time


async def replayed(order: Order, request: Request) -> Prediction:
    """The answer of history, where nothing may be sent.

    Raises:
        NotInHistory: there is none.
    """
    prediction = await answered(order, await digest_of(request))
    if prediction is None:
        raise NotInHistory(_NOT_KEPT.format(model=order.model))
    return prediction


def _large_in(value: Any) -> Iterator[LargeFile]:
    match value:
        case LargeFile():
            yield value
        case list() | tuple():
            for one in value:
                yield from _large_in(one)
        case dict():
            for one in value.values():
                yield from _large_in(one)


def _sha256(file: LargeFile) -> str:
    if file.path is None:
        return hashlib.sha256(file.data or b"").hexdigest()
    with file.path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
