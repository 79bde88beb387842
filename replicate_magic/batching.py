"""Owns the composition of a batch: what `batch`, `abatch`, `resume` and the magics call.

It wires and decides nothing of its own: what to send is the cell's, when to send it the batch's,
what to show the view's.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from replicate_magic import bridge, errors
from replicate_magic.batch_job import BatchJob
from replicate_magic.batch_order import BatchOrder, Resumed, never_sent, runs_elsewhere, runs_here
from replicate_magic.batch_run import Batch
from replicate_magic.cell.options import duration
from replicate_magic.failure import tell_interrupt
from replicate_magic.order import DEFAULT_TIMEOUT_S, Conditions, replay, saving_into
from replicate_magic.plain import count
from replicate_magic.resuming import item_again, why_lost
from replicate_magic.runs.history import the_history
from replicate_magic.session import now, the_session
from replicate_magic.spending import Spending
from replicate_magic.tally import how_to_resume
from replicate_magic.views import NoBatchView, close_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from replicate_magic.batch_run import News
    from replicate_magic.cell.many import Item, Many
    from replicate_magic.views import BatchView

CONCURRENCY = 8
"""How many run at a time, where nothing else is said."""


def ordered(
    many: Many,
    items: Iterable[Item],
    conditions: Conditions,
    *,
    concurrency: int | None,
) -> BatchOrder:
    """An order for a batch.

    Args:
        many: what is asked for.
        items: its requests.
        conditions: how each of them runs.
        concurrency: how many at a time.

    Raises:
        ReplicateMagicError: there is nowhere to run one of the targets.
    """
    endpoints = {one: the_session().endpoint_of(one, conditions) for one in many.targets}
    return BatchOrder(
        batch_id=secrets.token_hex(6),
        items=items,
        total=many.total,
        endpoints=endpoints,
        conditions=conditions,
        concurrency=concurrency or CONCURRENCY,
        settings=_settings(conditions, concurrency),
    )


def _settings(conditions: Conditions, concurrency: int | None) -> dict[str, Any]:
    """What a later `resumed` has to know; `_conditions_again` reads it."""
    saving = conditions.saving
    return {
        "concurrency": concurrency,
        "timeout_s": conditions.timeout_s,
        "tag": conditions.local.get("tag"),
        "save": str(saving.folder) if saving and saving.folder else None,
        "no_save": saving is None,
        "cached": conditions.reuse != "off",
        "max_cost": conditions.spending.most_usd,
    }


def resumed(
    prefix: str | None, *, concurrency: int | None = None, blind: bool = False
) -> BatchOrder:
    """The order for what a batch of history is missing.

    Args:
        prefix: its id, or the beginning of it; the newest where none is given.
        concurrency: how many at a time; as it was where none is given.
        blind: whether a limit lets runs go whose cost is not known.

    Raises:
        NotFound: there is no such batch.
        CellError: it runs now, here or in another process; or nothing of it was sent, and what it
            asks for is not known.
        ReplicateMagicError: there is nowhere to run one of its models.
    """
    history = the_history()
    record = history.batch(prefix)
    if (os.getpid(), record.id) in the_session().runner.batches:
        raise runs_here(record.id)
    if driver := history.batch_driver(record.id):
        raise runs_elsewhere(record.id, driver)
    kept = list(history.batch_items(record.id))
    if len(kept) < (record.total or 0) and not history.batch_runs(record.id):
        raise never_sent(record.id)  # all are kept before the first is sent
    settings = dict(record.settings)
    items = [item_again(one) for one in kept]
    conditions = _conditions_again(settings, blind=blind)
    return BatchOrder(
        batch_id=record.id,
        items=items,
        total=len(items),
        endpoints={one.target: the_session().endpoint_of(one.target, conditions) for one in items},
        conditions=conditions,
        concurrency=concurrency or settings.get("concurrency") or CONCURRENCY,
        settings=settings,
        resumed=Resumed(
            since=record.created_at,
            lost={one.number: why for one in kept if (why := why_lost(one))},
        ),
    )


def _conditions_again(settings: Mapping[str, Any], *, blind: bool) -> Conditions:
    timeout, folder = settings.get("timeout_s"), settings.get("save")
    return Conditions(
        timeout_s=duration(str(timeout)) if timeout else DEFAULT_TIMEOUT_S,
        saving=saving_into(folder, saves=not settings.get("no_save"), log=True),
        local={"tag": settings.get("tag")},
        reuse=replay(cached=bool(settings.get("cached"))),
        spending=Spending(most_usd=settings.get("max_cost"), blind=blind),
    )


def rehearsed(order: BatchOrder) -> Batch:
    """A batch that is looked up, checked and not sent.

    Raises:
        InputError: a model refuses inputs of some requests.
        ReplicateMagicError: a model cannot be looked up.
    """
    quiet = replace(order, conditions=replace(order.conditions, log=False))
    batch = Batch(the_session().runner, quiet)
    now(lambda _: batch.rehearse())
    return batch


def drive(order: BatchOrder, view: BatchView, *, keep_going: bool) -> BatchJob:
    """Run a batch to its end for a blocking caller, who closes the view.

    Raises:
        ReplicateMagicError: nothing could be sent.
        KeyboardInterrupt: what ran is canceled; `interrupt.frame` has what there is.

    With an error the view is closed.
    """
    job: BatchJob | None = None
    try:
        job = _job(order, view, keep_going=keep_going)
        with bridge.entered(job.call):
            for news in job.call.snapshots():
                view.update(news.tally)
            job.settled()
            return job
    except BaseException as error:
        tally = job.tally if job else None
        if job:
            job.cancel()  # once more is no harm: a second interrupt may have cut in before
        if isinstance(error, KeyboardInterrupt) and job:
            _explain(error, job)
        why = str(error) if isinstance(error, errors.ReplicateMagicError) else ""
        with suppress(KeyboardInterrupt):  # a second one is no news
            close_batch(view, tally if tally and tally.entries else None, why=why)
        raise


def begin(
    order: BatchOrder, view: BatchView, close: Callable[[BatchJob], object], *, keep_going: bool
) -> BatchJob:
    """Run a batch in the background.

    Args:
        order: what is to run.
        view: updated on the loop's thread.
        close: called with the job at its end, on another thread; it closes the view.
        keep_going: whether those that fail raise nothing.
    """
    job = _job(order, view, keep_going=keep_going)

    def update(news: News) -> None:
        view.update(news.tally)

    try:
        view.update(job.tally)  # here, since a display belongs to the cell that runs
        job.detach(update, close)
    except BaseException:
        view.close(None)
        raise
    the_session().remember(job)
    return job


async def adrive(order: BatchOrder, *, keep_going: bool) -> BatchJob:
    """Run a batch for a caller on a loop of its own; cancelling it cancels what runs.

    Raises:
        ReplicateMagicError: nothing could be sent.
    """
    job = _job(order, NoBatchView(), keep_going=keep_going)
    with suppress(Exception):  # the job tells how it ended
        await bridge.awaited(job.call)
    job.settled()
    return job


def _job(order: BatchOrder, view: BatchView, *, keep_going: bool) -> BatchJob:
    batch = Batch(the_session().runner, order)
    job = BatchJob(bridge.Call(batch.run), batch, keep_going=keep_going)
    view.on_cancel(job.cancel)

    def look(number: int, looks: bool) -> None:  # noqa: FBT001  (the view's protocol)
        if looks:
            job.look(number)

    view.on_look(look)
    return job


def _explain(interrupt: KeyboardInterrupt, job: BatchJob) -> None:
    """Have an interrupt tell what became of the batch, and carry its frame."""
    told = job.tally.told()
    of = count(job.tally.total or len(job.tally.entries), "prediction")
    lines = [f"Interrupted: of {of} {told}." if told else "Nothing was sent."]
    if told:
        lines.append(how_to_resume(job.id))
        interrupt.frame = job.frame  # type: ignore[attr-defined]  # for whoever catches it
    tell_interrupt(interrupt, "\n".join(lines))
