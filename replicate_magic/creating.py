"""Owns creating a prediction as a call of the API has it, kept in history; must not follow it."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from replicate_magic import errors, paying, sending
from replicate_magic.api.models import Described
from replicate_magic.api.predict import begin
from replicate_magic.api.protocol import Create, create_request
from replicate_magic.cell.plan import Draft
from replicate_magic.lookups import Found
from replicate_magic.moving import sent_ahead
from replicate_magic.order import Conditions, Order
from replicate_magic.prediction import Created, Prediction
from replicate_magic.recording import Recorder, notebook_name
from replicate_magic.spending import Spending
from replicate_magic.story import Story

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from replicate_magic.api.client import Client
    from replicate_magic.api.composed import Creation
    from replicate_magic.api.protocol import APIRequest
    from replicate_magic.cell.hiding import Secrets
    from replicate_magic.cell.plan import Request
    from replicate_magic.endpoint import Endpoint
    from replicate_magic.prediction import Event
    from replicate_magic.runner import Runner


_REHEARSED_S = 10.0
_NOTHING = Found(described=Described(), fetched_at=datetime.min.replace(tzinfo=UTC))


class _Planned(NamedTuple):
    """A creation whose inputs are typed, by what is known of its model."""

    creation: Creation
    order: Order
    found: Found
    request: Request
    secrets: Secrets


async def create(
    runner: Runner,
    endpoint: Endpoint,
    creation: Creation,
    tell: Callable[[str], None],
    *,
    timeout_s: float,
) -> Prediction:
    """Create a prediction, once; its row is written, and it goes on by itself.

    Args:
        runner: gives clients, and knows models.
        endpoint: where it is created.
        creation: what.
        tell: told what is being waited for.
        timeout_s: how long that may take.

    Raises:
        OverBudget: it would pass a limit.
        ReplicateMagicError: it could not be created; nothing is sent twice.
    """
    order = _order(endpoint, creation, timeout_s)
    planned = _planned(creation, order, await _found(runner, order))
    client = await runner.clients.at(endpoint)
    model = planned.order.model if creation.target.name else ""

    def published(latest: Prediction) -> None:
        if latest.retry:
            told = f"{creation.target}: {latest.retry.reason}"
            tell(f"{told}; goes on in {latest.retry.delay_s:.0f} s")

    shape = planned.request.schema.shape
    story = Story(Prediction(model=model, shape=shape), published)
    recorder = Recorder(runner.writer())
    async with paying.paid(planned.order, planned.found, story, runner.purse):
        try:
            await _begin(runner, client, planned, story, recorder)
        except TimeoutError as error:
            raise errors.PredictionTimeout(
                f"{creation.target} took longer to create than was given (--timeout). If it is "
                "created all the same, it is canceled as soon as its id is known.",
                prediction=story.latest,
            ) from error
        except errors.ReplicateMagicError as error:
            planned.secrets.hide_in(error)
            raise
        finally:
            await recorder.settle(story.latest)
    return story.latest


async def rehearsed(
    runner: Runner, endpoint: Endpoint, creation: Creation
) -> tuple[APIRequest, str]:
    """The request that would create it, with its secrets hidden, and why it may be another.

    Raises:
        InputError: an input cannot be sent at all.
    """
    order, doubt = _order(endpoint, creation, _REHEARSED_S), ""
    try:
        found = await _found(runner, order)
    except errors.ReplicateMagicError as error:
        found, doubt = _NOTHING, str(error)
    planned = _planned(creation, order, found)
    told = planned.secrets.input(planned.request.input)
    return create_request(_create(planned, told)), doubt


async def _begin(
    runner: Runner, client: Client, planned: _Planned, story: Story, recorder: Recorder
) -> None:
    """Send it, large files ahead of it, and note it in the history as soon as it has an id."""
    conditions, request = planned.order.conditions, planned.request
    async with asyncio.timeout_at(conditions.deadline_s):
        given = await sent_ahead(client, request.input, {}, conditions, lambda _: None)
    request = replace(request, input=given)
    asked = sending.digest_of(request)
    recorder.notes = sending.notes_of(planned.order, request, asked)
    recorder.prepare()
    with runner.crowds.enter(asked) as under_way:

        def emit(event: Event) -> None:
            if isinstance(event, Created):
                runner.ids.add(event.raw["id"])
                under_way.close()
            story.add(planned.secrets.event(event))
            if isinstance(event, Created) and not story.latest.model:
                story.change(model=str(event.raw.get("model") or ""))
            recorder.saw(event, story.latest)

        endpoint = planned.order.endpoint
        conduct = runner.conduct(endpoint, conditions, recorder, planned.found, asked)
        conduct = replace(conduct, fallback_version=None)  # it is sent as it was asked for
        await begin(client, _create(planned, given), conduct, emit)


async def _found(runner: Runner, order: Order) -> Found:
    """What is known of the model: by it inputs are typed, and secrets and costs are told.

    Raises:
        ConnectionLost: that took longer than was given.
        ReplicateMagicError: nothing is known of it.
    """
    if not order.target.name:
        return _NOTHING
    try:
        async with asyncio.timeout_at(order.conditions.deadline_s):
            return await runner.known(order, or_old=True)
    except TimeoutError as error:
        raise errors.ConnectionLost(
            f"{order.target} was looked up for longer than was given (--timeout). Nothing was sent."
        ) from error


def _order(endpoint: Endpoint, creation: Creation, timeout_s: float) -> Order:
    after_s = creation.cancel_after_s
    conditions = Conditions(
        timeout_s=timeout_s if after_s is None else after_s,
        wait_s=creation.wait_s,
        saving=None,
        local={"notebook": notebook_name(os.environ.get("JPY_SESSION_NAME"))},
        spending=Spending(blind=True),  # it was said that it may cost something
    )
    draft = Draft(inputs=creation.inputs, force=True)  # the API has the last word
    return Order(endpoint, creation.target, draft, conditions)


def _planned(creation: Creation, order: Order, found: Found) -> _Planned:
    request = sending.request_of(order, found.described)
    return _Planned(creation, order, found, request, sending.secrets_in(request))


def _create(planned: _Planned, given: dict[str, Any]) -> Create:
    creation = planned.creation
    return Create(
        target=creation.target,
        input=given,
        version=creation.version,
        wait_s=creation.wait_s,
        cancel_after_s=creation.cancel_after_s,
        secret=planned.secrets.names,
        beside=creation.beside,
    )
