"""Owns the composition: client, engine, bridge and view; what the functions and the magics call.

It wires and decides nothing of its own: what to send is the cell's, when to retry the API's, what
to show the view's.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from replicate_magic import bridge, errors
from replicate_magic.api import protocol
from replicate_magic.api.models import Described
from replicate_magic.cell.plan import Draft, plan
from replicate_magic.cell.schema import read_schema
from replicate_magic.endpoint import Endpoints
from replicate_magic.failure import carry, explain_interrupt, explain_wait
from replicate_magic.job import Job
from replicate_magic.order import Conditions, Order
from replicate_magic.runner import Known, Runner, create_of, read_bytes
from replicate_magic.runs import history
from replicate_magic.runs.history import the_history
from replicate_magic.views import NoView
from replicate_magic.views import close as close_view

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from replicate_magic.api.protocol import APIRequest
    from replicate_magic.cell.info import ModelInfo
    from replicate_magic.cell.plan import Target
    from replicate_magic.job import Ended
    from replicate_magic.prediction import Prediction
    from replicate_magic.runs.query import Query
    from replicate_magic.runs.record import Record
    from replicate_magic.views import View

    class _Explain(Protocol):
        def __call__(
            self, interrupt: KeyboardInterrupt, prediction: Prediction | None, /, *, going_on: bool
        ) -> None: ...


T = TypeVar("T")

_LOST = (
    "Prediction {} is not known any more at {}, where it was made. Its row stays as it is, marked "
    "as lost."
)


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
        self._runner = Runner(self.endpoints)

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
            follow = partial(self._runner.rejoin, known, cancels=lambda: bool(wishes))
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
        return job

    def _job(self, target: Target, draft: Draft, conditions: Conditions, view: View) -> Job:
        order = Order(self.endpoints.of(target), target, draft, conditions)
        run = partial(self._runner.run, order)
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
        """The exact request that would be sent, checked against the schema if it can be had."""
        described, doubt, base = Described(), "", self.endpoints.configured().base
        try:
            order = Order(self.endpoints.of(target), target, draft, conditions)
            base = order.endpoint.base
            described = _now(lambda _: self._runner.described(order))
        except errors.ReplicateMagicError as error:
            doubt = str(error)
        request = plan(target, draft, read_schema(described.openapi), read_bytes)
        create = create_of(request, described, conditions)
        return DryRun(base=base, request=protocol.create_request(create), doubt=doubt)

    def info(self, target: Target) -> ModelInfo:
        """What is known of a model; what was looked up for a run is not asked again.

        Raises:
            NotFound: there is none.
            ReplicateMagicError: it could not be found out.
        """
        from replicate_magic.describing import info_of

        endpoint = self.endpoints.of(target)

        async def ask(about: Target) -> Described:
            order = Order(endpoint, about, Draft(inputs={}), Conditions())
            return await self._runner.described(order)

        return _now(lambda _: info_of(target, ask))

    def unfinished(self) -> list[Record]:
        """The predictions of history whose end is not known, and that nothing here follows.

        Raises:
            HistoryError: the history cannot be read.
        """
        found = the_history().unfinished()
        return [
            record
            for record in found
            if not self._runner.running[record.id]
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
            return await merge(await self._runner.client(endpoint), query, publish)

        return _now(work, tell)

    def close(self) -> None:
        """End the embedded engine and forget what was looked up; connections end with the loop."""
        self._runner.forget()
        self.endpoints.close()


def _job(run: Callable[..., Coroutine[Any, Any, Ended]], model: str, view: View) -> Job:
    previewed = view.wants_previews  # a job may be kept for long, and must not keep its view
    job = Job(bridge.Call(lambda publish: run(publish, previewed=previewed)), model)
    view.on_cancel(job.cancel)
    return job


def _now(
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
