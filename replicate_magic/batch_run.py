"""Owns many runs at once: which are under way, when the next begins, what became of each.

It works on the loop, and must not know who waits for it or how it is drawn. Requests are created
plainly, so that each id is known at once, then asked about at the pace of the model's earlier runs.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from replicate_magic import bridge, errors
from replicate_magic.batch_order import runs_elsewhere, runs_here
from replicate_magic.batch_requests import Requests, kept
from replicate_magic.failure import short_why
from replicate_magic.known import Known
from replicate_magic.order import Order
from replicate_magic.resuming import best_runs
from replicate_magic.runs.batch_items import BatchRecord
from replicate_magic.runs.history import the_history
from replicate_magic.tally import Tally
from replicate_magic.turns import quick_turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from replicate_magic.api.pace import Pace
    from replicate_magic.batch_order import BatchOrder
    from replicate_magic.cell.many import Item
    from replicate_magic.job import Ended
    from replicate_magic.prediction import Prediction
    from replicate_magic.runner import Runner

_NO_MORE = (errors.InsufficientCredit, errors.OverBudget, errors.Unauthorized)
"""After one of these no further create would fare better."""


class News(NamedTuple):
    """The tally, and which version of it there was to tell."""

    tally: Tally
    version: int


class Batch:
    """One batch on its way.

    Args:
        runner: runs each.
        order: what is asked for.

    Attributes:
        tally: what is known of it.
        requests: what is to be sent.
        why: what ended it early, or an empty string.
    """

    def __init__(self, runner: Runner, order: BatchOrder) -> None:
        self.tally = Tally(order.batch_id, order.total, time.monotonic())
        self.requests = Requests(runner, order, self.tally, self._change)
        self.why = ""
        self._runner = runner
        self._order = order
        self._publish: Callable[[News], None] = lambda _: None
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._watched: dict[int, asyncio.Event] = {}
        self._reading = asyncio.Lock()
        self._source: Iterator[Item] = iter(())

    async def run(self, publish: Callable[[News], None]) -> Tally:
        """Run all of it.

        Args:
            publish: handed the tally whenever it has changed.

        Raises:
            CellError: it runs already, here or in another process.
            InputError: the model refuses inputs of some of its requests; nothing was sent.
            OverBudget: together they would pass a limit, or may; nothing was sent.
            ReplicateMagicError: a model cannot be looked up; nothing was sent.
            asyncio.CancelledError: it was ended; what ran is canceled, what is done is kept.
        """
        self._publish = publish
        async with self._alone():
            with quick_turns():
                await self._run_all()
        return self.tally

    async def _run_all(self) -> None:
        await self.requests.look_up()
        if self._order.total is None:
            self._source = iter(self._order.items)
            await self._begin()
        else:
            self._source = iter(await self._ready())
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(min(self._order.concurrency, self._order.total or 256)):
                    workers.create_task(self._work())
        finally:
            self._settle()
            end = partial(the_history().end_batch, self._order.batch_id, "ended")
            bridge.here().watch(kept(self._order, end))
            if self._order.conditions.log:
                await self._runner.writer().settled()

    async def rehearse(self) -> None:
        """Look up and check all of it, as `run` does, and send nothing."""
        await self.requests.look_up()
        await self.requests.prepared()

    # -- from outside; on the loop's thread --------------------------------------------------------

    def cancel(self, number: int) -> None:
        """Cancel one request, or do not send it."""
        if task := self._tasks.get(number):
            if not task.cancelling():  # once: what cleans up must not be cut off by a second
                task.cancel()
        elif number in self.requests.asked and self.tally.entry(number).phase == "waiting":
            self.requests.leave(number, error="Canceled before it was sent.")

    def look(self, number: int) -> None:
        """Somebody looks at a request: from now on its stream is read."""
        self._watched.setdefault(number, asyncio.Event()).set()

    # -- before anything is sent -------------------------------------------------------------------

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Nobody runs it meanwhile but this; what others did of it before is known from here on."""
        batch_id = self._order.batch_id
        here = (os.getpid(), batch_id)
        if here in self._runner.batches:
            raise runs_here(batch_id)
        self._runner.batches.add(here)
        try:
            if self._order.resumed:
                await self._drive()
                runs = await bridge.apart(partial(the_history().batch_runs, batch_id))
                self.requests.known = best_runs(runs)
            yield
        finally:
            self._runner.batches.discard(here)
            leave = partial(the_history().leave_batch, batch_id)
            bridge.here().watch(kept(self._order, leave))

    async def _begin(self) -> None:
        await kept(self._order, partial(the_history().begin_batch, self._record()))
        if not self._order.resumed:
            await self._drive()

    async def _drive(self) -> None:
        """Have history keep that this process drives it.

        Raises:
            CellError: another one does.
        """
        batch_id = self._order.batch_id
        if other := await kept(self._order, partial(the_history().drive_batch, batch_id)):
            raise runs_elsewhere(batch_id, other)

    async def _ready(self) -> list[Item]:
        """All requests, checked and paid for; where that is refused, history has none."""
        await self._begin()
        try:
            items = await self.requests.prepared()
            await self.requests.adopt(items)
            await self.requests.afford(items)
        except BaseException:
            if not self._order.resumed:
                await kept(self._order, partial(the_history().drop_batch, self._order.batch_id))
            raise
        return items

    def _record(self) -> BatchRecord:
        return BatchRecord(
            id=self._order.batch_id, total=self._order.total, settings=self._order.settings
        )

    # -- the work ----------------------------------------------------------------------------------

    async def _work(self) -> None:
        """Take up one request after the other."""
        while item := await self._next():
            number = item.number
            task = asyncio.create_task(self._one(item))
            self._tasks[number] = task
            try:
                await task
            except asyncio.CancelledError:
                me = asyncio.current_task()
                if me is None or me.cancelling():  # not this request alone
                    raise
            finally:
                self._tasks.pop(number, None)
                self._watched.pop(number, None)

    async def _next(self) -> Item | None:
        """The next request that is to be sent, if there is one."""
        while not self.why:
            if self._order.total is None:
                item = await self._read()
            else:
                item = next(self._source, None)
            if item is None or item.number not in self.requests.skipped:
                return item
        return None

    async def _read(self) -> Item | None:
        """The next request of a generator that makes sense; one that does not is told and left."""
        async with self._reading:
            while not self.why and (item := await self._pulled()):
                if taken := await self.requests.taken_up(item):
                    return taken
        return None

    async def _pulled(self) -> Item | None:
        """The next request of a generator, whose code is the caller's and may take its time."""
        try:
            return await bridge.apart(lambda: next(self._source, None))
        except errors.ReplicateMagicError as error:
            self._stop(str(error))
        except Exception as error:  # noqa: BLE001  (the caller's own)
            self._stop(f"The rows ended with {type(error).__name__}: {error}")
        return None

    async def _one(self, item: Item) -> None:
        """Run one request to its end, whatever that is."""
        number, pace = item.number, self.requests.paces[item.target]
        self._change(number, phase="running")
        pace.running += 1
        try:
            ended = await self._run(item)
        except errors.ReplicateMagicError as error:
            if isinstance(error, _NO_MORE):
                self._stop(str(error))
            self._change(number, phase="done", error=str(error))
        except asyncio.CancelledError:
            self._change(number, phase="done", error="Canceled.")
            raise
        else:
            why = "" if ended.prediction.ok else short_why(ended.prediction, cut=ended.cut)
            self._change(
                number, phase="done", prediction=ended.prediction, error=why or _status(ended)
            )
            _learn(pace, ended.prediction)
        finally:
            pace.running -= 1

    async def _run(self, item: Item) -> Ended:
        """A request that history has, and whose end it has not, is followed and not sent again."""
        order, requests = self._order_of(item), self.requests
        known = requests.known.get(item.number)
        publish = partial(self._saw, item.number)
        if known and (not known.final or item.number in requests.adopted):
            with suppress(errors.NotFound):
                followed = Known(known, order.endpoint, order.conditions)
                return await self._runner.rejoin(
                    followed, publish, previewed=False, cancels=lambda: True
                )
        return await self._runner.run(order, publish, previewed=False)

    def _order_of(self, item: Item) -> Order:
        """What is to run now: the time of each request begins when it is taken up."""
        conditions = replace(
            self._order.conditions,
            began_s=time.monotonic(),
            stream=False,
            local=self.requests.local_of(item),
            pace=self.requests.paces[item.target],
            watched=self._watched.setdefault(item.number, asyncio.Event()),
        )
        return Order(self._order.endpoints[item.target], item.target, item.draft, conditions)

    # -- news --------------------------------------------------------------------------------------

    def _saw(self, number: int, prediction: Prediction) -> None:
        self.tally.tell(_held_up(prediction) or ("" if prediction.id else self.tally.note))
        self._change(number, prediction=prediction)

    def _change(self, number: int, **values: Any) -> None:
        self.tally.change(number, **values)
        self._publish(News(self.tally, self.tally.version))

    def _stop(self, why: str) -> None:
        """Send nothing more; what runs goes on to its end."""
        self.why = self.why or why.removesuffix(" Nothing was sent.")

    def _settle(self) -> None:
        """What was not sent will not be."""
        why = self.why or "it was interrupted."
        for entry in list(self.tally.entries):
            if entry.phase != "done":
                self._change(entry.number, phase="done", error=f"Not sent: {why}")
        self.tally.tell("")
        self.tally.ended_s = time.monotonic()


def _learn(pace: Pace, prediction: Prediction) -> None:
    created, completed = prediction.created_at, prediction.completed_at
    if created and completed and prediction.age_s is None:
        pace.learn((completed - created).total_seconds())


def _status(ended: Ended) -> str:
    return "" if ended.prediction.ok else f"It was {ended.prediction.status}."


def _held_up(prediction: Prediction) -> str:
    """What holds up this request and all others: the account's rate limit."""
    retry = prediction.retry
    if retry is None or prediction.id or "rate limit" not in retry.reason:
        return ""
    from replicate_magic.views.status import waiting

    return waiting(retry)
