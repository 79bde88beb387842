"""What runs may have cost, by the prices that the user gives and those that were published."""

from __future__ import annotations

import math

import pytest

from replicate_magic.errors import CellError
from replicate_magic.prediction import Prediction
from replicate_magic.runs import price_list
from replicate_magic.runs.prices import (
    Earlier,
    checked,
    cost_of,
    cost_usd,
    expected_usd,
    known_costs,
    price_of,
)

PRICES = {
    "acme/poet": {"input_token_count": 1e-6, "output_token_count": 3e-6},
    "acme/painter": {"image_count": 0.04},
    "acme/painter:v2": {"image_count": 0.08},
    "deployment:acme/poet": {"predict_time": 0.001525},
}


def test_each_metric_costs_its_price():
    metrics = {"input_token_count": 1_000_000, "output_token_count": 2_000_000, "predict_time": 9}

    assert cost_usd("acme/poet", metrics, PRICES) == pytest.approx(7.0)
    assert cost_usd("acme/painter", {"image_count": 2}, PRICES) == pytest.approx(0.08)


def test_the_cost_of_many_runs_is_that_of_their_sums():
    runs = [{"predict_time": seconds} for seconds in (1.5, 2.5, 6)]
    each = [cost_usd("deployment:acme/poet", metrics, PRICES) for metrics in runs]

    together = cost_usd("deployment:acme/poet", {"predict_time": 10}, PRICES)
    assert sum(each) == pytest.approx(together)


@pytest.mark.parametrize(
    ("model", "price"),
    [
        ("acme/painter", {"image_count": 0.04}),
        ("acme/painter:v1", {"image_count": 0.04}),
        ("acme/painter:v2", {"image_count": 0.08}),
        ("deployment:acme/painter", None),
        ("deployment:acme/poet", {"predict_time": 0.001525}),
        ("http://localhost:5000", None),
        ("somebody/else", None),
    ],
)
def test_a_version_has_the_price_of_its_model_and_a_deployment_its_own(model, price):
    assert price_of(model, PRICES) == price


@pytest.mark.parametrize(
    ("sku", "usd"),
    [
        ("cpu", 0.0001),
        ("gpu-t4", 0.000225),
        ("gpu-l40s", 0.000975),
        ("gpu-l40s-2x", 0.00195),
        ("gpu-2x-l40s", 0.00195),
        ("gpu-a100-large-8x", 0.0112),
        ("gpu-h100-4x", 0.0061),
        ("gpu-h100-3x", None),
        ("gpu-2x-nothing", None),
        ("gpu-x", None),
        ("", None),
    ],
)
def test_hardware_has_its_published_price_and_several_of_it_so_much_more(sku, usd):
    found = price_list.hardware_usd(sku)

    assert found == (None if usd is None else pytest.approx(usd))


def test_a_model_may_be_given_the_name_of_its_hardware():
    prices = {"acme/poet": "gpu-t4", "acme/fast": "gpu-h100-2x", "gpu-t4": {"predict_time": 1.0}}

    assert cost_usd("acme/fast", {"predict_time": 10}, checked(prices)) == pytest.approx(0.0305)
    assert cost_usd("acme/poet", {"predict_time": 10}, prices) == 10  # the price that was given


def test_a_deployment_costs_what_its_hardware_does_unless_it_has_a_price():
    metrics = {"predict_time": 10}

    assert cost_usd("deployment:acme/prod", metrics, {}, "gpu-l40s") == pytest.approx(0.00975)
    assert cost_usd("deployment:acme/prod", metrics, {}, "gpu-new") is None
    assert cost_usd("deployment:acme/poet", metrics, PRICES, "gpu-t4") == pytest.approx(0.01525)


def test_published_prices_hold_for_models_that_have_none_of_their_own():
    name = "black-forest-labs/flux-schnell"

    assert cost_usd(name, {"image_count": 2}, {}) == pytest.approx(0.006)
    assert cost_usd(name, {"image_count": 2}, {name: {"image_count": 1}}) == 2
    assert all(map(checked, ({model: dict(price)} for model, price in price_list.MODELS.items())))


@pytest.mark.parametrize(
    ("priced", "measured"),
    [
        ("output_token_count", "token_output_count"),
        ("token_input_count", "input_token_count"),
        ("image_count", "image_output_count"),
    ],
)
def test_a_measure_counts_by_whichever_of_its_names(priced, measured):
    assert cost_usd("a/b", {measured: 4}, {"a/b": {priced: 0.5}}) == 2
    assert cost_usd("a/b", {measured: 4, priced: 6}, {"a/b": {priced: 0.5}}) == 3


def test_a_prediction_has_a_cost_once_it_has_ended():
    def cost(status, **metrics):
        raw = {"id": "a", "status": status, "metrics": metrics}
        prices = {"a/b:v2": {"predict_time": 2.0}, "a/b": {"predict_time": 1.0}}
        return cost_of(Prediction(model="a/b", raw=raw), "a/b:v2", prices)

    assert cost("processing", predict_time=3) is None
    assert cost("succeeded", predict_time=3) == 6
    assert cost("failed", predict_time=3) == 6
    assert cost("canceled", predict_time=3) == 6
    assert cost("aborted", predict_time=3) == 0
    assert cost("succeeded") is None


def test_what_is_expected_is_the_mean_of_earlier_runs():
    earlier = {
        "a/b": [Earlier({"predict_time": 1}), Earlier({"predict_time": 3}), Earlier({})],
        "a/c": [Earlier({}, 0.5)],
        "local/x": [],
    }
    prices = {"a/b": {"predict_time": 0.5}, "a/d": {"predict_time": 1}}

    def expected(*models):
        return expected_usd(models, lambda model: earlier.get(model, []), prices)

    assert expected("a/b", "a/b", "a/c", "local/x") == pytest.approx(2.5)
    assert expected("local/x") == expected("http://localhost:5000") == expected() == 0
    assert expected("a/b", "a/d") is None  # it never ran
    assert expected("a/e") is None


def test_what_was_kept_counts_only_where_no_price_is_known_now():
    earlier = [Earlier({"predict_time": 2}, 7.0), Earlier({}, 5.0)]

    assert known_costs("a/b", earlier, {"a/b": {"predict_time": 1}}) == [2, 5]
    assert known_costs("a/b", earlier, {}) == [7, 5]
    assert known_costs("a/b", earlier, {}, "gpu-t4") == [pytest.approx(0.00045), 5]


def test_what_is_unknown_is_not_free():
    assert cost_usd("somebody/else", {"predict_time": 3}, PRICES) is None
    assert cost_usd("acme/poet", {}, PRICES) is None
    assert cost_usd("acme/poet", {"predict_time": 3}, PRICES) is None


def test_what_runs_on_this_machine_is_free_unless_it_has_a_price():
    assert cost_usd("local/smollm2-135m-instruct", {}, {}) == 0
    assert cost_usd("http://localhost:5000", {}, {}) == 0
    assert cost_usd("local/x", {"predict_time": 2}, {"local/x": {"predict_time": 0.5}}) == 1


@pytest.mark.parametrize("odd", [None, "3", -1, math.nan, math.inf, True, [1]])
def test_a_metric_that_cannot_have_been_measured_is_left_out(odd):
    metrics = {"input_token_count": odd, "output_token_count": 1_000_000}

    assert cost_usd("acme/poet", metrics, PRICES) == pytest.approx(3.0)
    assert cost_usd("acme/poet", {"input_token_count": odd}, PRICES) is None


@pytest.mark.parametrize(
    "wrong",
    [
        0.01,
        {"acme/poet": 0.01},
        {"acme/poet": {"predict_time": "0.01"}},
        {"acme/poet": {"predict_time": -0.01}},
        {"acme/poet": {"predict_time": math.nan}},
        {"acme/poet": "gpu-t5"},
        {"acme/poet": "acme/painter"},
    ],
)
def test_a_table_that_is_none_of_prices_is_refused_with_an_example(wrong):
    with pytest.raises(CellError, match=r'US dollars .* \{"owner/name": \{"predict_time"'):
        checked(wrong)


def test_prices_are_handed_on():
    assert checked(PRICES) is PRICES
    assert checked({}) == {}
