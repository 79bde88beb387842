"""Owns the composition: client, engine, bridge and view; what the functions and the magics call.

It wires and decides nothing of its own: what to send is the cell's, when to retry the API's, what
to show the view's.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from replicate_magic import bridge, errors
from replicate_magic.api import protocol
from replicate_magic.api.client import Client, open_http
from replicate_magic.api.create import Conduct
from replicate_magic.api.files import Previews
from replicate_magic.api.models import Described, describe
from replicate_magic.api.predict import predict
from replicate_magic.cell.plan import plan
from replicate_magic.cell.schema import read_schema
from replicate_magic.endpoint import Endpoints
from replicate_magic.failure import carry, explain_interrupt
from replicate_magic.job import Ended, Job, too_late
from replicate_magic.prediction import Created, Fetched, Prediction, Retry
from replicate_magic.recording import Notes, Recorder
from replicate_magic.runs import history
from replicate_magic.runs.history import the_history
from replicate_magic.story import Story
from replicate_magic.views import NoView
from replicate_magic.views import close as close_view

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from replicate_magic.api.client import Pool
    from replicate_magic.api.protocol import APIRequest, Create
    from replicate_magic.cell.plan import Draft, Request, Target
    from replicate_magic.endpoint import Endpoint
    from replicate_magic.prediction import Event, OutputFile
    from replicate_magic.views import View

DEFAULT_TIMEOUT_S = 3600.0
_SCHEMA_FOR_S = 600.0
_SETTLE_S = 4.0
_PATIENCE_S = 0.2  # a look-up that takes longer is shown; a model's name misspelt flashes nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """How a prediction is to be run.

    Attributes:
        timeout_s: after how many seconds from `began_s` it is canceled.
        wait_s: how long Replicate may hold the first answer back, or `None`.
        stream: whether to read the stream.
        log: whether history keeps it.
        local: what history is to keep beside the API's JSON: tag, notebook, cell.
        began_s: when the cell or the call began, by `time.monotonic()`.
    """

    timeout_s: float = DEFAULT_TIMEOUT_S
    wait_s: int | None = None
    stream: bool = True
    log: bool = True
    local: Mapping[str, Any] = field(default_factory=dict)
    began_s: float = field(default_factory=time.monotonic)

    @property
    def deadline_s(self) -> float:
        """When the time is over; the loop's clock is `time.monotonic()` too."""
        return self.began_s + self.timeout_s


class _Order(NamedTuple):
    """All that is known of a run before it begins."""

    endpoint: Endpoint
    target: Target
    draft: Draft
    conditions: Conditions

    @property
    def key(self) -> tuple[str, str]:
        """What is run, and where."""
        return self.endpoint.base, str(self.target)

    @property
    def at_s(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.conditions.began_s

    def fetched(self, file: OutputFile) -> Fetched:
        """The event that a file has come."""
        return Fetched(file=file, at_s=self.at_s)


class DryRun(NamedTuple):
    """What would be sent, and to where.

    Attributes:
        base: the API's address.
        request: the request, without the token.
        doubt: why it could not be checked against the model's schema, or an empty string.
    """

    base: str
    request: APIRequest
    doubt: str


class Session:
    """What lives as long as the process: connections, schemas, the embedded engine."""

    def __init__(self) -> None:
        self.endpoints = Endpoints()
        self._pool: tuple[asyncio.AbstractEventLoop, Pool] | None = None
        self._clients: dict[Endpoint, Client] = {}
        self._described: dict[tuple[str, str], tuple[float, Described]] = {}
        self._ids: set[str] = set()
        self._under_way: Counter[str] = Counter()  # creates without an id yet, by what they ask for

    # -- for callers -----------------------------------------------------------------------------

    def drive(self, target: Target, draft: Draft, conditions: Conditions, view: View) -> Job:
        """Run a prediction to its end for a blocking caller, who closes the view.

        Raises:
            ReplicateMagicError: it could not be run, or not be followed to its end.
            KeyboardInterrupt: it was canceled.

        With an error the view is closed, and the prediction, where it had an id, is
        `error.prediction`.
        """
        job: Job | None = None
        try:
            job = self._job(target, draft, conditions, view)
            with bridge.entered(job.call):
                for snapshot in job.call.snapshots():
                    view.update(snapshot)
                job.ended()
                return job
        except BaseException as error:
            latest = job.call.latest if job else None
            if job:
                job.cancel()  # once more is no harm: a second interrupt may have cut in before
            if isinstance(error, KeyboardInterrupt):
                explain_interrupt(error, latest, going_on=bool(job and not job.done))
            else:
                carry(error, latest)
            why = str(error) if isinstance(error, errors.ReplicateMagicError) else ""
            with suppress(KeyboardInterrupt):  # a second one is no news
                close_view(view, latest if latest and latest.id else None, why=why)
            raise

    def begin(
        self,
        target: Target,
        draft: Draft,
        conditions: Conditions,
        view: View,
        close: Callable[[Job], object],
    ) -> Job:
        """Run a prediction in the background.

        Args:
            target: what is to run.
            draft: with which inputs.
            conditions: and how.
            view: updated on the loop's thread.
            close: called with the job at its end, on another thread; it closes the view.

        Raises:
            ReplicateMagicError: there is nowhere to run it.
        """
        job = self._job(target, draft, conditions, view)
        try:
            view.update(job.prediction)  # here, since a display belongs to the cell that runs
            job.detach(view.update, close)
        except BaseException:
            view.close(None)
            raise
        return job

    def _job(self, target: Target, draft: Draft, conditions: Conditions, view: View) -> Job:
        order = _Order(self.endpoints.of(target), target, draft, conditions)
        previewed = view.wants_previews  # a job may be kept for long, and must not keep its view
        job = Job(
            bridge.Call(lambda publish: self._perform(order, publish, previewed=previewed)),
            _model_name(target),
        )
        view.on_cancel(job.cancel)
        return job

    async def adrive(self, target: Target, draft: Draft, conditions: Conditions) -> Ended:
        """Run a prediction for a caller on a loop of its own; cancelling it cancels the prediction.

        Raises:
            ReplicateMagicError: it could not be run, or not be followed to its end; the
                prediction, where it had an id, is `error.prediction`.
        """
        job = self._job(target, draft, conditions, NoView())
        with suppress(Exception):  # the job tells how it ended, and its error what it is about
            await bridge.awaited(job.call)
        return job.ended()

    def dry_run(self, target: Target, draft: Draft, conditions: Conditions) -> DryRun:
        """The exact request that would be sent, checked against the schema if it can be had."""
        described, doubt, base = Described(), "", self.endpoints.configured().base
        try:
            order = _Order(self.endpoints.of(target), target, draft, conditions)
            base = order.endpoint.base
            described = self._described_now(order)
        except errors.ReplicateMagicError as error:
            doubt = str(error)
        request = plan(target, draft, read_schema(described.openapi), _read_bytes)
        create = _create(request, described, conditions)
        return DryRun(base=base, request=protocol.create_request(create), doubt=doubt)

    def _described_now(self, order: _Order) -> Described:
        async def look() -> Described:
            return await self._describe(await self._client(order.endpoint), order, lambda _: None)

        call: bridge.Call[None, Described] = bridge.Call(lambda _: look())
        with bridge.entered(call):
            for _ in call.snapshots():
                pass
            return call.result()

    def close(self) -> None:
        """End the embedded engine and forget what was looked up; connections end with the loop."""
        self._described.clear()
        self.endpoints.close()

    # -- on the loop -----------------------------------------------------------------------------

    async def _perform(
        self, order: _Order, publish: Callable[[Prediction], None], *, previewed: bool
    ) -> Ended:
        client = await self._client(order.endpoint)
        latest = Prediction(model=_model_name(order.target))
        previews = Previews(client, lambda file: story.add(order.fetched(file)))
        story = Story(latest, publish, previews if previewed else None)
        recorder = Recorder(the_history() if order.conditions.log else None)
        try:
            async with previews:
                in_time = await self._predict(client, order, story, recorder)
                if not story.latest.id:
                    raise too_late(story.latest)
                if in_time:
                    await previews.settle(order.conditions.deadline_s)
        finally:
            if story.latest.saving:
                story.change(saving=False)
            await recorder.settle(story.latest)
        return Ended(story.latest, "" if in_time else "deadline")

    async def _predict(
        self, client: Client, order: _Order, story: Story, recorder: Recorder
    ) -> bool:
        """Look up, plan, create and follow; whether it came to its own end."""
        described = await self._look_up(client, order, story)
        request = plan(order.target, order.draft, read_schema(described.openapi), _read_bytes)
        story.change(shape=request.schema.shape)
        asked = _fingerprint(request)
        recorder.notes = _notes(order, request)
        conduct = self._conduct(described, order, asked, recorder)
        with ExitStack() as under_way:
            self._under_way[asked] += 1
            under_way.callback(self._no_longer_under_way, asked)

            def emit(event: Event) -> None:
                if isinstance(event, Created):
                    self._ids.add(event.raw["id"])
                    under_way.close()
                story.add(event)
                recorder.saw(event, story.latest)

            recorder.prepare()
            try:
                create = _create(request, described, order.conditions)
                return await predict(client, create, conduct, emit)
            except errors.InvalidInput:
                self._described.pop(order.key, None)  # it may be a stale schema
                raise

    async def _look_up(self, client: Client, order: _Order, story: Story) -> Described:
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
        self, described: Described, order: _Order, asked: str, recorder: Recorder
    ) -> Conduct:
        endpoint, conditions = order.endpoint, order.conditions
        return Conduct(
            began_s=conditions.began_s,
            deadline_s=conditions.deadline_s,
            stream=conditions.stream,
            fallback_version=described.latest,
            official=described.official,
            is_known=lambda name: name in self._ids or the_history().knows(name),
            is_alone=lambda: self._under_way.get(asked, 0) <= 1,
            is_gone=lambda: self.endpoints.is_gone(endpoint),
            kept=recorder.kept,
        )

    async def _client(self, endpoint: Endpoint) -> Client:
        here = asyncio.get_running_loop()
        if self._pool is None or self._pool[0] is not here:  # closed, or left behind by a fork
            self._pool = (here, open_http())
            self._clients = {}
            bridge.the_loop().at_close(partial(_close_pool, self._pool[1], self._clients))
        if endpoint not in self._clients:
            pool = self._pool[1]
            self._clients[endpoint] = Client(pool, base=endpoint.base, token=endpoint.token)
        return self._clients[endpoint]

    async def _describe(
        self, client: Client, order: _Order, emit: Callable[[Event], None]
    ) -> Described:
        found = self._described.get(order.key)
        if found and time.monotonic() - found[0] < _SCHEMA_FOR_S:
            return found[1]

        def tell(reason: str, delay_s: float) -> None:
            emit(Retry(reason=reason, delay_s=delay_s, at_s=order.at_s))

        described = await describe(client, order.target, tell)
        self._described[order.key] = (time.monotonic(), described)
        return described


def _notes(order: _Order, request: Request) -> Notes:
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


def _create(request: Request, described: Described, conditions: Conditions) -> Create:
    return protocol.Create(
        target=request.target,
        input=request.input,
        version=described.version,
        wait_s=conditions.wait_s,
        cancel_after_s=conditions.deadline_s - time.monotonic(),
    )


def _model_name(target: Target) -> str:
    return str(replace(target, kind="model", version=None)) if target.version else str(target)


async def _close_pool(pool: Pool, clients: Mapping[Endpoint, Client]) -> None:
    """Cancels that are on their way get a while to arrive."""
    await asyncio.gather(*(client.settle(_SETTLE_S) for client in clients.values()))
    await pool.aclose()


def _read_bytes(path: Path, most: int) -> bytes:
    if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe would hold up all calls
        raise OSError(errno.EINVAL, "it is no file that can be sent")
    with path.open("rb") as file:
        return file.read(most)


_SESSION = Session()  # holds nothing before its first use


def the_session() -> Session:
    """The process's session."""
    return _SESSION


def close() -> None:
    """End what this package has running: predictions, connections, the loop, engine, history."""
    bridge.close()
    the_session().close()
    history.close()
