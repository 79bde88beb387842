"""Two thousand runs under random faults: nothing lost, and nothing left behind."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from promises import row_of
from rate_limits import Bucket, Limits
from replicate_server import (
    answer,
    become,
    cut,
    done_but,
    reset,
    say,
    stream,
    stream_cut,
    torn,
    web_page,
)

import replicate_magic as rm
from replicate_magic.prediction import is_final

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

RUNS = 2_000
IDLE = 20  # connections that are kept for the next run
SEED = int(os.environ.get("REPLICATE_MAGIC_TEST_SEED") or time.time_ns() % 1_000_000)
PAGE = "<html>Bad gateway</html>"
FAULTS = {
    "create": [
        torn(), torn(40), cut(60), done_but(500, PAGE), reset(), answer(503, PAGE),
        answer(422, {"detail": "- a: no"}),
    ],
    "get": [
        answer(502, PAGE), reset(), torn(), torn(30), web_page(), cut(40),
        answer(404, {"detail": "No."}),
    ],
    "stream": [
        reset(), answer(403, {"detail": "No."}), stream(ends_after=1),
        stream(ends_after=1, ids=False),
        *(stream_cut(n, torn_off=n % 2 == 0) for n in range(1, 90, 4)),
    ],
    "list": [answer(502, PAGE), reset()],
}  # fmt: skip
OFTEN = {"create": 0.06, "get": 0.03, "stream": 0.3, "list": 0.2}
STORIES = (
    (say("Hello"), say(" world"), become("succeeded")),
    (say("Hello"), become("failed", error="Oh.")),
    (become("aborted"),),
)


def at_random(chance, route):
    """A fault that is honest most of the time."""

    async def fault(exchange):
        if chance.random() < OFTEN[route]:
            await chance.choice(FAULTS[route])(exchange)
        else:
            await exchange.send(await exchange.honest())

    return fault


@pytest.fixture(scope="module")
def soaked(serve, module_home):
    """The server, and what the process said of its runs."""
    print("seed", SEED)
    chance, server = random.Random(SEED), serve()
    server.limits = Limits(create=Bucket(rate_s=80, burst=40))  # a 429 that means nothing slows all
    server.tells_in_turn(*chance.choices(STORIES, [8, 1, 1], k=RUNS * 2))
    for route in FAULTS:
        server.fails(route, always=at_random(chance, route))
    ran = subprocess.run(
        [sys.executable, Path(__file__).with_name("soaked.py"), str(RUNS)],
        env={**os.environ, "PYTHONPATH": str(Path(rm.__file__).parents[1])},
        stdout=subprocess.PIPE, text=True, check=True, timeout=200,
    )  # fmt: skip
    return server, json.loads(ran.stdout.splitlines()[-1])


def test_of_two_thousand_runs_none_is_lost_and_none_made_twice(soaked, module_home):
    server, told = soaked
    made = Counter(raw["input"]["prompt"] for raw in server.predictions)
    assert {made[f"run {number}."] for number in range(RUNS)} <= {0, 1}
    true = {raw["id"]: raw for raw in server.predictions}
    for outcome in told["outcomes"]:
        unclear = outcome["error"] == "CreateUnclear"
        assert bool(outcome["id"]) == bool(made[f"run {outcome['number']}."]) or unclear, outcome
        if outcome["id"]:
            raw, _ = row_of(module_home, outcome["id"])
            assert is_final(raw)
            assert raw == true[outcome["id"]]
    came = Counter(outcome["error"] for outcome in told["outcomes"])
    assert came[""] > RUNS / 2, came
    assert came["PredictionFailed"] > RUNS / 20, came


def test_after_two_thousand_runs_nothing_is_left_behind(soaked):
    _, told = soaked
    first, before, after, closed = (told[name] for name in ("first", "before", "after", "closed"))
    print(first, before, after, closed, sep="\n")
    assert after["tasks"] == before["tasks"] == 0
    assert after["threads"] <= before["threads"]
    assert after["sockets"] <= IDLE
    assert after["handles"] <= before["handles"] + IDLE
    assert closed["sockets"] == closed["tasks"] == 0
    assert closed["threads"] <= first["threads"]
    assert closed["handles"] <= first["handles"]
    assert after["rss_bytes"] - before["rss_bytes"] < 10_000_000
