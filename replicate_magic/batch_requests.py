"""Owns what of a batch is to be sent: looked up, checked, kept, paid for; must not send it.

It works on the loop. What is not to be sent, since history has its answer or lacks a part of it, is
entered in the tally all the same.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from replicate_magic import bridge, errors, paying
from replicate_magic.adopting import created_meanwhile
from replicate_magic.api.pace import Pace
from replicate_magic.batch_order import Asked, kept_item, refusal, refuse, told_inputs
from replicate_magic.cell.many import with_seed
from replicate_magic.cell.once import rereadable
from replicate_magic.cell.plan import Draft, Request, plan
from replicate_magic.cell.schema import read_schema
from replicate_magic.order import Order
from replicate_magic.prediction import Prediction
from replicate_magic.recording import fetched, prediction_of
from replicate_magic.runs.history import the_history
from replicate_magic.sending import create_of, read_bytes
from replicate_magic.tally import Entry

if TYPE_CHECKING:
    from collections.abc import Callable

    from replicate_magic.api.protocol import Create
    from replicate_magic.batch_order import BatchOrder
    from replicate_magic.cell.many import Item
    from replicate_magic.cell.plan import Target
    from replicate_magic.cell.schema import Schema
    from replicate_magic.lookups import Found
    from replicate_magic.order import Conditions
    from replicate_magic.runner import Runner
    from replicate_magic.runs.batch_items import BatchItem
    from replicate_magic.runs.record import Record
    from replicate_magic.tally import Tally

T = TypeVar("T")

_AT_ONCE = 200  # requests that are planned, or kept, before the loop does something else


async def kept(order: BatchOrder, work: Callable[[], T]) -> T | None:
    """Have history do something for a batch, in turn; `None` where it keeps nothing of it."""
    await asyncio.sleep(0)
    return await bridge.in_turn(work) if order.conditions.log else None


class Requests:
    """The requests of one batch.

    Args:
        runner: knows models and clients.
        order: what is asked for.
        tally: gets an entry for each.
        change: told what changes in the entry of one that is not to be sent, by its number.

    Attributes:
        asked: what the frame has of each beside its prediction, by number.
        known: what history has of them, by number.
        adopted: those that were created, and whose process died before it knew.
        skipped: those that are not to be sent.
        paces: how long each model's runs take.
    """

    def __init__(
        self, runner: Runner, order: BatchOrder, tally: Tally, change: Callable[..., None]
    ) -> None:
        self.asked: dict[int, Asked] = {}
        self.known: dict[int, Record] = {}
        self.adopted: set[int] = set()
        self.skipped: set[int] = set()
        self.paces: dict[Target, Pace] = {}
        self._runner = runner
        self._order = order
        self._tally = tally
        self._change = change
        self._found: dict[Target, Found] = {}
        self._schemas: dict[Target, Schema] = {}

    async def look_up(self) -> None:
        """Learn what the models take, and how long their runs last.

        Raises:
            ReplicateMagicError: one cannot be looked up.
        """
        for target in self._order.endpoints:
            found = await self._runner.known(self._order_of(target))
            self._found[target] = found
            self._schemas[target] = read_schema(found.described.openapi)
            earlier = await bridge.apart(partial(the_history().last_runs, str(target)))
            self.paces[target] = Pace(seconds for seconds, _ in earlier if seconds is not None)

    async def prepared(self) -> list[Item]:
        """All requests, checked against the models' schemas and kept.

        Raises:
            InputError: a model refuses some of them, all of which are told.
        """
        items: list[Item] = []
        refused: list[str] = []
        rows: list[BatchItem] = []
        for item in self._order.items:
            try:
                items.append(self._taken(item, rows))
            except errors.CellError as error:
                refused.append(refusal(item, error))
            if len(rows) >= _AT_ONCE:
                await self._keep(rows)
        refuse(refused)
        await self._keep(rows)
        return items

    async def taken_up(self, item: Item) -> Item | None:
        """One that was only now asked for, checked and kept; `None` where it makes no sense."""
        rows: list[BatchItem] = []
        try:
            item = self._taken(item, rows)
        except errors.CellError as error:
            self._enter(item, Request(target=item.target, input={}))
            self.leave(item.number, error=str(error))
            return None
        await self._keep(rows)
        return item

    def _taken(self, item: Item, rows: list[BatchItem]) -> Item:
        """A request with its seed, checked, entered in the tally and ready to be kept.

        Raises:
            CellError: its input makes no sense.
        """
        schema = self._schemas[item.target]
        if item.seeds:
            item = replace(item, draft=with_seed(item.draft, schema, item.repeat))
        request = plan(item.target, rereadable(item.draft), schema, read_bytes)
        self._enter(item, request)
        rows.append(kept_item(item, request))
        return item

    def _enter(self, item: Item, request: Request) -> None:
        self.asked[item.number] = Asked(
            origin=self._order.endpoints[item.target].base,
            inputs=told_inputs(request),
            row=item.row,
            local=self.local_of(item),
        )
        self._tally.add(
            Entry(
                number=item.number,
                model=str(item.target),
                prompt=request.prompt,
                params=item.params,
                prediction=Prediction(model=str(item.target)),
            )
        )
        resumed, known = self._order.resumed, self.known.get(item.number)
        if known and known.raw.get("status") == "succeeded":
            self.leave(item.number, prediction=prediction_of(known), reused=True)
        elif resumed and item.number in resumed.lost:
            self.leave(item.number, error=resumed.lost[item.number])

    def local_of(self, item: Item) -> dict[str, Any]:
        """What history keeps of its run beside the API's JSON."""
        return {
            **self._order.conditions.local,
            "batch": self._order.batch_id,
            "batch_item": item.number,
        }

    def leave(self, number: int, **values: Any) -> None:
        """One is not to be sent."""
        self.skipped.add(number)
        self._change(number, phase="done", **values)

    async def _keep(self, rows: list[BatchItem]) -> None:
        some, rows[:] = list(rows), []
        if some and not self._order.resumed:
            await kept(self._order, partial(the_history().add_items, self._order.batch_id, some))

    async def adopt(self, items: list[Item]) -> None:
        """Find those that were created, and whose process died before it knew the id.

        Raises:
            ReplicateMagicError: the account's predictions cannot be listed.
        """
        resumed = self._order.resumed
        missing = [one for one in items if one.number not in self.known.keys() | self.skipped]
        if resumed is None or not missing:
            return
        for target, endpoint in self._order.endpoints.items():
            if target.kind == "cog":
                continue  # such a server keeps none
            described = self._found[target].described
            creates = {
                one.number: (self._create_of(one), described.official)
                for one in missing
                if one.target == target
            }
            client = await self._runner.clients.at(endpoint)
            found = await created_meanwhile(client, creates, resumed.since)
            for number, raw in found.items():
                record = replace(fetched(raw, endpoint.base), model=str(target))
                record = replace(record, local=self.asked[number].local)
                await kept(self._order, partial(the_history().save, record))
                self.known[number] = record
                self.adopted.add(number)

    async def afford(self, items: list[Item]) -> None:
        """Refuse all where they may cost too much; what history answers is not known yet.

        Raises:
            OverBudget: they may.
        """
        if self._order.conditions.reuse != "off":
            return
        missing = Counter(
            one.target for one in items if one.number not in self.known.keys() | self.skipped
        )
        own, kernel = self._order.conditions.spending, self._runner.purse
        await paying.afford(own, missing, self._found, kernel)

    def _create_of(self, item: Item) -> Create:
        request = plan(item.target, rereadable(item.draft), self._schemas[item.target], read_bytes)
        described, conditions = self._found[item.target].described, self._conditions()
        return create_of(request, described, conditions)

    def _order_of(self, target: Target) -> Order:
        """What is to be looked up; the time that may take begins now."""
        return Order(self._order.endpoints[target], target, Draft(inputs={}), self._conditions())

    def _conditions(self) -> Conditions:
        return replace(self._order.conditions, began_s=time.monotonic(), stream=False)
