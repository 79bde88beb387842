"""Owns the figures of runs, model by model; must not draw them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replicate_magic.errors import CellError
from replicate_magic.prediction import FINAL
from replicate_magic.runs.frame import TEXT, RunsFrame, is_frame, made
from replicate_magic.runs.measures import by_position, measured
from replicate_magic.runs.prices import checked, cost_usd, other_names, price_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from replicate_magic.runs.prices import Prices

_NEEDED = {"id", "model", "version", "status", "created_at"}
_UNFINISHED = ["starting", "processing"]
_P50 = ("predict_time", "total_time", "first_token", "tokens_per_second")
_P95 = ("predict_time", "total_time")
_COUNTS = ("runs", "input_tokens", "output_tokens")
_KEPT = "kept_cost"
_KINDS = {
    "model": TEXT, "runs": "Int64", "success_rate": "Float64", "predict_time_p50_s": "Float64",
    "predict_time_p95_s": "Float64", "total_time_p50_s": "Float64", "total_time_p95_s": "Float64",
    "first_token_p50_s": "Float64", "tokens_per_second_p50": "Float64", "input_tokens": "Int64",
    "output_tokens": "Int64", "cost_usd": "Float64",
}  # fmt: skip


def stats(frame: pd.DataFrame, *, prices: Prices | None = None) -> RunsFrame:
    """The figures of each model, that with the most runs first.

    Args:
        frame: of runs; any of `metrics.NAME` and `local.NAME` may be missing.
        prices: US dollars for one unit of a metric, see `prices.Prices`; those that Replicate has
            published hold for what is not among them.

    Returns:
        One row a model with `model, runs, success_rate, predict_time_p50_s, predict_time_p95_s,
        total_time_p50_s, total_time_p95_s, first_token_p50_s, tokens_per_second_p50,
        input_tokens, output_tokens, cost_usd`. The rate is of the runs that have ended, from 0 to
        1; p50 is the median, p95 the 95th percentile; tokens and cost are sums. The cost is an
        estimate by the prices there are now, else by those when the runs ended. What is unknown is
        `<NA>`, and counts in no figure; nor do values that cannot have been measured, such as
        negative ones.

    Raises:
        CellError: it is no frame of runs, or the prices are none.

    Example:
        `stats(rm.runs(), prices={"owner/name": {"predict_time": 0.000225}})`
    """
    _check(frame)
    prices = checked({} if prices is None else prices)
    runs = by_position(frame)
    of_models = [price_of(str(model), prices) for model in runs["model"].unique()]
    priced = sorted({metric for price in of_models if price for metric in price})
    groups = made(_columns(runs, priced)).groupby("model", dropna=False)
    sizes, rates = groups.size(), groups["succeeded"].sum() / groups["final"].sum()
    p50, p95 = groups[list(_P50)].quantile(0.5), groups[list(_P95)].quantile(0.95)
    sums = groups[[*_COUNTS[1:], _KEPT, *map(_billed, priced)]].sum(min_count=1)
    found = {
        "model": sizes.index,
        "runs": sizes,
        "success_rate": rates,
        "predict_time_p50_s": p50["predict_time"],
        "predict_time_p95_s": p95["predict_time"],
        "total_time_p50_s": p50["total_time"],
        "total_time_p95_s": p95["total_time"],
        "first_token_p50_s": p50["first_token"],
        "tokens_per_second_p50": p50["tokens_per_second"],
        "input_tokens": sums["input_tokens"].round(),
        "output_tokens": sums["output_tokens"].round(),
    }
    columns = {name: values.to_list() for name, values in found.items()}
    columns["cost_usd"] = _costs(columns["model"], sums, priced, prices)
    table = RunsFrame(made(columns).astype(_KINDS))
    return table.sort_values("runs", ascending=False, kind="stable", ignore_index=True)


def _check(frame: object) -> None:
    if not is_frame(frame):
        why = f"a {type(frame).__name__} is none"
    elif not set(frame.columns) >= _NEEDED:
        why = "this one lacks some of the columns id, model, version, status and created_at"
    else:
        return
    raise CellError(f"Figures are made of a frame of runs, and {why}. rm.runs() gives one.")


def _columns(runs: pd.DataFrame, priced: list[str]) -> dict[str, Any]:
    """What counts of each run, and in what."""
    status = runs["status"]
    ended = status.notna() & ~status.isin(_UNFINISHED)
    if "completed_at" in runs:
        ended &= status.isin(FINAL) | runs["completed_at"].notna()
    ran, made_tokens = (
        measured(runs, f"metrics.{name}") for name in ("predict_time", "output_token_count")
    )
    seen = measured(runs, "local.first_output_after_s") - measured(runs, "local.created_after_s")
    first, speed = (
        measured(runs, f"metrics.{name}") for name in ("time_to_first_token", "tokens_per_second")
    )
    billed = {_billed(name): _by_any_name(runs, name) for name in priced}
    return {
        "model": runs["model"].astype(object),
        "succeeded": status.isin(["succeeded"]),
        "final": ended,
        "predict_time": ran,
        "total_time": measured(runs, "metrics.total_time"),
        "first_token": first.where(first.notna(), seen.where(seen >= 0)),
        "tokens_per_second": speed.where(speed.notna(), made_tokens / ran.where(ran > 0)),
        "input_tokens": measured(runs, "metrics.input_token_count"),
        "output_tokens": made_tokens,
        _KEPT: measured(runs, "local.cost_estimate_usd"),
        **{name: amounts.where(~status.isin(["aborted"])) for name, amounts in billed.items()},
    }


def _by_any_name(runs: pd.DataFrame, metric: str) -> pd.Series[float]:
    """A measure, whatever the model calls it."""
    found = measured(runs, f"metrics.{metric}")
    for name in sorted(other_names(metric)):
        found = found.where(found.notna(), measured(runs, f"metrics.{name}"))
    return found


def _billed(metric: str) -> str:
    """The column of what is paid for; an aborted run never began."""
    return f"billed.{metric}"


def _costs(
    models: list[Any], sums: pd.DataFrame, priced: list[str], prices: Prices
) -> list[float | None]:
    rows: list[Mapping[Any, Any]] = list(sums.to_dict("records"))
    totals = [{metric: row[_billed(metric)] for metric in priced} for row in rows]
    costs = [cost_usd(str(model), of, prices) for model, of in zip(models, totals, strict=True)]
    return [row[_KEPT] if cost is None else cost for row, cost in zip(rows, costs, strict=True)]
