"""The figures of runs, model by model."""

from __future__ import annotations

import pandas as pd
import pytest
from test_frame import frame

from replicate_magic.errors import CellError
from replicate_magic.runs.frame import RunsFrame
from replicate_magic.runs.stats import stats

COLUMNS = [
    "model", "runs", "success_rate", "predict_time_p50_s", "predict_time_p95_s",
    "total_time_p50_s", "total_time_p95_s", "first_token_p50_s", "tokens_per_second_p50",
    "input_tokens", "output_tokens", "cost_usd",
]  # fmt: skip


def run(model="acme/poet", status="succeeded", *, local=None, **metrics):
    return {"model": model, "status": status, "metrics": metrics, "local": local or {}}


def only(*rows, **options):
    """The figures of runs of one model, as a dict."""
    found = stats(frame(*rows), **options)
    assert len(found) == 1
    return {name: found[name][0] for name in found.columns}


def test_there_is_one_row_a_model_with_the_most_runs_first():
    found = stats(frame(run("a/a"), run("b/b"), run("c/c"), run("b/b")))

    assert isinstance(found, RunsFrame)
    assert list(found.columns) == COLUMNS
    assert found["model"].tolist() == ["b/b", "a/a", "c/c"]
    assert found["runs"].tolist() == [2, 1, 1]
    assert found.index.tolist() == [0, 1, 2]


def test_times_are_the_median_and_the_95th_percentile():
    figures = only(*(run(predict_time=n, total_time=10.0 * n) for n in range(1, 102)))

    assert figures["predict_time_p50_s"] == 51
    assert figures["predict_time_p95_s"] == 96
    assert figures["total_time_p50_s"] == 510
    assert figures["total_time_p95_s"] == 960


def test_the_rate_is_of_the_runs_that_have_ended():
    ended = ["succeeded", "succeeded", "succeeded", "failed", "canceled", "aborted"]
    going = ["starting", "processing", "thinking"]
    figures = only(*(run(status=status) for status in ended + going))

    assert figures["success_rate"] == 0.5
    assert figures["runs"] == 9


def test_an_unknown_status_has_ended_where_it_was_completed():
    figures = only(run(), {**run(status="evicted"), "completed_us": 1})

    assert figures["success_rate"] == 0.5


def test_without_an_end_the_rate_is_unknown():
    assert only(run(status="processing"))["success_rate"] is pd.NA


def test_the_first_token_is_as_measured_else_as_seen_from_here():
    seen = {"first_output_after_s": 3.5, "created_after_s": 0.5}

    assert only(run(time_to_first_token=0.2, local=seen))["first_token_p50_s"] == 0.2
    assert only(run(local=seen))["first_token_p50_s"] == 3
    assert only(run(local={"first_output_after_s": 1}))["first_token_p50_s"] is pd.NA


def test_the_speed_is_as_measured_else_tokens_by_time():
    def speed(**metrics):
        return only(run(**metrics))["tokens_per_second_p50"]

    assert speed(tokens_per_second=50, output_token_count=10, predict_time=1) == 50
    assert speed(output_token_count=10, predict_time=4) == 2.5
    assert speed(output_token_count=10, predict_time=0) is pd.NA
    assert speed(output_token_count=10) is pd.NA


def test_tokens_are_summed_and_unknown_ones_are_not_none():
    figures = only(run(input_token_count=3), run(input_token_count=4), run())

    assert figures["input_tokens"] == 7
    assert figures["output_tokens"] is pd.NA


@pytest.mark.parametrize("odd", [-1, 1e13, "slow", True, [1], {"a": 1}])
def test_odd_values_are_left_out(odd):
    names = ("predict_time", "total_time", "time_to_first_token", "tokens_per_second")
    names += ("input_token_count", "output_token_count")
    figures = only(run(**dict.fromkeys(names, 2)), run(**dict.fromkeys(names, odd)))

    assert figures["runs"] == 2
    assert {figures[name] for name in COLUMNS[3:11]} == {2}


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), 10**400, 1j, None, pd.NaT, "x"])
def test_odd_values_of_the_users_own_are_left_out(odd):
    runs = frame(run(predict_time=1), run(predict_time=2))
    runs["metrics.predict_time"] = pd.Series([5.0, odd], dtype=object)

    assert stats(runs)["predict_time_p95_s"].tolist() == [5]


def test_a_cost_is_estimated_by_the_given_prices():
    prices = {"acme/poet": {"predict_time": 0.5, "output_token_count": 0.25}}
    runs = [run(predict_time=2, output_token_count=4), run(status="failed", predict_time=4)]

    assert only(*runs, prices=prices)["cost_usd"] == 4
    assert only(*runs)["cost_usd"] is pd.NA
    assert only(run("local/tiny"))["cost_usd"] == 0


def test_without_a_price_the_cost_is_what_was_kept_when_the_runs_ended():
    kept = [run(predict_time=2, local={"cost_estimate_usd": 0.25}) for _ in range(2)]

    assert only(*kept, run(predict_time=2))["cost_usd"] == 0.5
    assert only(*kept, prices={"acme/poet": {"predict_time": 1}})["cost_usd"] == 4


def test_published_prices_and_other_names_of_a_measure_count():
    runs = [run("black-forest-labs/flux-dev", image_output_count=2)]
    runs += [run("black-forest-labs/flux-dev", image_count=1)]

    assert only(*runs)["cost_usd"] == pytest.approx(0.075)
    assert only(run(predict_time=10), prices={"acme/poet": "gpu-t4"})["cost_usd"] == 0.00225


def test_what_was_aborted_never_ran_and_costs_nothing():
    runs = [run(predict_time=2), run(status="aborted", predict_time=100)]

    assert only(*runs, prices={"acme/poet": {"predict_time": 1}})["cost_usd"] == 2


def test_wrong_prices_are_refused():
    with pytest.raises(CellError, match="Not a price"):
        stats(frame(run()), prices={"acme/poet": 1})


def test_no_runs_are_no_figures():
    found = stats(frame(), prices={"acme/poet": {"predict_time": 1}})

    assert len(found) == 0
    assert list(found.columns) == COLUMNS


def test_the_types_are_those_of_numbers_that_may_be_missing():
    for found in (stats(frame()), stats(frame(run(predict_time=1)))):
        kinds = {str(found[name].dtype) for name in COLUMNS[1:]}
        assert kinds == {"Int64", "Float64"}
        assert str(found["runs"].dtype) == "Int64"


@pytest.mark.parametrize(
    "change",
    [
        lambda runs: runs[["id", "model", "version", "status", "created_at"]],
        lambda runs: pd.concat([runs, runs]),
        lambda runs: runs.set_index("id", drop=False),
        lambda runs: runs.astype(object),
        lambda runs: pd.concat([runs, runs[["model", "metrics.predict_time"]]], axis=1),
        lambda runs: runs.assign(model=None, status=None),
    ],
)
def test_any_frame_of_runs_has_figures(change):
    runs = change(frame(run(predict_time=1), run(predict_time=3)))

    assert stats(runs)["runs"].tolist() == [len(runs)]


@pytest.mark.parametrize("other", [pd.DataFrame({"a": [1]}), [1], None, stats(frame(run()))])
def test_what_is_no_frame_of_runs_is_refused_with_a_way_to_one(other):
    with pytest.raises(CellError, match=r"rm\.runs\(\)"):
        stats(other)


def test_the_figures_show_themselves():
    shown = stats(frame(run(predict_time=1)))._repr_mimebundle_()

    assert "1 model" in shown["text/plain"]
    assert "acme/poet" in shown["text/html"]
