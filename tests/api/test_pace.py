"""When the runs of a batch are asked about."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from replicate_magic.api.pace import Pace

LASTED = st.lists(st.floats(0.01, 600), max_size=200)


def gets_until(pace, lasts_s):
    """How many GETs a run takes, and how late its end is seen."""
    age_s = 0.0
    for polls in range(10_000):
        age_s += pace.delay_s(polls, age_s)
        if age_s >= lasts_s:
            return polls + 1, age_s - lasts_s
    raise AssertionError(age_s)


def test_a_model_that_always_takes_as_long_is_asked_once_a_run():
    gets, late_s = gets_until(Pace([2.0] * 10), 2.01)

    assert gets == 1
    assert late_s < 0.1


def test_a_run_that_takes_longer_than_usual_is_asked_again_ever_less_often():
    pace = Pace([1.0] * 10)
    gets, late_s = gets_until(pace, 60)

    assert gets < 50
    assert late_s < 0.1 * 60 + 0.1


def test_a_model_that_was_never_run_is_asked_soon():
    assert Pace().delay_s(0, 0.0) <= 0.1
    gets, late_s = gets_until(Pace(), 0.2)
    assert gets <= 2
    assert late_s < 0.1


def test_many_that_run_share_what_may_be_read():
    pace = Pace()
    pace.running = 400

    assert all(pace.delay_s(polls, polls / 10) >= 10 for polls in range(30))


def test_only_the_last_runs_count():
    pace = Pace([100.0] * 300)
    for _ in range(100):
        pace.learn(1.0)

    assert pace.delay_s(0, 0.0) < 1.1


@given(LASTED, st.floats(0.01, 600))
def test_an_end_is_always_seen_and_soon(lasted, lasts_s):
    pace = Pace(lasted)
    usual_s = max(lasted, default=0.0)
    _, late_s = gets_until(pace, lasts_s)

    assert late_s <= max(0.1 * lasts_s, usual_s * 1.04, 2.0) + 0.1


@given(LASTED, st.integers(0, 100), st.floats(0, 600))
def test_a_wait_is_never_nothing(lasted, polls, age_s):
    assert 0.03 <= Pace(lasted).delay_s(polls, age_s) <= 700
