"""Owns what happens on the loop: look up, plan, create, follow, and have it kept.

It must not know who waits for it, or who watches.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import time
from collections import Counter
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING

from replicate_magic import bridge, errors
from replicate_magic.api import protocol
from replicate_magic.api.client import Client, open_http
from replicate_magic.api.create import Conduct
from replicate_magic.api.files import Previews
from replicate_magic.api.listing import pages
from replicate_magic.api.models import Described, describe
from replicate_magic.api.predict import predict, rejoin
from replicate_magic.cell.plan import plan
from replicate_magic.cell.schema import read_schema
from replicate_magic.job import Ended, too_late
from replicate_magic.prediction import Created, Fetched, Prediction, Retry
from replicate_magic.recording import Notes, Recorder, fetched
from replicate_magic.runs.history import the_history
from replicate_magic.story import Story

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from replicate_magic.api.client import Pool
    from replicate_magic.api.protocol import Create
    from replicate_magic.cell.plan import Request
    from replicate_magic.endpoint import Endpoint, Endpoints
    from replicate_magic.order import Conditions, Order
    from replicate_magic.prediction import Event
    from replicate_magic.runs.history import History
    from replicate_magic.runs.query import Query
    from replicate_magic.runs.record import Record

    Publish = Callable[[Prediction], None]
    _Follow = Callable[[Client, Story, Recorder], Awaitable[bool]]

_SCHEMA_FOR_S = 600.0
_SETTLE_S = 4.0
_PATIENCE_S = 0.2  # a look-up that takes longer is shown; a model's name misspelt flashes nothing


class Runner:
    """Runs predictions on the loop, over connections that they share.

    Attributes:
        running: the ids of those that are followed now.
    """

    def __init__(self, endpoints: Endpoints) -> None:
        self.running: set[str] = set()
        self._endpoints = endpoints
        self._pool: tuple[asyncio.AbstractEventLoop, Pool] | None = None
        self._clients: dict[Endpoint, Client] = {}
        self._described: dict[tuple[str, str], tuple[float, Described]] = {}
        self._ids: set[str] = set()
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

        latest = Prediction(model=order.model)
        return await self._tell(latest, order, publish, follow, previewed=previewed)

    async def rejoin(
        self, record: Record, order: Order, publish: Publish, *, previewed: bool
    ) -> Ended:
        """Follow a prediction of history to its end.

        The arguments and the errors are those of `run`, and `order` names what ran.

        Raises:
            NotFound: where it was made it is not known any more.
        """

        async def follow(client: Client, story: Story, recorder: Recorder) -> bool:
            recorder.notes = Notes(origin=record.origin, prompt=record.prompt, begun_here=False)
            return await self._rejoin(client, record, order, story, recorder)

        latest = Prediction(model=record.model, raw=record.raw)
        return await self._tell(latest, order, publish, follow, previewed=previewed)

    async def fetch(self, endpoint: Endpoint, query: Query) -> int:
        """Merge the account's predictions into history, by the query's times and limit.

        Returns:
            How many there were.

        Raises:
            ReplicateMagicError: they could not be had; those that came are kept.
        """
        client, count = await self.client(endpoint), 0
        async for page in pages(client, since=query.since, until=query.until):
            records = [fetched(raw, endpoint.base) for raw in page]
            wanted = records if query.limit is None else records[: query.limit - count]
            await bridge.on_a_thread(partial(_save_all, the_history(), wanted))
            count += len(wanted)
            if query.limit is not None and count >= query.limit:
                break
        return count

    async def described(self, order: Order) -> Described:
        """What is known of a model: looked up, or remembered for ten minutes."""
        return await self._describe(await self.client(order.endpoint), order, lambda _: None)

    async def client(self, endpoint: Endpoint) -> Client:
        """A client of an endpoint, over the connections that all share."""
        here = asyncio.get_running_loop()
        if self._pool is None or self._pool[0] is not here:  # closed, or left behind by a fork
            self._pool = (here, open_http())
            self._clients = {}
            bridge.the_loop().at_close(partial(_close_pool, self._pool[1], self._clients))
        if endpoint not in self._clients:
            pool = self._pool[1]
            self._clients[endpoint] = Client(pool, base=endpoint.base, token=endpoint.token)
        return self._clients[endpoint]

    async def _tell(
        self,
        latest: Prediction,
        order: Order,
        publish: Publish,
        follow: _Follow,
        *,
        previewed: bool,
    ) -> Ended:
        """Follow a prediction by whatever way; each snapshot is published, and the last kept."""
        conditions = order.conditions
        client = await self.client(order.endpoint)
        previews = Previews(
            client, lambda file: story.add(Fetched(file=file, at_s=conditions.at_s))
        )
        story = Story(latest, publish, previews if previewed else None)
        recorder = Recorder(the_history() if conditions.log else None)
        try:
            async with previews:
                in_time = await follow(client, story, recorder)
                if not story.latest.id:
                    raise too_late(story.latest)
                if in_time:
                    await previews.settle(conditions.deadline_s)
        finally:
            self.running.discard(story.latest.id)
            if story.latest.saving:
                story.change(saving=False)
            await recorder.settle(story.latest)
        return Ended(story.latest, "" if in_time else "deadline")

    async def _rejoin(
        self, client: Client, record: Record, order: Order, story: Story, recorder: Recorder
    ) -> bool:
        """Follow what exists already; whether it came to its own end."""

        def emit(event: Event) -> None:
            story.add(event)
            recorder.saw(event, story.latest)

        self.running.add(record.id)
        with suppress(errors.ReplicateMagicError):  # the model's shape only helps to draw
            described = await self._look_up(client, order, story)
            story.change(shape=read_schema(described.openapi).shape)
        conduct = self._conduct(order, recorder)
        return await rejoin(client, record.id, conduct, emit, subject=record.model)

    async def _predict(
        self, client: Client, order: Order, story: Story, recorder: Recorder
    ) -> bool:
        """Look up, plan, create and follow; whether it came to its own end."""
        described = await self._look_up(client, order, story)
        request = plan(order.target, order.draft, read_schema(described.openapi), read_bytes)
        story.change(shape=request.schema.shape)
        asked = _fingerprint(request)
        recorder.notes = _notes(order, request)
        conduct = self._conduct(order, recorder, described, asked)
        with ExitStack() as under_way:
            self._under_way[asked] += 1
            under_way.callback(self._no_longer_under_way, asked)

            def emit(event: Event) -> None:
                if isinstance(event, Created):
                    self._ids.add(event.raw["id"])
                    self.running.add(event.raw["id"])
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

    def _no_longer_under_way(self, asked: str) -> None:
        self._under_way[asked] -= 1
        if not self._under_way[asked]:
            del self._under_way[asked]

    def _conduct(
        self, order: Order, recorder: Recorder, described: Described | None = None, asked: str = ""
    ) -> Conduct:
        endpoint, conditions = order.endpoint, order.conditions
        return Conduct(
            began_s=conditions.began_s,
            deadline_s=conditions.deadline_s,
            stream=conditions.stream,
            fallback_version=described.latest if described else None,
            official=described.official if described else None,
            is_known=lambda name: name in self._ids or the_history().knows(name),
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


def _save_all(history: History, records: list[Record]) -> None:
    for record in records:
        history.save(record)


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
