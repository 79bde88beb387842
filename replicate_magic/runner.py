"""Owns a run on the loop: look up, plan, create, follow, and have it kept.

It must not know who waits for it, or who watches.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import re
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from replicate_magic import bridge, errors
from replicate_magic.api import protocol
from replicate_magic.api.client import Client, open_http
from replicate_magic.api.create import Conduct
from replicate_magic.api.models import Described, describe
from replicate_magic.api.predict import predict, rejoin
from replicate_magic.cell.plan import Draft, plan, read_target
from replicate_magic.cell.schema import read_schema
from replicate_magic.job import Ended, too_late
from replicate_magic.moving import fetcher, sent_ahead
from replicate_magic.order import Order
from replicate_magic.prediction import Created, Prediction, Retry
from replicate_magic.recording import Notes, Recorder, prediction_of
from replicate_magic.runs.history import the_history
from replicate_magic.story import Story

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from replicate_magic.api.client import Pool
    from replicate_magic.api.protocol import Create
    from replicate_magic.api.uploads import Memory
    from replicate_magic.cell.plan import Request
    from replicate_magic.endpoint import Endpoint, Endpoints
    from replicate_magic.order import Conditions
    from replicate_magic.prediction import Event
    from replicate_magic.runs.record import Record

    Publish = Callable[[Prediction], None]
    _Follow = Callable[[Client, Story, Recorder], Awaitable[bool]]

_SCHEMA_FOR_S = 600.0
_SETTLE_S = 1.5  # with what stops a run, less than `bridge.CLEAN_UP_S`
_PATIENCE_S = 0.2  # a look-up that takes longer is shown; a model's name misspelt flashes nothing


class Known(NamedTuple):
    """A prediction of history, and how it is to be followed."""

    record: Record
    endpoint: Endpoint
    conditions: Conditions

    def order(self) -> Order:
        """What it was that ran.

        Raises:
            CellError: its row names no model.
        """
        target = read_target(self.record.model)
        version = self.record.raw.get("version")
        if target.kind == "model" and _is_hash(version):
            target = replace(target, kind="version", version=str(version))
        return Order(self.endpoint, target, Draft(inputs={}), self.conditions)


class _Told(NamedTuple):
    prediction: Prediction
    in_time: bool


class Runner:
    """Runs predictions on the loop, over connections that they share.

    Attributes:
        running: how often each id is followed now.
    """

    def __init__(self, endpoints: Endpoints) -> None:
        self.running: Counter[str] = Counter()
        self._endpoints = endpoints
        self._pool: tuple[asyncio.AbstractEventLoop, Pool] | None = None
        self._clients: dict[Endpoint, Client] = {}
        self._described: dict[tuple[str, str], tuple[float, Described]] = {}
        self._ids: set[str] = set()
        self._uploaded: Memory = {}
        self._under_way: Counter[str] = Counter()  # creates without an id yet, by what they ask for

    def forget(self) -> None:
        """Forget what was looked up; connections end with the loop."""
        self._described.clear()

    async def run(self, order: Order, publish: Publish, *, previewed: bool) -> Ended:
        """Create a prediction and follow it to its end.

        Args:
            order: what is to run.
            publish: handed each snapshot.
            previewed: whether its output files are fetched, to be drawn.

        Raises:
            ReplicateMagicError: it could not be run, or not be followed to its end.
        """

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

    async def described(self, order: Order) -> Described:
        """What is known of a model: looked up, or remembered for ten minutes."""
        return await self._describe(await self.client(order.endpoint), order, lambda _: None)

    async def client(self, endpoint: Endpoint) -> Client:
        """A client of an endpoint, over the connections that all share."""
        here = asyncio.get_running_loop()
        if self._pool is None or self._pool[0] is not here:  # closed, or left behind by a fork
            self._pool = (here, open_http())
            self._clients = {}
            bridge.here().at_close(partial(_close_pool, self._pool[1], self._clients))
        if endpoint not in self._clients:
            pool = self._pool[1]
            self._clients[endpoint] = Client(pool, base=endpoint.base, token=endpoint.token)
        return self._clients[endpoint]

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
        client = await self.client(endpoint)
        files = fetcher(client, conditions, lambda event: story.add(event), previewed=previewed)  # noqa: PLW0108  (it comes below)
        story = Story(latest, publish, files if conditions.saving or previewed else None)
        recorder = Recorder(the_history() if conditions.log else None)
        try:
            async with files:
                in_time = await follow(client, story, recorder)
                if not story.latest.id:
                    raise too_late(story.latest)
                if in_time:
                    await files.settle(conditions.deadline_s)
        finally:
            self._no_longer(self.running, story.latest.id)
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

        def emit(event: Event) -> None:
            story.add(event)
            recorder.saw(event, story.latest)

        self.running[known.record.id] += 1
        with suppress(errors.ReplicateMagicError):  # the model's shape only helps to draw
            described = await self._look_up(client, known.order(), story)
            story.change(shape=read_schema(described.openapi).shape or story.latest.shape)
        conduct = self._conduct(known.endpoint, known.conditions, recorder)
        conduct = replace(conduct, cancels=cancels)
        return await rejoin(client, known.record.id, conduct, emit, subject=known.record.model)

    async def _predict(
        self, client: Client, order: Order, story: Story, recorder: Recorder
    ) -> bool:
        """Look up, plan, create and follow; whether it came to its own end."""
        described = await self._look_up(client, order, story)
        request = plan(order.target, order.draft, read_schema(described.openapi), read_bytes)
        request = replace(request, input=await self._input(client, request, order, story))
        story.change(shape=request.schema.shape)
        asked = _fingerprint(request)
        recorder.notes = _notes(order, request)
        conduct = self._conduct(order.endpoint, order.conditions, recorder, described, asked)
        with ExitStack() as under_way:
            self._under_way[asked] += 1
            under_way.callback(self._no_longer, self._under_way, asked)

            def emit(event: Event) -> None:
                if isinstance(event, Created):
                    self._ids.add(event.raw["id"])
                    self.running[event.raw["id"]] += 1
                    under_way.close()
                story.add(event)
                recorder.saw(event, story.latest)

            recorder.prepare()
            try:
                create = create_of(request, described, order.conditions)
                return await predict(client, create, conduct, emit)
            except errors.InvalidInput:
                self._described.pop(order.key, None)  # it may be a stale schema
                raise

    async def _input(
        self, client: Client, request: Request, order: Order, story: Story
    ) -> dict[str, Any]:
        """What is sent as the input; large files go ahead of it."""

        def tell(reason: str) -> None:
            story.add(Retry(reason=reason, delay_s=0.0, at_s=order.conditions.at_s))

        try:
            async with asyncio.timeout_at(order.conditions.deadline_s):
                return await sent_ahead(client, request.input, self._uploaded, tell)
        except TimeoutError as error:
            raise errors.PredictionTimeout(
                f"The files of {story.latest.model} took longer to send than was given "
                "(--timeout). Nothing was run.",
                prediction=story.latest,
            ) from error

    async def _look_up(self, client: Client, order: Order, story: Story) -> Described:
        patience = asyncio.get_running_loop().call_later(_PATIENCE_S, story.tell)
        try:
            async with asyncio.timeout_at(order.conditions.deadline_s):
                return await self._describe(client, order, story.add)
        except TimeoutError as error:
            raise errors.PredictionTimeout(
                f"{story.latest.model} was looked up for longer than it was given (--timeout). "
                "Nothing was sent.",
                prediction=story.latest,
            ) from error
        finally:
            patience.cancel()

    @staticmethod
    def _no_longer(counted: Counter[str], what: str) -> None:
        counted[what] -= 1
        if counted[what] <= 0:
            del counted[what]

    def _conduct(
        self,
        endpoint: Endpoint,
        conditions: Conditions,
        recorder: Recorder,
        described: Described | None = None,
        asked: str = "",
    ) -> Conduct:
        async def is_known(name: str) -> bool:
            return name in self._ids or await bridge.apart(partial(the_history().has, name))

        return Conduct(
            began_s=conditions.began_s,
            deadline_s=conditions.deadline_s,
            stream=conditions.stream,
            fallback_version=described.latest if described else None,
            official=described.official if described else None,
            is_known=is_known,
            is_alone=lambda: self._under_way.get(asked, 0) <= 1,
            is_gone=lambda: self._endpoints.is_gone(endpoint),
            kept=recorder.kept,
        )

    async def _describe(
        self, client: Client, order: Order, emit: Callable[[Event], None]
    ) -> Described:
        found = self._described.get(order.key)
        if found and time.monotonic() - found[0] < _SCHEMA_FOR_S:
            return found[1]

        def tell(reason: str, delay_s: float) -> None:
            emit(Retry(reason=reason, delay_s=delay_s, at_s=order.conditions.at_s))

        described = await describe(client, order.target, tell)
        self._described[order.key] = (time.monotonic(), described)
        return described


def _is_hash(version: object) -> bool:
    """Whether it is a version, and not `hidden` as for official models."""
    return isinstance(version, str) and bool(re.fullmatch(r"[0-9a-f]{64}", version))


def _notes(order: Order, request: Request) -> Notes:
    template = {"template": order.draft.template} if order.draft.template else {}
    return Notes(
        origin=order.endpoint.base,
        prompt=request.prompt,
        local={**order.conditions.local, **template},
    )


def _fingerprint(request: Request) -> str:
    """The same for requests that are alike; short, since inputs may hold whole files."""
    text = json.dumps([str(request.target), request.input], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def create_of(request: Request, described: Described, conditions: Conditions) -> Create:
    """What is sent for a request, now."""
    return protocol.Create(
        target=request.target,
        input=request.input,
        version=described.version,
        wait_s=conditions.wait_s,
        cancel_after_s=conditions.deadline_s - time.monotonic(),
    )


async def _close_pool(pool: Pool, clients: Mapping[Endpoint, Client]) -> None:
    """Cancels that are on their way get a while to arrive."""
    await asyncio.gather(*(client.settle(_SETTLE_S) for client in clients.values()))
    await pool.aclose()


def read_bytes(path: Path, most: int) -> bytes:
    """Up to so many bytes of a file.

    Raises:
        OSError: it cannot be read, or is no file.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe would hold up all calls
        raise OSError(errno.EINVAL, "it is no file that can be sent")
    with path.open("rb") as file:
        return file.read(most)
