"""Owns the composition: client, engine, bridge and view; what the functions and the magics call.

It wires and decides nothing of its own: what to send is the cell's, when to retry the API's, what
to show the view's.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from replicate_magic import bridge, errors
from replicate_magic.api import answers, protocol
from replicate_magic.api.models import Described
from replicate_magic.cell.plan import Draft
from replicate_magic.endpoint import Endpoints
from replicate_magic.failure import carry, explain_interrupt, explain_wait
from replicate_magic.job import Job
from replicate_magic.known import Known
from replicate_magic.order import Conditions, Order
from replicate_magic.runner import Runner
from replicate_magic.runs import history
from replicate_magic.runs.history import the_history
from replicate_magic.sending import asking_for, create_of, request_of, secrets_in
from replicate_magic.views import NoView
from replicate_magic.views import close as close_view

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from datetime import datetime

    from replicate_magic.api.limiter import Limiter
    from replicate_magic.api.protocol import APIRequest
    from replicate_magic.cell.info import ModelInfo
    from replicate_magic.cell.plan import Target
    from replicate_magic.endpoint import Endpoint
    from replicate_magic.job import Ended
    from replicate_magic.prediction import Prediction
    from replicate_magic.runs.query import Query
    from replicate_magic.runs.record import Record
    from replicate_magic.views import View

    class _Explain(Protocol):
        def __call__(
            self, interrupt: KeyboardInterrupt, prediction: Prediction | None, /, *, going_on: bool
        ) -> None: ...


class Waited(Protocol):
    """A job, of one prediction or of many."""

    @property
    def done(self) -> bool:
        """Whether it has ended."""

    def wait(self, timeout: float | None = None) -> Any:
        """Wait for its end; what came of it."""


T = TypeVar("T")

_LOST = (
    "Prediction {} is not known any more at {}, where it was made. Its row stays as it is, marked "
    "as lost."
)


class DryRun(NamedTuple):
    """What would be sent, and to where.

    Attributes:
        base: the API's address.
        request: the request, without the token and with its secrets hidden.
        doubt: why it could not be checked against the model's schema as it is now, or an empty
            string.
        as_of: when the schema was fetched that it was checked against, if there was one.
        has_token: whether the token goes along.
    """

    base: str
    request: APIRequest
    doubt: str
    as_of: datetime | None
    has_token: bool


class Session:
    """What lives as long as the process: connections, schemas, the embedded engine."""

    def __init__(self) -> None:
        self.endpoints = Endpoints()
        self.runner = Runner(self.endpoints)
        self._background: list[Waited] = []

    # -- for callers -----------------------------------------------------------------------------

    def drive(self, target: Target, draft: Draft, conditions: Conditions, view: View) -> Job:
        """Run a prediction to its end for a blocking caller, who closes the view.

        Raises:
            ReplicateMagicError: it could not be run, or not be followed to its end.
            KeyboardInterrupt: it was canceled.

        With an error the view is closed, and the prediction, where it had an id, is
        `error.prediction`.
        """
        return self._drive(
            lambda: self._job(target, draft, conditions, view), view, explain=explain_interrupt
        )

    def attach(self, record: Record, conditions: Conditions, view: View) -> Job:
        """Follow a prediction of history to its end for a blocking caller, who closes the view.

        Being interrupted, or the time being over, ends the watching only; the view's own way to
        cancel cancels the prediction.

        Raises:
            NotFound: whoever ran it does not know it any more; its row is marked.
            ReplicateMagicError: it could not be followed to its end.
            KeyboardInterrupt: the watching was interrupted.
        """
        wishes: list[str] = []

        def make() -> Job:
            known = Known(record, self.endpoints.at(record.origin), conditions)
            follow = partial(self.runner.rejoin, known, cancels=lambda: bool(wishes))
            job = _job(follow, record.model, view)

            def cancel() -> None:
                wishes.append("cancel")
                job.cancel()

            view.on_cancel(cancel)
            return job

        try:
            return self._drive(make, view, explain=_explain_watching)
        except errors.NotFound as error:
            the_history().save(replace(record, local={**record.local, "lost": True}))
            raise errors.NotFound(_LOST.format(record.id, record.origin), status=404) from error

    def watch(self, record: Record, conditions: Conditions) -> None:
        """Follow a prediction of history in the background, so that its row is completed.

        It goes on where this process ends before it; being canceled as a job cancels it.

        Raises:
            ReplicateMagicError: where it was made is not to be reached from here.
        """
        wishes: list[str] = []
        known = Known(record, self.endpoints.at(record.origin), conditions)
        follow = partial(self.runner.rejoin, known, cancels=lambda: bool(wishes), previewed=False)
        job = Job(bridge.Call(follow), record.model, lambda: wishes.append("cancel"))
        job.detach(lambda _: None, lambda _: None)
        self.remember(job)

    def _drive(self, make: Callable[[], Job], view: View, *, explain: _Explain) -> Job:
        """Have a job run to its end; what goes wrong is `drive`'s to tell."""
        job: Job | None = None
        try:
            job = make()
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
                explain(error, latest, going_on=bool(job and not job.done))
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
        self.remember(job)
        return job

    def remember(self, job: Waited) -> None:
        """Keep a job that runs in the background, while it does."""
        self._background = [*self.background(), job]

    def background(self) -> list[Waited]:
        """The jobs that run in the background now, the oldest first."""
        return [job for job in self._background if not job.done]

    def endpoint_of(self, target: Target, conditions: Conditions) -> Endpoint:
        """Where a target is to run.

        Raises:
            ReplicateMagicError: there is nowhere to run it.
        """
        if conditions.reuse == "only":
            return self.endpoints.unused(target)
        return self.endpoints.of(target)

    def _job(self, target: Target, draft: Draft, conditions: Conditions, view: View) -> Job:
        order = Order(self.endpoint_of(target, conditions), target, draft, conditions)
        run = partial(self.runner.run, order)
        return _job(run, order.model, view)

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
        """The request that would be sent, but for its secrets, checked by the schema there is."""
        order = Order(self.endpoints.configured(), target, draft, conditions)
        try:
            order = order._replace(endpoint=self.endpoints.of(target))
            request, found = now(lambda _: self.runner.rehearsed(order))
        except errors.InputError:
            raise
        except errors.ReplicateMagicError as error:
            request, described = request_of(order, Described()), Described()
            doubt, as_of = str(error), None
        else:
            described, doubt, as_of = found.described, found.trouble, found.fetched_at
        told = replace(request, input=secrets_in(request).input(request.input))
        create = create_of(told, described, conditions)
        return DryRun(
            base=order.endpoint.base,
            request=asking_for(create, described, stream=conditions.stream),
            doubt=doubt,
            as_of=as_of,
            has_token=target.kind != "cog",
        )

    def info(self, target: Target) -> ModelInfo:
        """What is known of a model; what was looked up for a run is not asked again.

        Raises:
            NotFound: there is none.
            ReplicateMagicError: it could not be found out.
        """
        from replicate_magic.describing import info_of

        endpoint = self.endpoints.of(target)

        old: list[datetime] = []

        async def ask(about: Target) -> Described:
            order = Order(endpoint, about, Draft(inputs={}), Conditions())
            found = await self.runner.known(order, or_old=True)
            old.extend([found.fetched_at] if found.trouble else [])
            return found.described

        return replace(now(lambda _: info_of(target, ask)), as_of=min(old, default=None))

    def account(self, endpoint: Endpoint, *, within_s: float) -> dict[str, Any]:
        """The API's JSON of the account that an endpoint's token belongs to.

        Raises:
            Unauthorized: the API does not know the token.
            ReplicateMagicError: it could not be found out in that time.
        """

        async def work(_: object) -> dict[str, Any]:
            client = await self.runner.clients.at(endpoint)
            try:
                async with asyncio.timeout(within_s):
                    answer = await client.send(protocol.account_request())
            except TimeoutError as error:
                raise errors.ConnectionFailed(
                    f"{endpoint.base} did not answer within {within_s:.0f} s."
                ) from error
            return answers.read_object(answer, subject="the account")

        return now(work)

    def limits(self) -> Limiter | None:
        """The account's rate limits, where the API has been asked for anything."""
        return self.runner.clients.limits(self.endpoints.configured())

    def unfinished(self) -> list[Record]:
        """The predictions of history whose end is not known, and that nothing here follows.

        Raises:
            HistoryError: the history cannot be read.
        """
        return [
            record
            for record in the_history().unfinished()
            if not self.runner.running[record.id]
            and not record.local.get("lost")
            and not record.local.get("remote")  # somebody else's, who sees to it
        ]

    def fetch_runs(self, query: Query, tell: Callable[[str], object]) -> int:
        """Merge the account's predictions into history, by the query's times and limit.

        Args:
            query: `since`, `until` and `limit` count.
            tell: told what is being waited for.

        Returns:
            How many there were.

        Raises:
            ReplicateMagicError: they could not be had; those that came are kept.
        """
        from replicate_magic.remote import merge

        endpoint = self.endpoints.configured()

        async def work(publish: Callable[[str], None]) -> int:
            return await merge(await self.runner.clients.at(endpoint), query, publish)

        return now(work, tell)

    def close(self) -> None:
        """End the embedded engine and forget what was looked up; connections end with the loop."""
        self.runner.lookups.forget()
        self.endpoints.close()


def _job(run: Callable[..., Coroutine[Any, Any, Ended]], model: str, view: View) -> Job:
    previewed = view.wants_previews  # a job may be kept for long, and must not keep its view
    job = Job(bridge.Call(lambda publish: run(publish, previewed=previewed)), model)
    view.on_cancel(job.cancel)
    return job


def now(
    make: Callable[[Callable[[str], None]], Coroutine[Any, Any, T]],
    tell: Callable[[str], object] = lambda _: None,
) -> T:
    """What a coroutine of the loop gives, for a blocking caller, who is told its news."""
    call: bridge.Call[str, T] = bridge.Call(make)
    last = ""
    with bridge.entered(call):
        for news in call.snapshots():
            if news != last:
                tell(news)
                last = news
        return call.result()


def _explain_watching(
    interrupt: KeyboardInterrupt, prediction: Prediction | None, **_: object
) -> None:
    if prediction is not None:
        explain_wait(interrupt, prediction, ended_by="%replicate attach follows it again")


_SESSION = Session()  # holds nothing before its first use


def the_session() -> Session:
    """The process's session."""
    return _SESSION


def close() -> None:
    """End what this package has running: predictions, connections, the loop, engine, history."""
    bridge.close()
    the_session().close()
    history.close()
