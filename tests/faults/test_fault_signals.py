"""A real process that is interrupted or killed at random moments of its runs.

The moments are drawn from a seed that a failure tells: `REPLICATE_MAGIC_TEST_SEED` plays it again.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from contextlib import ExitStack, suppress
from datetime import datetime

import pytest
from children import Process
from promises import batches_in, row_of
from replicate_server import become, late, say, stream

import replicate_magic as rm
from replicate_magic.left_behind import look_for_left
from replicate_magic.prediction import is_final

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
    pytest.mark.slow,
]

SLOW_S = 0.15  # what a slow create takes
SEED = int(os.environ.get("REPLICATE_MAGIC_TEST_SEED") or time.time_ns() % 1_000_000)
WORDS = (*[say("word ", after_s=0.04)] * 8, become("succeeded"))
QUICK = (say("word"), become("succeeded"))


@pytest.fixture
def server(serve):
    server = serve()
    server.tells(*WORDS)
    return server


def made(server, prompt):
    return [one for one in server.predictions if one["input"]["prompt"].startswith(prompt)]


def interrupted(server, process, moment, *, after_s, again):
    """Interrupt a run so long after it has begun; what it said, and how long that took."""
    process.ask(f"moment {moment}.")
    time.sleep(after_s)
    at_s = process.interrupt()
    if again:
        time.sleep(0.05)  # two signals at once would be one
        at_s = process.interrupt()
    said = json.loads(process.says())
    return said, at_s, time.monotonic() - at_s


def check_interrupted(server, home, moment, outcome, *, again):
    said, at_s, took_s = outcome
    prompt = f"moment {moment}."
    assert took_s < (0.5 if again else 5), took_s
    ours = made(server, prompt)
    assert len(ours) <= 1
    if not ours:
        return
    [raw] = ours
    server.until(lambda: is_final(raw), 5)
    cancels = [one for one in server.seen("cancel") if raw["id"] in one.path]
    assert len(cancels) <= 1
    if raw["status"] == "canceled":
        assert cancels[0].at_s - max(at_s, moment_of(raw["created_at"]) + SLOW_S) < 0.5
    server.until(lambda: row_of(home, raw["id"]), 5)
    assert again or said["id"] in {raw["id"], None}
    if said["error"] == "KeyboardInterrupt" and not again:
        assert said["id"] == raw["id"]


def moment_of(stamp):
    """A time of the API's, by `time.monotonic()`."""
    return time.monotonic() - (time.time() - datetime.fromisoformat(stamp).timestamp())


def test_an_interrupt_at_any_moment_cancels_once_and_leaves_a_row(server, module_home):
    print("seed", SEED)
    chance = random.Random(SEED)
    with Process("interrupted.py") as process:
        for moment in range(100):
            again = moment % 5 == 4
            server.fails("create", chance.choice([None, late(SLOW_S)]))
            server.fails("stream", chance.choice([None, stream(ends_after=2)]))
            after_s = chance.uniform(0, 0.6)
            outcome = interrupted(server, process, moment, after_s=after_s, again=again)
            check_interrupted(server, module_home, moment, outcome, again=again)
    assert sum(one["status"] == "canceled" for one in server.predictions) > 30


def test_a_machine_that_slept_has_the_answer_when_it_wakes(server, module_home):
    """The process stands still, its connections die, and the prediction ends meanwhile."""
    print("seed", SEED)
    chance = random.Random(SEED)
    with Process("interrupted.py") as process:
        for night in range(6):
            process.ask(f"night {night}.")
            time.sleep(chance.uniform(0, 0.35))
            process.send(signal.SIGSTOP)
            server.tear()
            time.sleep(1)
            process.send(signal.SIGCONT)
            said = json.loads(process.says())
            ours = made(server, f"night {night}.")
            assert len(ours) <= 1
            assert said["id"] == (ours[0]["id"] if ours else None) or said["error"]
            assert said["error"] in {"", "CreateUnclear"}
            assert not said["id"] or row_of(module_home, said["id"])[0] == ours[0]
    assert not server.seen("cancel")


NIGHT_S = 130  # longer than anything is waited for


class Sleeper:
    """A process that falls asleep in the middle of a run, its connections dying meanwhile.

    Args:
        serve: starts its server.
        phase: what it is at: its create, or the stream.
        silently: whether the connections stay open and are never answered any more, or are torn.
    """

    def __init__(self, serve, phase, *, silently):
        self.name, self.server = f"{phase}, {'silently' if silently else 'torn'}", serve()
        self._phase, self._silently = phase, silently
        self.server.tells(*WORDS)
        self.process = Process("interrupted.py")

    def fall_asleep(self):
        if self._phase == "create":
            self.server.fails("create", late(3.0))
        self.process.ask(self.name)
        if self._phase == "create":
            self.server.until(lambda: made(self.server, self.name))
            time.sleep(0.5)  # until it waits for the answer, whose time is over as it wakes
        else:
            self.server.wait_for("stream", 2)
        self.process.send(signal.SIGSTOP)
        self.server.fall_silent() if self._silently else self.server.tear()

    def runs(self, prompt):
        """The error of another run, if any."""
        self.process.ask(prompt)
        return json.loads(self.process.says())["error"]

    def wake(self):
        """What it has to say, and after how long."""
        self.process.send(signal.SIGCONT)
        woke_s = time.monotonic()
        return json.loads(self.process.says()), time.monotonic() - woke_s


@pytest.mark.timeout(NIGHT_S + 120)
def test_a_night_is_slept_through_by_all_connections_and_no_answer_is_lost(serve, module_home):
    with ExitStack() as processes:
        sleepers = [
            Sleeper(serve, phase, silently=silently)
            for phase in ("create", "stream")
            for silently in (False, True)
        ]
        for sleeper in sleepers:
            processes.enter_context(sleeper.process)
            sleeper.fall_asleep()
        time.sleep(NIGHT_S)
        for sleeper in sleepers:
            said, took_s = sleeper.wake()
            [raw] = made(sleeper.server, sleeper.name)
            assert (said["id"], said["error"]) == (raw["id"], "")
            assert took_s < 10
            assert raw["status"] == "succeeded"
            assert row_of(module_home, raw["id"]) == (raw, "word " * 8)
            assert len(sleeper.server.seen("create")) == 2
            assert not sleeper.server.seen("cancel")
            assert sleeper.runs("in the morning") == ""


def killed(server, process, line, chance):
    """Kill what a line begins at a random moment; how many creates had come by then."""
    asked = len(server.seen("create"))
    server.fails("create", *[late(chance.choice([0.0, 0.1, 0.3]))] * 2)
    pid = int(process.ask(line))
    time.sleep(chance.uniform(0, 0.5))
    os.kill(pid, signal.SIGKILL)
    process.says()
    server.fails("create")
    return len(server.seen("create")) - asked


def test_what_a_killed_batch_had_created_is_found_by_its_resume(server, module_home):
    print("seed", SEED)
    chance = random.Random(SEED)
    server.tells(*QUICK)
    rm.run("acme/poet", prompt="makes the history")
    cut_off = 0
    with Process("killed.py") as process:
        for moment in range(20):
            before = batches_in(module_home)
            cut_off += killed(server, process, f"batch kill {moment}:", chance) in {1, 2}
            after = {name: resumed(name) for name in batches_in(module_home) - before}
            check_killed(server, module_home, f"kill {moment}:", after)
    assert cut_off


def test_what_a_killed_run_had_created_is_found_at_the_next_start(server, module_home):
    """By its row, or else by what history has of a request that is being sent."""
    print("seed", SEED)
    chance = random.Random(SEED)
    server.tells(*QUICK)
    rm.run("acme/poet", prompt="makes the history")
    found = 0
    with Process("killed.py") as process:
        for moment in range(30):
            killed(server, process, f"run lonely {moment}.", chance)
            found += len(look_for_left(lambda _: None))
            ours = made(server, f"lonely {moment}.")
            assert len(ours) <= 1
            assert all(row_of(module_home, one["id"]) for one in ours)
    assert found


def resumed(name):
    """The frame of a batch, or `None` where it ended before its requests were kept."""
    with suppress(rm.CellError):
        return rm.resume(name)


def check_killed(server, home, prompt, batches):
    ours = made(server, prompt)
    frames = [frame for frame in batches.values() if frame is not None]
    assert len(frames) == 1 or not ours, "it was sent before history knew of its requests"
    for frame in frames:
        assert frame["status"].tolist() == ["succeeded"] * 3
        assert sorted(one["input"]["prompt"] for one in ours) == [f"{prompt} {n}" for n in range(3)]
        assert set(frame["id"]) == {one["id"] for one in ours}
        assert all(row_of(home, one["id"]) for one in ours)
