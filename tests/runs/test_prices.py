"""What runs may have cost, by the prices that the user gives."""

from __future__ import annotations

import math

import pytest

from replicate_magic.errors import CellError
from replicate_magic.runs.prices import checked, cost_usd, price_of

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


def test_what_is_unknown_is_not_free():
    assert cost_usd("somebody/else", {"predict_time": 3}, PRICES) is None
    assert cost_usd("acme/poet", {}, PRICES) is None
    assert cost_usd("acme/poet", {"predict_time": 3}, PRICES) is None


def test_what_runs_on_this_machine_is_free_unless_it_has_a_price():
    assert cost_usd("local/smollm2-135m-instruct", {}, {}) == 0
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
    ],
)
def test_a_table_that_is_none_of_prices_is_refused_with_an_example(wrong):
    with pytest.raises(CellError, match=r'US dollars .* \{"owner/name": \{"predict_time"'):
        checked(wrong)


def test_prices_are_handed_on():
    assert checked(PRICES) is PRICES
    assert checked({}) == {}
