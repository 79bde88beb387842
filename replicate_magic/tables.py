"""Owns `runs`, `stats`, `plot` and `jq`: the table of runs as functions.

It must not build one itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replicate_magic.aliases import resolved
from replicate_magic.runs.history import the_history, warn_of_history
from replicate_magic.runs.query import Query, moment
from replicate_magic.session import the_session

if TYPE_CHECKING:
    from datetime import date

    from matplotlib.figure import Figure

    from replicate_magic.runs.accessor import Jq
    from replicate_magic.runs.frame import RunsFrame
    from replicate_magic.runs.prices import Prices


def runs(
    *,
    model: str | None = None,
    status: str | None = None,
    since: date | str | None = None,
    until: date | str | None = None,
    tag: str | None = None,
    text: str | None = None,
    limit: int | None = None,
    remote: bool = False,
) -> RunsFrame:
    """The runs that history has kept, as a DataFrame: one row a prediction, newest first.

    ```python
    df = replicate_magic.runs(status="succeeded", since="7d")
    df.jq.filter(".metrics.predict_time > 2")
    ```

    Args:
        model: `owner/name`, which means all its versions, or `owner/name:version`.
        status: such as `succeeded`, `failed`, `canceled`.
        since: created then or later: a datetime or date, `"2026-01-31"`, `"2026-01-31T12:00"` (UTC
            where no zone is given), or how long ago: `"90m"`, `"12h"`, `"7d"`.
        until: created before then.
        tag: exactly this tag.
        text: stands in the prompt or the output, in capitals or not.
        limit: only so many, the newest.
        remote: first fetch the account's predictions from Replicate into history, by `since`,
            `until` and `limit`. Replicate has deleted inputs and outputs after an hour.

    Returns:
        The columns `id` (`str`); `model`, `version`, `status` (categories); `prompt`, `output`,
        `error` (`str`); `created_at`, `started_at`, `completed_at` (`datetime64[us, UTC]`); `tag`
        (`str`); `metrics.NAME…` and `local.NAME…` (`Int64`, `Float64`, `boolean` or `str`). Times
        among the metrics are seconds. `local` is what was seen from here: `created_after_s`,
        `first_output_after_s`, `finished_after_s` (seconds since the call), `retries`, `notebook`,
        `cell`, `page`. Tokens are also under `metrics.input_token_count` and
        `metrics.output_token_count`, whatever the model calls them.

    Raises:
        HistoryError: the history cannot be read.
        CellError: a filter makes no sense.
        ReplicateMagicError: `remote` could not be fetched.
    """
    from replicate_magic.runs import accessor  # noqa: F401  (gives frames their `.jq`)

    query = Query(
        model=model if model is None else resolved(model), status=status, since=moment(since),
        until=moment(until), tag=tag, text=text, limit=limit,
    )  # fmt: skip
    if remote:
        the_session().fetch_runs(query, lambda _: None)
    frame = the_history().frame(query)
    warn_of_history()
    return frame


def stats(frame: RunsFrame | None = None, *, prices: Prices | None = None) -> RunsFrame:
    """What each model did: runs, success rate, times, speed, tokens and estimated cost.

    Args:
        frame: the runs; all of the history unless given.
        prices: US dollars for one unit of a metric, by model and metric:
            `{"owner/name": {"predict_time": 0.000225, "output_token_count": 1e-6}}`. Replicate's
            API tells none; without one the cost is unknown.

    Returns:
        One row a model, most runs first; `replicate_magic.runs.stats.stats` tells its columns.
    """
    from replicate_magic.runs.stats import stats as of

    return of(runs() if frame is None else frame, prices=prices)


def plot(
    metric: str = "predict_time", /, *, by: str = "model", frame: RunsFrame | None = None
) -> Figure:
    """A picture of a metric: how it is distributed by group, and over time.

    Args:
        metric: such as `predict_time`, `tokens_per_second`, or any column of numbers.
        by: the column whose values are the groups.
        frame: the runs; all of the history unless given.

    Raises:
        CellError: there is no such column, or matplotlib is not installed.
    """
    from replicate_magic.runs.plots import plot as of

    return of(runs() if frame is None else frame, metric, by=by)


def jq(data: Any, /) -> Jq:
    """Jq over any frame, or a list of dicts or of JSON texts: `.filter`, `.map` and `.all`.

    ```python
    replicate_magic.jq([{"a": 1}, {"a": 2}]).filter(".a > 1")   # [{"a": 2}]
    ```

    Raises:
        JqError: it is something else.
    """
    from replicate_magic.runs.accessor import Jq

    return Jq(data)
