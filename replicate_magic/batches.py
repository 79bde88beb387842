"""Owns `batch`, `abatch` and `resume`, the cell of many as functions.

It must not do what the batch does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replicate_magic import batching
from replicate_magic.aliases import read_model
from replicate_magic.cell.many import call_items, call_many
from replicate_magic.cell.options import MOST_AT_ONCE, whole_number
from replicate_magic.errors import InputError
from replicate_magic.functions import conditions_of
from replicate_magic.runs.frame import rows_from
from replicate_magic.runs.history import warn_of_history
from replicate_magic.views import Look, NoBatchView, choose_batch, close_batch

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from replicate_magic.batch_order import BatchOrder
    from replicate_magic.runs.frame import RunsFrame


def batch(
    model: str | Sequence[str],
    /,
    *,
    rows: pd.DataFrame | Iterable[Any] | None = None,
    grid: Mapping[str, Iterable[Any]] | None = None,
    repeat: int = 1,
    input: Mapping[str, Any] | None = None,  # noqa: A002  (Replicate's own word)
    concurrency: int | None = None,
    timeout: float | str | None = None,
    keep_going: bool = False,
    cached: bool = False,
    tag: str | None = None,
    log: bool = True,
    save: str | os.PathLike[str] | bool = True,
    force: bool = False,
    max_cost: float | None = None,
    show: bool = False,
    **inputs: Any,
) -> RunsFrame:
    """Run a model once for each row, each combination of values and each repeat.

    ```python
    df = replicate_magic.batch(
        "owner/name", rows=texts, prompt="Sum up {{row.text}}", grid={"temperature": [0.1, 0.9]}
    )
    ```

    Args:
        model: as for `run`; several, to compare them.
        rows: a DataFrame, or any iterable of dicts or of plain values: each is `row` within
            `{{…}}` in the texts among the inputs. A generator may be of any length, and is read
            no faster than its requests are sent.
        grid: values by input; of several inputs every combination is run.
        repeat: how often each of them is run; a model with a `seed` gets another one each time.
        input: the model's inputs as a mapping, for those named like one of these arguments.
        concurrency: how many run at a time; 8 if not given. The account's rate limit is kept in
            any case.
        timeout: cancel a prediction that many seconds, or `"5m"`, after its own beginning; one
            hour if not given.
        keep_going: raise nothing where some do not succeed.
        cached: take the answers of history where model and inputs are the same.
        tag: a word to find these runs by in the history.
        log: whether the history keeps them.
        save: whether output files are saved, in the history's own folder; or the folder for them.
        force: send inputs that the model's schema refuses all the same.
        max_cost: send nothing where all of them may cost more US dollars than this, by earlier
            runs, or where that is not known; what they have cost meanwhile counts too.
        show: whether to draw them as the cell does.
        **inputs: the model's inputs.

    Returns:
        One row a request in the order asked: rows, then combinations, then models, then repeats.
        The columns are those of `runs`, with `input.NAME…` for what was sent and `row.NAME…` for
        the rows. A request without a prediction has no `id`, and its `error`.

    Raises:
        InputError: a model refuses some of the inputs; nothing was sent.
        BatchFailed: some did not succeed; `error.frame` has all of them.
        ReplicateMagicError: nothing could be sent.
    """
    order = _order(
        model, rows, grid, repeat, input, inputs, concurrency, timeout,
        cached=cached, tag=tag, log=log, save=save, force=force, max_cost=max_cost,
    )  # fmt: skip
    return _driven(order, show=show, keep_going=keep_going)


async def abatch(
    model: str | Sequence[str],
    /,
    *,
    rows: pd.DataFrame | Iterable[Any] | None = None,
    grid: Mapping[str, Iterable[Any]] | None = None,
    repeat: int = 1,
    input: Mapping[str, Any] | None = None,  # noqa: A002  (Replicate's own word)
    concurrency: int | None = None,
    timeout: float | str | None = None,  # noqa: ASYNC109  (also sent to the server)
    keep_going: bool = False,
    cached: bool = False,
    tag: str | None = None,
    log: bool = True,
    save: str | os.PathLike[str] | bool = True,
    force: bool = False,
    max_cost: float | None = None,
    **inputs: Any,
) -> RunsFrame:
    """Run many predictions, as `batch`; cancelling this cancels those that run."""
    order = _order(
        model, rows, grid, repeat, input, inputs, concurrency, timeout,
        cached=cached, tag=tag, log=log, save=save, force=force, max_cost=max_cost,
    )  # fmt: skip
    job = await batching.adrive(order, keep_going=keep_going)
    warn_of_history()
    return job.checked()


def resume(
    batch_id: str | None = None,
    /,
    *,
    concurrency: int | None = None,
    keep_going: bool = False,
    show: bool = False,
) -> RunsFrame:
    """Run what a batch is missing, and no other; what was created meanwhile is fetched.

    That is for batches that were interrupted, whose kernel died, or of which some failed. Each
    request that has succeeded stays as it is, and one that still runs is followed.

    Args:
        batch_id: its id, or the beginning of it; the newest one where none is given.
        concurrency: how many run at a time; as before if not given.
        keep_going: raise nothing where some do not succeed.
        show: whether to draw them as the cell does.

    Returns:
        All of it, as `batch` does.

    Raises:
        NotFound: the history has no such batch.
        BatchFailed, ReplicateMagicError: as for `batch`.
    """
    order = batching.resumed(batch_id, concurrency=concurrency)
    return _driven(order, show=show, keep_going=keep_going)


def _driven(order: BatchOrder, *, show: bool, keep_going: bool) -> RunsFrame:
    view = choose_batch(Look()) if show else NoBatchView()
    job = batching.drive(order, view, keep_going=keep_going)
    close_batch(view, job.tally, why=job.why())
    warn_of_history()
    return job.checked()


def _order(  # noqa: PLR0917  (the arguments of `batch`, in its order)
    model: str | Sequence[str],
    rows: pd.DataFrame | Iterable[Any] | None,
    grid: Mapping[str, Iterable[Any]] | None,
    repeat: int,
    given: Mapping[str, Any] | None,
    inputs: Mapping[str, Any],
    concurrency: int | None,
    timeout: float | str | None,
    *,
    cached: bool,
    tag: str | None,
    log: bool,
    save: str | os.PathLike[str] | bool,
    force: bool,
    max_cost: float | None,
) -> BatchOrder:
    twice = sorted(set(given or ()) & set(inputs))
    if twice:
        raise InputError(f"{', '.join(twice)} is given twice. Nothing was sent.")
    models = (model,) if isinstance(model, str) else tuple(model)
    if concurrency is not None:
        concurrency = whole_number("concurrency", concurrency, most=MOST_AT_ONCE)
    many = call_many(
        tuple(map(read_model, models)),
        grid=grid,
        rows=None if rows is None else rows_from(rows),
        repeat=repeat,
    )
    return batching.ordered(
        many,
        call_items(many, {**(given or {}), **inputs}, force=force),
        conditions_of(timeout, tag=tag, log=log, save=save, cached=cached, max_cost=max_cost),
        concurrency=concurrency,
    )
