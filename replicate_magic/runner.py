"""Owns a run on the loop: look up, plan, create, follow, and have it kept.

It must not know who waits for it, or who watches.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from replicate_magic import bridge, errors, leftover, paying, replaying, sending
from replicate_magic.api import cog
from replicate_magic.api.cog_protocol import read_dialect
from replicate_magic.api.create import Conduct
from replicate_magic.api.predict import predict, rejoin
from replicate_magic.cell.hiding import Secrets, hidden_names, secrets_of
from replicate_magic.cell.schema import read_schema
from replicate_magic.clients import Clients
from replicate_magic.crowds import Crowds
from replicate_magic.job import Ended, too_late
from replicate_magic.lookups import Ask, Lookups
from replicate_magic.moving import fetcher, sent_ahead, written_in
from replicate_magic.prediction import Created, Prediction
from replicate_magic.recording import Notes, Recorder, Writer, prediction_of
from replicate_magic.runs.history import the_history
from replicate_magic.spending import Purse
from replicate_magic.story import Story

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from replicate_magic.api.client import Client
    from replicate_magic.api.uploads import Memory
    from replicate_magic.cell.plan import Request
    from replicate_magic.endpoint import Endpoint, Endpoints
    from replicate_magic.known import Known
    from replicate_magic.lookups import Found
    from replicate_magic.order import Conditions, Order
    from replicate_magic.prediction import Event
    from replicate_magic.runs.history import History

    Publish = Callable[[Prediction], None]
    _Follow = Callable[[Client, Story, Recorder], Awaitable[bool]]

_PATIENCE_S = 0.2  # a look-up that takes longer is shown; a model's name misspelt flashes nothing
_REFUSED = (errors.InputError, errors.InvalidInput, errors.NotFound)
"""Nothing is created then, so that it may be tried again with what is known by then."""
_CHANGED = "the model has changed"


class _Told(NamedTuple):
    prediction: Prediction
    in_time: bool


class _Planned(NamedTuple):
    """What is to be sent, by what is known of its model."""

    order: Order
    found: Found
    request: Request


class Runner:
    """Runs predictions on the loop, over connections that they share.

    Attributes:
        running: how often each id is followed now.
        batches: which batches run now, with the process: a forked child runs none of them.
        purse: what was spent since the process began, by estimates.
        ids: what was created here.
        clients: of the endpoints.
        crowds: which creates are under way.
        lookups: what is known of models.
    """

    def __init__(self, endpoints: Endpoints) -> None:
        self.running: Counter[str] = Counter()
        self.batches: set[tuple[int, str]] = set()
        self.purse = Purse()
        self.ids: set[str] = set()
        self.clients = Clients()
        self.crowds = Crowds()
        self._endpoints = endpoints
        self._writing: tuple[tuple[asyncio.AbstractEventLoop, History], Writer] | None = None
        self.lookups = Lookups()
        self._uploaded: Memory = {}

    async def run(self, order: Order, publish: Publish, *, previewed: bool) -> Ended:
        """Create a prediction and follow it to its end.

        Args:
            order: what is to run.
            publish: handed each snapshot.
            previewed: whether its output files are fetched, to be drawn.

        Raises:
            ReplicateMagicError: it could not be run, or not be followed to its end.
        """
        if order.conditions.reuse == "only":
            return await self._replay(order, publish)

        async def follow(client: Client, story: Story, recorder: Recorder) -> bool:
            return await self._predict(client, order, story, recorder)

        latest, place = Prediction(model=order.model), (order.endpoint, order.conditions)
        ended = await self._tell(latest, place, publish, follow, previewed=previewed)
        return Ended(ended.prediction, "" if ended.in_time else "deadline")

    async def rejoin(
        self, known: Known, publish: Publish, *, previewed: bool, cancels: Callable[[], bool]
    ) -> Ended:
        """Follow a prediction of history to its end.

        Args:
            known: which.
            publish: handed each snapshot.
            previewed: whether its output files are fetched, to be drawn.
            cancels: whether being cancelled ends the prediction, and not only the watching.

        Raises:
            NotFound: where it was made it is not known any more.
            ReplicateMagicError: it could not be followed to its end.
        """

        async def follow(client: Client, story: Story, recorder: Recorder) -> bool:
            recorder.notes = Notes(
                origin=known.record.origin, prompt=known.record.prompt, begun_here=False
            )
            return await self._rejoin(client, known, story, recorder, cancels)

        latest, place = prediction_of(known.record), (known.endpoint, known.conditions)
        ended = await self._tell(latest, place, publish, follow, previewed=previewed)
        return Ended(ended.prediction, "" if ended.in_time else "left")

    async def known(self, order: Order, *, or_old: bool = False) -> Found:
        """What is known of a model; what is too old as well, where the API is out of reach."""
        ask = Ask(await self.clients.at(order.endpoint), order)
        if order.conditions.reuse == "only":
            return await self.lookups.kept(ask)
        return await self.lookups.find(ask, or_old=or_old)

    async def rehearsed(self, order: Order) -> tuple[Request, Found]:
        """What would be sent, and what is known of the model, however old that is.

        Raises:
            InputError: the model refuses the inputs.
            ReplicateMagicError: nothing is known of the model.
        """
        return await sending.rehearsed(
            self.lookups, Ask(await self.clients.at(order.endpoint), order)
        )

    async def _replay(self, order: Order, publish: Publish) -> Ended:
        """What history has, where nothing may be sent.

        Raises:
            NotInHistory: it has no answer.
        """
        found = await self.known(order)
        request = sending.request_of(order, found.described)
        prediction = await replaying.replayed(order, request)
        publish(prediction)
        return Ended(prediction)

    def writer(self) -> Writer:
        """What writes to the present history, on the present loop."""
        key = asyncio.get_running_loop(), the_history()
        if self._writing is None or self._writing[0] != key:
            self._writing = key, Writer(key[1])
        return self._writing[1]

    async def _tell(
        self,
        latest: Prediction,
        place: tuple[Endpoint, Conditions],
        publish: Publish,
        follow: _Follow,
        *,
        previewed: bool,
    ) -> _Told:
        """Follow a prediction by whatever way; each snapshot is published, and the last kept."""
        endpoint, conditions = place
        client = await self.clients.at(endpoint)
        files = fetcher(client, conditions, lambda event: story.add(event), previewed=previewed)  # noqa: PLW0108  (it comes below)
        story = Story(latest, publish, files if conditions.saving or previewed else None)
        of_many = conditions.pace is not None
        recorder = Recorder(self.writer() if conditions.log else None, of_many=of_many)
        try:
            async with files:
                in_time = await follow(client, story, recorder)
                if not story.latest.id:
                    raise too_late(story.latest)
                if in_time:
                    await files.settle(conditions.deadline_s)
        finally:
            self._followed_no_longer(story.latest.id)
            if story.latest.saving:
                story.change(saving=False)
            await recorder.settle(story.latest)
        return _Told(story.latest, in_time)

    async def _rejoin(
        self,
        client: Client,
        known: Known,
        story: Story,
        recorder: Recorder,
        cancels: Callable[[], bool],
    ) -> bool:
        """Follow what exists already; whether it came to its own end."""
        if known.record.model.startswith(("http://", "https://")):  # a Cog server's address
            raise await cog.why_not_joined(client, known.record.id, subject=known.record.model)
        secrets = Secrets(names=hidden_names(known.record.raw.get("input")))

        def emit(event: Event) -> None:
            story.add(secrets.event(event))
            recorder.saw(event, story.latest)

        async def learn() -> None:
            """What the model gives: that only helps to draw it."""
            nonlocal secrets
            with suppress(errors.ReplicateMagicError):
                story.priced(paying.pricer(known.order().target, None))
                ask = Ask(client, known.order(), story.add)
                found = await self._look_up(ask, story, or_old=True)
                story.priced(paying.pricer(ask.order.target, found))
                schema = read_schema(found.described.openapi)
                story.change(shape=schema.shape or story.latest.shape)
                secrets = replace(secrets, names=secrets.names | secrets_of(schema, {}).names)

        prediction_id, subject = known.record.id, known.record.model
        self.running[prediction_id] += 1
        conduct = self.conduct(known.endpoint, known.conditions, recorder)
        conduct = replace(conduct, cancels=cancels)
        return await rejoin(client, prediction_id, conduct, emit, subject=subject, before=learn)

    async def _predict(
        self, client: Client, order: Order, story: Story, recorder: Recorder
    ) -> bool:
        """Look up, plan, create and follow; whether it came to its own end."""
        order = sending.again(order)
        ask = Ask(client, order, story.add)
        recorder.prepare()  # while the model is looked up: the request waits for its note
        found = await self._look_up(ask, story)
        try:
            return await self._attempt(client, order, found, story, recorder)
        except _REFUSED as error:
            newer = None if story.latest.id else await self.lookups.newer(ask, found, error)
            if newer is None:
                raise
        ask.say(_CHANGED, 0.0, 2)
        return await self._attempt(client, order, newer, story, recorder)

    async def _attempt(
        self, client: Client, order: Order, found: Found, story: Story, recorder: Recorder
    ) -> bool:
        """Plan, create and follow; whether it came to its own end."""
        request = sending.request_of(order, found.described)
        if order.conditions.reuse != "off":
            kept = await replaying.answered(order, request)
            if kept:
                recorder.leave()
                story.become(kept)
                return True
        async with paying.paid(order, found, story, self.purse):
            planned = _Planned(order, found, request)
            return await self._send(client, planned, story, recorder)

    async def _send(
        self, client: Client, planned: _Planned, story: Story, recorder: Recorder
    ) -> bool:
        """Create and follow; whether it came to its own end."""
        order, found, request = planned
        request = replace(request, input=await self._input(client, request, order, story))
        story.change(shape=request.schema.shape)
        asked, secrets = sending.digest_of(request), sending.secrets_in(request)
        recorder.notes = sending.notes_of(order, request, asked)
        conduct = self.conduct(order.endpoint, order.conditions, recorder, found, asked)
        with self.crowds.enter(asked) as under_way:

            def emit(event: Event) -> None:
                if isinstance(event, Created):
                    self.ids.add(event.raw["id"])
                    self.running[event.raw["id"]] += 1
                story.add(secrets.event(event))
                recorder.saw(event, story.latest)
                if isinstance(event, Created):
                    under_way.close()  # once its row is on the way: it is noted until that is kept

            try:
                create = sending.create_of(request, found.described, order.conditions)
                if order.target.kind == "cog":
                    dialect = read_dialect(found.described.openapi)
                    return await cog.predict(client, create, conduct, emit, dialect=dialect)
                if leftover.is_noted(order):
                    sent = leftover.as_sent(client, create, conduct, recorder.notes, secrets)
                    left = await leftover.noted(sent, under_way, recorder)
                    raw = await leftover.created_before(client, create, conduct, left, emit)
                    if raw:
                        known_as, kept = str(create.target), conduct.kept
                        return await rejoin(
                            client, raw["id"], conduct, emit, subject=known_as, before=kept
                        )
                return await predict(client, create, conduct, emit)
            except errors.ReplicateMagicError as error:
                secrets.hide_in(error)
                raise

    async def _input(
        self, client: Client, request: Request, order: Order, story: Story
    ) -> dict[str, Any]:
        """What is sent as the input; large files go ahead of it, or within it to a Cog server."""
        if order.target.kind == "cog":
            return await written_in(request.input)
        try:
            async with asyncio.timeout_at(order.conditions.deadline_s):
                return await sent_ahead(
                    client, request.input, self._uploaded, order.conditions, story.add
                )
        except TimeoutError as error:
            raise errors.PredictionTimeout(
                f"The files of {story.latest.model} took longer to send than was given "
                "(--timeout). Nothing was run.",
                prediction=story.latest,
            ) from error

    async def _look_up(self, ask: Ask, story: Story, *, or_old: bool = False) -> Found:
        patience = asyncio.get_running_loop().call_later(_PATIENCE_S, story.tell)
        try:
            async with asyncio.timeout_at(ask.order.conditions.deadline_s):
                return await self.lookups.find(ask, or_old=or_old)
        except TimeoutError as error:
            raise errors.PredictionTimeout(
                f"{story.latest.model} was looked up for longer than it was given (--timeout). "
                "Nothing was sent.",
                prediction=story.latest,
            ) from error
        finally:
            patience.cancel()

    def _followed_no_longer(self, prediction_id: str) -> None:
        self.running[prediction_id] -= 1
        if self.running[prediction_id] <= 0:
            del self.running[prediction_id]

    def conduct(
        self,
        endpoint: Endpoint,
        conditions: Conditions,
        recorder: Recorder,
        found: Found | None = None,
        asked: str = "",
    ) -> Conduct:
        """How something is created, and followed.

        Args:
            endpoint: where.
            conditions: until when, and the like.
            recorder: has it kept.
            found: what is known of the model.
            asked: what creates that are alike have in common.
        """

        async def is_known(name: str) -> bool:
            return name in self.ids or await bridge.apart(partial(the_history().has, name))

        return Conduct(
            began_s=conditions.began_s,
            deadline_s=conditions.deadline_s,
            stream=conditions.stream,
            fallback_version=found.fallback_version if found else None,
            official=found.described.official if found else None,
            is_known=is_known,
            is_alone=lambda: self.crowds.is_alone(asked),
            is_gone=lambda: self._endpoints.is_gone(endpoint),
            kept=recorder.kept,
            pace=conditions.pace,
            watched=conditions.watched,
        )
