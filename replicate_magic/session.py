"""Owns the composition: client, engine, bridge and view; what the functions and the magics call.

It wires and decides nothing of its own: what to send is the cell's, when to retry the API's, what
to show the view's.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import os
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from replicate_magic import bridge, errors
from replicate_magic.api import protocol
from replicate_magic.api.client import Client, open_http
from replicate_magic.api.create import Conduct
from replicate_magic.api.files import previews
from replicate_magic.api.models import Described, describe
from replicate_magic.api.predict import predict
from replicate_magic.cell.plan import plan
from replicate_magic.cell.schema import read_schema
from replicate_magic.failure import carry, explain_interrupt, why_not
from replicate_magic.prediction import Created, Prediction, Retry, fold

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from replicate_magic.api.client import Pool
    from replicate_magic.api.protocol import APIRequest, Create
    from replicate_magic.cell.plan import Draft, Request, Target
    from replicate_magic.local import Engine
    from replicate_magic.prediction import Event
    from replicate_magic.views import View

DEFAULT_TIMEOUT_S = 3600.0
_SCHEMA_FOR_S = 600.0
_WITHOUT_ACCOUNT = (
    "There is no API token, which {target} needs. Get one at "
    "https://replicate.com/account/api-tokens and set REPLICATE_API_TOKEN, here for example with\n"
    '  import os, getpass; os.environ["REPLICATE_API_TOKEN"] = getpass.getpass()\n'
    "Models named local/… run on this machine and need none: "
    "%%replicate local/smollm2-135m-instruct"
)
_SETTLE_S = 4.0
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """How a prediction is to be run.

    Attributes:
        timeout_s: after how many seconds from `began_s` it is canceled.
        wait_s: how long Replicate may hold the first answer back, or `None`.
        stream: whether to read the stream.
        began_s: when the cell or the call began, by `time.monotonic()`.
    """

    timeout_s: float = DEFAULT_TIMEOUT_S
    wait_s: int | None = None
    stream: bool = True
    began_s: float = field(default_factory=time.monotonic)

    @property
    def deadline_s(self) -> float:
        """When the time is over; the loop's clock is `time.monotonic()` too."""
        return self.began_s + self.timeout_s


class Endpoint(NamedTuple):
    """Where an API is, and the token for it."""

    base: str
    token: str

    def __repr__(self) -> str:
        return f"<Endpoint {self.base}>"


class Job(NamedTuple):
    """All that is known of a run before it begins."""

    endpoint: Endpoint
    target: Target
    draft: Draft
    conditions: Conditions


class Ended(NamedTuple):
    """A prediction that has ended, and whether the deadline did it."""

    prediction: Prediction
    timed_out: bool


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
        self._pool: tuple[asyncio.AbstractEventLoop, Pool] | None = None
        self._clients: dict[Endpoint, Client] = {}
        self._described: dict[tuple[str, str], tuple[float, Described]] = {}
        self._engine: Engine | None = None
        self._starting = Lock()  # one engine, whoever asks first
        self._ids: set[str] = set()
        self._under_way: Counter[str] = Counter()  # creates without an id yet, by what they ask for

    # -- for callers -----------------------------------------------------------------------------

    def drive(self, target: Target, draft: Draft, conditions: Conditions, view: View) -> Ended:
        """Run a prediction for a blocking caller; the caller closes the view.

        Raises:
            ReplicateMagicError: it could not be run, or not be followed to its end.
            KeyboardInterrupt: it was canceled.

        With an error the view is closed, and the prediction, where it had an id, is
        `error.prediction`.
        """
        call: bridge.Call[Prediction, Ended] | None = None
        try:
            job = Job(self.endpoint(target), target, draft, conditions)
            call = bridge.Call(
                lambda publish: self._perform(job, publish, previewed=view.wants_previews)
            )
            with bridge.entered(call):
                for snapshot in call.snapshots():
                    view.update(snapshot)
                return call.result()
        except BaseException as error:
            latest = call.latest if call else None
            if call:
                call.cancel()  # once more is no harm: a second interrupt may have cut in before
            if isinstance(error, KeyboardInterrupt):
                explain_interrupt(error, latest, going_on=bool(call and not call.wait(0)))
            else:
                carry(error, latest)
            with suppress(KeyboardInterrupt):  # a second one is no news
                view.close(latest if latest and latest.id else None)
            raise

    async def adrive(self, target: Target, draft: Draft, conditions: Conditions) -> Ended:
        """Run a prediction for a caller on a loop of its own; cancelling it cancels the prediction.

        Raises:
            ReplicateMagicError: it could not be run, or not be followed to its end; the
                prediction, where it had an id, is `error.prediction`.
        """
        job = Job(self.endpoint(target), target, draft, conditions)
        call: bridge.Call[Prediction, Ended] = bridge.Call(
            lambda publish: self._perform(job, publish, previewed=False)
        )
        try:
            return await bridge.awaited(call)
        except errors.ReplicateMagicError as error:
            carry(error, call.latest)
            raise

    def dry_run(self, target: Target, draft: Draft, conditions: Conditions) -> DryRun:
        """The exact request that would be sent, checked against the schema if it can be had."""
        described, doubt, base = Described(), "", self.configured().base
        try:
            job = Job(self.endpoint(target), target, draft, conditions)
            base = job.endpoint.base
            described = self._described_now(job)
        except errors.ReplicateMagicError as error:
            doubt = str(error)
        request = plan(target, draft, read_schema(described.openapi), _read_bytes)
        create = _create(request, described, conditions)
        return DryRun(base=base, request=protocol.create_request(create), doubt=doubt)

    def _described_now(self, job: Job) -> Described:
        async def look() -> Described:
            return await self._describe(await self._client(job.endpoint), job, lambda _: None)

        call: bridge.Call[None, Described] = bridge.Call(lambda _: look())
        with bridge.entered(call):
            for _ in call.snapshots():
                pass
            return call.result()

    def endpoint(self, target: Target) -> Endpoint:
        """Where a target runs: the embedded engine for `local/…`, else the configured API.

        A `REPLICATE_BASE_URL` on this machine is taken for an engine that was started by hand.

        Raises:
            EngineUnavailable: the embedded engine does not start.
            Unauthorized: there is no token.
        """
        configured = self.configured()
        if _is_loopback(configured.base):
            return configured
        if target.is_local:
            return self._engine_endpoint()
        if not configured.token:
            raise errors.Unauthorized(_WITHOUT_ACCOUNT.format(target=target), status=401)
        return configured

    def configured(self) -> Endpoint:
        """The API that the environment names, and its token; read anew at every call."""
        base = protocol.base_url(os.environ.get("REPLICATE_BASE_URL"))
        return Endpoint(base, protocol.clean_token(os.environ.get("REPLICATE_API_TOKEN")))

    def close(self) -> None:
        """End the embedded engine and forget what was looked up; connections end with the loop."""
        self._described.clear()
        engine, self._engine = self._engine, None
        if engine:
            engine.close()

    def _engine_endpoint(self) -> Endpoint:
        from replicate_magic import local

        with self._starting:
            if self._engine is None or not self._engine.alive:
                try:
                    self._engine = local.serve()
                except local.EngineError as error:
                    raise errors.EngineUnavailable(str(error)) from error
            return Endpoint(protocol.base_url(self._engine.base_url), self._engine.token)

    # -- on the loop -----------------------------------------------------------------------------

    async def _perform(
        self, job: Job, publish: Callable[[Prediction], None], *, previewed: bool
    ) -> Ended:
        latest = Prediction(model=_model_name(job.target))
        under_way = ExitStack()

        def emit(event: Event) -> None:
            nonlocal latest
            latest = fold(latest, event)
            if isinstance(event, Created):
                self._ids.add(latest.id)
                under_way.close()
            publish(latest)

        client = await self._client(job.endpoint)
        try:
            async with asyncio.timeout_at(job.conditions.deadline_s):
                described = await self._describe(client, job, emit)
        except TimeoutError as error:
            raise errors.PredictionTimeout(
                f"{latest.model} was looked up for longer than it was given (--timeout). Nothing "
                "was sent.",
                prediction=latest,
            ) from error
        request = plan(job.target, job.draft, read_schema(described.openapi), _read_bytes)
        latest = replace(latest, shape=request.schema.shape)
        asked = _fingerprint(request)
        publish(latest)
        try:
            create = _create(request, described, job.conditions)
            conduct = self._conduct(described, job, asked)
            self._under_way[asked] += 1
            under_way.callback(self._no_longer_under_way, asked)
            with under_way:
                in_time = await predict(client, create, conduct, emit)
        except errors.InvalidInput:
            self._described.pop((client.base, str(job.target)), None)  # it may be a stale schema
            raise
        if not latest.id:
            raise _too_late(latest)
        if latest.ok and previewed and latest.files:
            latest = replace(latest, downloaded=await previews(client, latest.files))
            publish(latest)
        return Ended(latest, timed_out=not in_time)

    def _no_longer_under_way(self, asked: str) -> None:
        self._under_way[asked] -= 1
        if not self._under_way[asked]:
            del self._under_way[asked]

    def _is_gone(self, endpoint: Endpoint) -> bool:
        """Whether an endpoint was the embedded engine, and its process has ended."""
        engine = self._engine
        ours = engine is not None and protocol.base_url(engine.base_url) == endpoint.base
        return bool(ours and engine and not engine.alive)

    def _conduct(self, described: Described, job: Job, asked: str) -> Conduct:
        endpoint = job.endpoint
        return Conduct(
            began_s=job.conditions.began_s,
            deadline_s=job.conditions.deadline_s,
            stream=job.conditions.stream,
            fallback_version=described.latest,
            official=described.official,
            is_known=self._ids.__contains__,
            is_alone=lambda: self._under_way.get(asked, 0) <= 1,
            is_gone=lambda: self._is_gone(endpoint),
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

    async def _describe(self, client: Client, job: Job, emit: Callable[[Event], None]) -> Described:
        key = (client.base, str(job.target))
        found = self._described.get(key)
        if found and time.monotonic() - found[0] < _SCHEMA_FOR_S:
            return found[1]

        def tell(reason: str, delay_s: float) -> None:
            at_s = time.monotonic() - job.conditions.began_s
            emit(Retry(reason=reason, delay_s=delay_s, at_s=at_s))

        described = await describe(client, job.target, tell)
        self._described[key] = (time.monotonic(), described)
        return described


def _fingerprint(request: Request) -> str:
    """The same for requests that are alike; short, since inputs may hold whole files."""
    text = json.dumps([str(request.target), request.input], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _too_late(prediction: Prediction) -> errors.PredictionTimeout:
    return errors.PredictionTimeout(why_not(prediction, timed_out=True), prediction=prediction)


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


def _is_loopback(base: str) -> bool:
    return protocol.origin(base)[1] in _LOOPBACK


def check(ended: Ended) -> Prediction:
    """The prediction, if it succeeded.

    Raises:
        PredictionTimeout: its time was over.
        PredictionFailed: it failed, or was canceled or aborted.
    """
    prediction = ended.prediction
    if ended.timed_out:
        raise _too_late(prediction)
    if not prediction.ok:
        raise errors.PredictionFailed(why_not(prediction), prediction=prediction)
    return prediction


_SESSION = Session()  # holds nothing before its first use


def the_session() -> Session:
    """The process's session."""
    return _SESSION


def close() -> None:
    """End what this package has running: predictions, connections, the loop, the engine."""
    bridge.close()
    the_session().close()
