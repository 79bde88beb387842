"""What may be spent: limits, what is under way, and what is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicate_magic.errors import OverBudget
from replicate_magic.plain import dollars
from replicate_magic.spending import Bill, Limit, Purse, Spending, limits_of, refuse


def check(most, expected, purse=None, *, unknown="", blind=False):
    limit = Limit(most_usd=most, name="--max-cost", purse=purse or Purse())
    refuse([limit], expected, what="a/b", unknown=unknown, blind=blind)


def test_what_is_within_the_limit_passes_also_to_the_last_cent():
    check(1.0, 1.0)
    check(0.3, 0.1 + 0.1 + 0.1)
    check(1.0, 0.25, Purse(spent_usd=0.5, held_usd=0.25))


def test_what_is_above_is_refused_and_the_message_has_the_figures():
    with pytest.raises(OverBudget) as caught:
        check(0.5, 0.02, Purse(spent_usd=0.45, held_usd=0.04, unknown=2))

    assert str(caught.value) == (
        "a/b may cost about $0.0200, by earlier runs. --max-cost is $0.5000, of which $0.4900 are "
        "spent or under way and 2 runs had a cost that is not known. Nothing was sent."
    )


def test_what_costs_nothing_passes_though_all_is_spent():
    check(0.0, 0.0)
    check(1.0, 0.0, Purse(spent_usd=2.0))


def test_an_unknown_cost_is_refused_unless_it_is_to_run_all_the_same():
    with pytest.raises(OverBudget, match=r"What a/b costs is not known: why\. .* --yes"):
        check(1.0, 0.0, unknown="a/b costs is not known: why")
    check(1.0, 0.0, unknown="a/b costs is not known: why", blind=True)
    with pytest.raises(OverBudget, match="may cost more than is known"):
        check(1.0, 0.0, Purse(spent_usd=1.0), unknown="a/b costs", blind=True)


def test_a_run_is_held_while_it_is_under_way_and_paid_at_its_end():
    own, kernel = Purse(), Purse(spent_usd=1.0)
    bill = Bill(purses=(own, kernel), expected_usd=0.5)

    assert (own.held_usd, kernel.held_usd) == (0.5, 0.5)
    bill.settle(0.25, created=True)
    assert (own.spent_usd, own.held_usd, own.unknown) == (0.25, 0.0, 0)
    assert kernel.spent_usd == 1.25


@pytest.mark.parametrize(
    ("expected", "cost", "created", "spent", "unknown"),
    [
        (0.5, None, True, 0.5, 0),  # as was expected
        (None, None, True, 0.0, 1),
        (None, 0.25, True, 0.25, 0),
        (0.5, None, False, 0.0, 0),  # nothing was sent
        (0.5, 0.0, True, 0.0, 0),
    ],
)
def test_what_is_paid_is_what_is_known(expected, cost, created, spent, unknown):
    purse = Purse()
    Bill(purses=(purse,), expected_usd=expected).settle(cost, created=created)

    assert (purse.spent_usd, purse.held_usd, purse.unknown) == (spent, 0.0, unknown)


def test_what_is_expected_is_the_mean_of_what_is_known():
    own = Spending()
    assert own.expected_usd("a/b") is None
    own.learn("a/b", [])
    assert own.expected_usd("a/b") is None
    own.learn("a/b", [1.0, 3.0])
    own.learn("a/b", [5.0])

    assert own.expected_usd("a/b") == 3.0
    assert own.expected_usd("a/c") is None


def test_there_are_as_many_limits_as_were_set():
    own, kernel = Spending(most_usd=1.0), Purse()
    names = [limit.name for limit in limits_of(own, budget_usd=0.0, kernel=kernel)]

    assert names == ["--max-cost", "%config ReplicateMagics.budget_usd"]
    assert limits_of(Spending(), budget_usd=None, kernel=kernel) == []


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 2)), max_size=40), st.floats(0, 5))
def test_never_is_more_begun_than_the_limit_lets(runs, most):
    """Whatever runs take in the end, one is begun only where what it may cost is left."""
    purse = Purse()
    for expected, cost in runs:
        left = most - purse.spent_usd - purse.held_usd
        try:
            check(most, expected, purse)
        except OverBudget:
            assert expected > max(left, 0.0)
            continue
        assert expected <= max(left, 0.0) + 1e-6
        Bill(purses=(purse,), expected_usd=expected).settle(cost, created=True)


@pytest.mark.parametrize(
    ("usd", "told"),
    [(0, "$0.0000"), (12.3, "$12.30"), (1234.5, "$1,234.50"), (0.0012, "$0.0012"),
     (0.000042, "$0.000042")],
)  # fmt: skip
def test_amounts_are_told_with_the_digits_that_tell(usd, told):
    assert dollars(usd) == told
