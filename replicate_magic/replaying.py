"""Owns answering from history in place of the API; must not run anything."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from replicate_magic import bridge
from replicate_magic.errors import NotInHistory
from replicate_magic.moving import hashed
from replicate_magic.recording import prediction_of
from replicate_magic.runs.history import the_history
from replicate_magic.sending import digest_of

if TYPE_CHECKING:
    from replicate_magic.cell.plan import Request
    from replicate_magic.order import Order
    from replicate_magic.prediction import Prediction

_NOT_KEPT = (
    "REPLICATE_MAGIC_REPLAY=only: the history has no answer of {model} to this input. Nothing was "
    "sent. REPLICATE_MAGIC_REPLAY=prefer runs what is missing."
)


async def answered(order: Order, request: Request) -> Prediction | None:
    """The newest answer of history to a request like this one, if there is one.

    Of several requests that are alike each takes another: those that were given are left out.

    Raises:
        InputError: a file cannot be read, or is too large to be sent.
    """
    digest = digest_of(request, await hashed(request.input))
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
    prediction = await answered(order, request)
    if prediction is None:
        raise NotInHistory(_NOT_KEPT.format(model=order.model))
    return prediction
