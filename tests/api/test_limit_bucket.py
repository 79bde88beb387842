"""What is learnt of a rate limit, against true token buckets in simulated time."""

from __future__ import annotations

import heapq
import json
import math
import random
from datetime import UTC, datetime
from itertools import count, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rate_limits import Bucket as TrueBucket
from rate_limits import Limits

from replicate_magic.api.answers import Answer, read_allowance
from replicate_magic.api.bucket import Bucket

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PLAIN = Answer(status=201, headers={}, body=b"{}")


def answered(limits, now_s):
    """What a create's answer tells, and whether it was refused."""
    headers, refusal = limits.judge("create", now_s)
    status = 429 if refusal else 201
    body = json.dumps(refusal or {}).encode()
    return read_allowance(Answer(status=status, headers=headers, body=body), NOW), bool(refusal)


class Kernel:
    """A client in simulated time: so many creates, some of them at a time, in their order."""

    def __init__(self, simulation, bucket, creates, concurrency):
        self._simulation, self.bucket = simulation, bucket
        self._left, self._waiting, self._alarm = creates, 0, math.inf
        for _ in range(concurrency):
            self._begin()

    def _begin(self):
        if self._left:
            self._left -= 1
            self._waiting += 1

    def look(self, *, waited=True):
        simulation = self._simulation
        while self._waiting and not self.bucket.wait_s(simulation.now_s):
            self._waiting -= 1
            simulation.send(self, self.bucket.take(simulation.now_s, waited=waited))
        if self._waiting:
            alarm_s = simulation.now_s + self.bucket.wait_s(simulation.now_s) + 1e-4
            if not simulation.now_s < self._alarm <= alarm_s:
                self._alarm = alarm_s
                simulation.at(alarm_s, self._ring)

    def _ring(self):
        self._alarm = math.inf
        self.look()

    def answer(self, ticket, allowance, *, refused):
        if allowance.limited is not None:
            self.bucket.meet(limited=allowance.limited)
        self.bucket.learn(ticket, allowance, self._simulation.now_s)
        if refused:
            self._waiting += 1
        else:
            self._begin()
        self.look()


class Simulation:
    """The API's side, and the time."""

    def __init__(self, limits, *, latency_s=0.003, sway_s=0.002, seed=0):
        self.limits = limits
        self.now_s = 0.0
        self.passed, self.refused = [], []  # when, in seconds
        self._latency_s, self._sway_s = latency_s, sway_s
        self._random = random.Random(seed)
        self._agenda, self._order = [], count()

    def at(self, when_s, work, *arguments):
        heapq.heappush(self._agenda, (when_s, next(self._order), work, arguments))

    def later(self, work, *arguments):
        way_s = self._latency_s + self._random.random() * self._sway_s
        self.at(self.now_s + way_s, work, *arguments)

    def send(self, kernel, ticket):
        self.later(self._arrive, kernel, ticket)

    def _arrive(self, kernel, ticket):
        allowance, refused = answered(self.limits, self.now_s)
        (self.refused if refused else self.passed).append(self.now_s)
        self.later(self._return, kernel, ticket, allowance, refused)

    def _return(self, kernel, ticket, allowance, refused):
        kernel.answer(ticket, allowance, refused=refused)

    def kernel(self, creates, concurrency, *, at_s=0.0, limited=True):
        """Another client, which has looked up the model, begins."""
        bucket = Bucket(usual_rate_s=10.0, burst=None, wary_s=0.1)
        if limited is not None:
            bucket.meet(limited=limited)
        self.at(at_s, lambda: Kernel(self, bucket, creates, concurrency).look(waited=False))
        return bucket

    def run(self, most_s=100_000.0):
        while self._agenda and self._agenda[0][0] < most_s:
            self.now_s, _, work, arguments = heapq.heappop(self._agenda)
            work(*arguments)
        return self


def limits_of(rate_s, burst, **how):
    return Limits(create=TrueBucket(rate_s, burst), **how)


def own_s(creates, rate_s, burst):
    """The limit's own time: until the last of so many may go."""
    return (creates - burst) / rate_s


LIMITS = st.tuples(st.floats(1, 60), st.integers(3, 200)).filter(lambda one: one[1] / one[0] > 0.1)
WAYS = st.tuples(st.floats(0.001, 0.03), st.floats(0, 0.01), st.integers(0, 10**6))

# -- the limit is used up, and not passed --------------------------------------------------------


@pytest.mark.parametrize("concurrency", [8, 32])
def test_twenty_a_second_are_kept_to_within_two_per_cent_and_none_is_refused(concurrency):
    simulation = Simulation(limits_of(20, 5))
    simulation.kernel(400, concurrency)
    simulation.run()

    assert simulation.passed[-1] < 1.02 * own_s(400, 20, 5)
    assert simulation.refused == []


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(LIMITS, WAYS, st.sampled_from([4, 8, 32]))
def test_whatever_the_limit_is_few_are_refused_and_little_time_is_lost(limit, way, concurrency):
    (rate_s, burst), (latency_s, sway_s, seed) = limit, way
    rate_s = min(rate_s, concurrency / (2 * latency_s + sway_s) / 2)  # else it is never met
    creates = burst + int(15 * rate_s) + 40
    simulation = Simulation(limits_of(rate_s, burst), latency_s=latency_s, sway_s=sway_s, seed=seed)
    simulation.kernel(creates, concurrency)
    simulation.run()

    assert len(simulation.passed) == creates
    assert len(simulation.refused) <= 5
    assert simulation.passed[-1] < 1.3 * own_s(creates, rate_s, burst)


@settings(max_examples=20, deadline=None)
@given(st.floats(2, 30), st.integers(5, 100), st.integers(0, 10**6))
def test_what_it_learns_is_the_limit(rate_s, burst, seed):
    simulation = Simulation(limits_of(rate_s, burst), seed=seed)
    bucket = simulation.kernel(burst + int(20 * rate_s), 8)
    simulation.run()

    assert bucket.told
    assert bucket.burst == pytest.approx(burst, rel=0.3, abs=1)
    assert bucket.rate_s == pytest.approx(rate_s, rel=0.4)


def test_replicates_own_limit_is_known_by_one_answer():
    simulation = Simulation(limits_of(10, 600))
    bucket = simulation.kernel(1, 1)
    simulation.run()

    assert (bucket.rate_s, bucket.burst) == (10, 600)


def test_a_bucket_that_others_have_emptied_before_is_not_waited_for_until_it_is_full():
    limits = limits_of(10, 600)
    limits.create.tokens, limits.create.at_s = 4.0, 0.0
    simulation = Simulation(limits)
    simulation.kernel(60, 8)
    simulation.run()

    assert simulation.passed[-1] < 7
    assert simulation.refused == []


# -- little credit -------------------------------------------------------------------------------


def test_an_account_with_little_credit_is_known_by_one_answer_and_never_refused():
    simulation = Simulation(limits_of(0.1, 1))
    simulation.kernel(20, 8)
    simulation.run()

    assert simulation.refused == []
    assert simulation.passed[-1] < 1.05 * 190


def test_where_only_the_words_of_a_refusal_tell_they_are_taken():
    simulation = Simulation(limits_of(0.1, 1, headers=False))
    bucket = simulation.kernel(12, 4, limited=False)
    simulation.run()

    assert (bucket.rate_s, bucket.burst) == (0.1, 1)
    assert len(simulation.refused) <= 4
    assert simulation.passed[-1] < 1.1 * 110


# -- a limit that changes ------------------------------------------------------------------------


def changing(creates, first, then, at_s, concurrency=8):
    """When the last create passed, and the simulation."""
    simulation = Simulation(limits_of(*first))
    simulation.kernel(creates, concurrency)
    rate_s, burst = then
    change = simulation.limits.create.change
    simulation.at(at_s, lambda: change(rate_s=rate_s, burst=burst, now_s=at_s))
    return simulation.run().passed[-1], simulation


def test_a_limit_that_is_lowered_midway_is_followed():
    last_s, simulation = changing(200, (20, 5), (5, 5), 5)

    assert last_s < 5 + 1.1 * (200 - 105) / 5
    assert len(simulation.refused) <= 3


def test_a_limit_that_is_raised_midway_is_followed():
    last_s, simulation = changing(400, (5, 5), (50, 5), 5)

    assert last_s < 5 + 1.2 * (400 - 30) / 50
    assert len(simulation.refused) <= 3


def test_credit_that_runs_low_midway_is_followed():
    last_s, simulation = changing(70, (10, 60), (0.1, 1), 0.02)
    passed = [at_s for at_s in simulation.passed if at_s > 0.1]
    gaps = [later - earlier for earlier, later in pairwise(passed)]

    assert min(gaps) >= 10
    assert last_s < 1.1 * 10 * (len(passed) + 1)
    assert len(simulation.refused) <= 8  # those that were under way


def test_credit_that_is_bought_midway_is_followed_with_the_next_answer():
    last_s, simulation = changing(60, (0.1, 1), (10, 600), 25)

    assert last_s < 42
    assert simulation.refused == []


# -- others take of it too -----------------------------------------------------------------------


@pytest.mark.parametrize("kernels", [2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_several_kernels_share_a_limit(kernels, seed):
    simulation = Simulation(limits_of(20, 5), seed=seed)
    for number in range(kernels):
        simulation.kernel(200, 8, at_s=1.5 * number)
    simulation.run()

    creates = 200 * kernels
    assert len(simulation.passed) == creates
    assert simulation.passed[-1] < 1.15 * own_s(creates, 20, 5)
    assert len(simulation.refused) < 0.04 * creates


# -- where nothing but refusals tells --------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [8, 32])
def test_a_rate_is_found_by_refusals_alone(concurrency):
    simulation = Simulation(limits_of(20, 5, headers=False))
    bucket = simulation.kernel(400, concurrency, limited=False)
    simulation.run()

    assert simulation.passed[-1] < 1.35 * own_s(400, 20, 5)
    assert len(simulation.refused) < 0.035 * 400
    assert bucket.rate_s == pytest.approx(20, rel=0.2)


# -- where there is no limit -----------------------------------------------------------------------


def test_where_answers_tell_nothing_nothing_is_held_up():
    bucket = Bucket(usual_rate_s=10, burst=None, wary_s=0.1)
    bucket.meet(limited=False)
    tickets = []
    for _ in range(8):
        assert bucket.wait_s(1.0) == 0
        tickets.append(bucket.take(1.0))
    assert bucket.wait_s(1.0, ahead=500) == pytest.approx(0.3)  # in case one of them is refused
    for number in range(1_000):
        bucket.learn(tickets[number], read_allowance(PLAIN, NOW), 1.0)
        assert bucket.wait_s(1.0) == 0
        tickets.append(bucket.take(1.0))
    assert bucket.wait_s(1.31, ahead=500) == 0


def test_where_nothing_has_answered_yet_the_first_answer_is_waited_for_for_a_moment():
    bucket = Bucket(usual_rate_s=10, burst=None, wary_s=0.1)
    bucket.take(1.0)

    assert bucket.wait_s(1.0) == pytest.approx(0.1)
    assert bucket.wait_s(1.11) == 0
    bucket.meet(limited=False)
    assert bucket.wait_s(1.0) == 0


def test_a_number_that_always_stays_the_same_holds_nothing_up():
    bucket = Bucket(usual_rate_s=10, burst=None, wary_s=0.1)
    told = read_allowance(
        Answer(
            status=201,
            headers={"ratelimit-remaining": "599", "ratelimit-reset": "1"},
            body=b"{}",
        ),
        NOW,
    )
    bucket.meet(limited=True)
    bucket.learn(bucket.take(0.0), told, 0.01)
    for number in range(3_000):
        now_s = 0.01 + number / 1_000
        assert bucket.wait_s(now_s) == 0
        bucket.learn(bucket.take(now_s), told, now_s)


# -- after a refusal -----------------------------------------------------------------------------


def refusal(wait_s):
    body = json.dumps({"detail": "Throttled.", "retry_after": wait_s}).encode()
    return read_allowance(Answer(status=429, headers={}, body=body), NOW)


@given(st.floats(0.1, 3_000), st.integers(1, 20))
def test_after_a_refusal_nobody_goes_before_the_time_is_over_and_then_one_by_one(wait_s, together):
    bucket = Bucket(usual_rate_s=10, burst=None, wary_s=0.1)
    bucket.meet(limited=False)
    tickets = [bucket.take(10.0) for _ in range(together)]
    for ticket in tickets:
        bucket.learn(ticket, refusal(wait_s), 11.0)
    waits = [bucket.wait_s(11.0, ahead) for ahead in range(5)]

    assert waits[0] == pytest.approx(wait_s)
    assert all(later > earlier for earlier, later in pairwise(waits))
    assert bucket.wait_s(11.0 + wait_s + 0.001) == 0
    bucket.take(11.0 + wait_s + 0.001)
    assert bucket.wait_s(11.0 + wait_s + 0.001) > 0


ODD = st.one_of(st.none(), st.integers(0, 3), st.integers(0, 10**18))
STEP = st.tuples(st.floats(0, 100), st.sampled_from(["take", "count", "refuse", "lose", "back"]))


@given(st.lists(st.tuples(STEP, ODD, ODD), max_size=60), st.sampled_from([None, 1.0, 3_000.0]))
def test_no_answer_however_odd_stops_everything_for_good(steps, burst):
    bucket = Bucket(usual_rate_s=10, burst=burst, wary_s=0.1)
    now_s, under_way = 0.0, []
    for (seconds, what), one, other in steps:
        now_s += seconds
        if what == "take" or not under_way:
            under_way.append(bucket.take(now_s))
            continue
        ticket = under_way.pop(len(under_way) // 2)
        if what == "count":
            headers = {"ratelimit-remaining": str(one), "ratelimit-reset": str(other)}
            told = read_allowance(Answer(status=200, headers=headers, body=b""), NOW)
            bucket.learn(ticket, told, now_s)
        elif what == "refuse":
            bucket.learn(ticket, refusal(one), now_s)
        else:
            (bucket.drop if what == "lose" else bucket.give_back)(ticket)
        left = len(under_way)
        assert 0 <= bucket.wait_s(now_s) <= 3_600 + 60 * (left + len(steps) + 3)
        assert math.isfinite(bucket.remaining(now_s))
