"""A real process whose wall clock is set an hour forward or back while it is at something.

libfaketime answers what the process asks of its wall clock, as a file tells it; the monotonic clock
and the times of files stay what they are, as they do when a clock is set.
"""

from __future__ import annotations

import importlib.util
import json
import platform
import sys
import time
from pathlib import Path

import pytest
from children import Process
from promises import batches_in, row_of
from replicate_server import Model, answer, become, hold, late, say, stream, torn

import replicate_magic as rm
from replicate_magic.left_behind import look_for_left

pytestmark = [
    pytest.mark.skipif(
        (sys.platform, platform.machine()) != ("linux", "x86_64"),
        reason="what libfaketime's wheel is made for",
    ),
    pytest.mark.slow,
]

HOUR_S = 3600
FORWARD_OR_BACK = pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S], ids=["forward", "back"])
OLD, NEWER = "0" * 64, "1" * 64
TOLD = (say("Hel"), say("lo,"), say(" world"), become("succeeded"))


class WallClock:
    """That of the processes that are given its environment."""

    def __init__(self, folder):
        [package] = importlib.util.find_spec("libfaketime").submodule_search_locations
        self._file = folder / "clock"
        self.env = {
            "LD_PRELOAD": str(Path(package, "vendor/libfaketime/src/libfaketime.so.1")),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",  # the file is read each time
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }
        self.set(0)

    def set(self, ahead_s):
        """Have it be so far ahead of the true one, from now on."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{ahead_s:+d}\n")
        new.replace(self._file)  # it is never half written

    def jumps(self, ahead_s, then=None):
        """A fault: it is set while a request is under way, which is then answered as it says."""

        async def fault(exchange):
            self.set(ahead_s)
            if then:
                await then(exchange)
            else:
                await exchange.send(await exchange.honest())

        return fault


@pytest.fixture(scope="module")
def clock(tmp_path_factory):
    shared = Path("/dev/shm")
    before = {*shared.glob("*faketime*")}
    yield WallClock(tmp_path_factory.mktemp("clock"))
    for left in {*shared.glob("*faketime*")} - before:  # by those that were killed
        left.unlink()


@pytest.fixture
def server(serve, clock):
    """One of the test's own, with a clock that is right at first."""
    clock.set(0)
    server = serve()
    server.tells(*TOLD)
    return server


class Running:
    """A process that has run something, and knows the server's time."""

    def __init__(self, clock, **first):
        self.clock = clock
        self.process = Process("clocked.py", **clock.env)
        assert self.run(prompt="to begin with", **first)["text"] == "Hello, world"

    def begin(self, **arguments):
        self.process.tell(json.dumps(arguments))

    def run(self, **arguments):
        self.begin(**arguments)
        return json.loads(self.process.says())

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        self.process.__exit__(*raised)


@pytest.fixture
def running(server, clock):
    with Running(clock) as running:
        yield running


def creates_of(server, prompt):
    return [one for one in server.seen("create") if one.json["input"]["prompt"] == prompt]


def check_one(server, home, said, prompt="Sing."):
    """One create, and its prediction is what the caller and the history have."""
    assert said["error"] == "", said
    assert len(creates_of(server, prompt)) == 1
    [raw] = [one for one in server.predictions if one["input"]["prompt"] == prompt]
    assert said["id"] == raw["id"]
    assert said["text"] == "".join(raw["output"])
    assert row_of(home, raw["id"]) == (raw, said["text"])


@FORWARD_OR_BACK
def test_the_process_has_the_clock_that_it_is_given(running, clock, jump_s):
    """Or else nothing below would show anything."""
    clock.set(jump_s)
    said = running.run(prompt="Sing.")

    assert said["clock_s"] - time.time() == pytest.approx(jump_s, abs=60)
    assert said["took_s"] < 60


@FORWARD_OR_BACK
def test_it_jumps_while_a_create_is_under_way_that_breaks_off(
    server, running, clock, module_home, jump_s
):
    server.fails("create", clock.jumps(jump_s, torn()))
    check_one(server, module_home, running.run(prompt="Sing."))


@FORWARD_OR_BACK
def test_it_jumps_before_a_create_that_breaks_off(server, running, clock, module_home, jump_s):
    clock.set(jump_s)
    server.fails("create", torn())
    check_one(server, module_home, running.run(prompt="Sing."))


@FORWARD_OR_BACK
def test_it_jumps_while_a_create_is_under_way_that_comes_to_nothing(server, running, clock, jump_s):
    server.fails("create", clock.jumps(jump_s, answer(503, "down")))
    said = running.run(prompt="Sing.")

    assert said["error"] == "CreateUnclear"
    assert "not clear whether" in said["message"]
    assert len(creates_of(server, "Sing.")) == 1


@FORWARD_OR_BACK
@pytest.mark.parametrize("route", ["stream", "get"])
def test_it_jumps_while_a_run_is_followed(server, running, module_home, jump_s, route):
    fault = stream(ends_after=1) if route == "stream" else None
    server.fails(route, running.clock.jumps(jump_s, fault))
    said = running.run(prompt="Sing.", stream=route == "stream", timeout=60)

    check_one(server, module_home, said)
    row = rm.runs().set_index("id").loc[said["id"]]
    assert 0 <= row["local.created_after_s"] <= row["local.finished_after_s"] <= said["took_s"]
    assert not server.seen("cancel")


@FORWARD_OR_BACK
def test_a_deadline_is_kept_however_it_jumps(server, running, clock, jump_s):
    server.tells(say("Once"), hold())
    server.fails("stream", clock.jumps(jump_s, stream()))
    said = running.run(prompt="Sing.", timeout=1.5)

    assert said["error"] == "PredictionTimeout"
    assert 1.5 <= said["took_s"] < 7
    assert len(server.seen("cancel")) == 1


@FORWARD_OR_BACK
def test_it_jumps_between_a_look_up_of_the_schema_and_its_use(server, clock, module_home, jump_s):
    """A community model's version is good for ten minutes: neither an hour nor the future is."""
    server.models["acme/sketch"] = Model(official=False, versions=(OLD,))
    with Running(clock, model="acme/sketch") as running:
        server.models["acme/sketch"] = Model(official=False, versions=(NEWER, OLD))
        assert running.run(model="acme/sketch", prompt="soon")["error"] == ""
        clock.set(jump_s)
        check_one(server, module_home, running.run(model="acme/sketch", prompt="Sing."))

    named = [one.json["version"] for one in server.seen("create")]
    assert named == [OLD, OLD, NEWER]


@FORWARD_OR_BACK
def test_it_jumps_while_a_schema_is_looked_up(server, running, clock, module_home, jump_s):
    server.fails("model", clock.jumps(jump_s))
    check_one(server, module_home, running.run(model="acme/sketch", prompt="Sing."))
    check_one(
        server, module_home, running.run(model="acme/sketch", prompt="Dance."), prompt="Dance."
    )


@FORWARD_OR_BACK
def test_a_refusal_that_tells_a_time_is_waited_out_by_the_servers_clock(
    server, running, clock, module_home, jump_s
):
    async def refused(exchange):
        moment = exchange.server.http_date()  # over by the time that it is read
        await answer(429, {"detail": "Slow."}, retry_after=moment)(exchange)

    server.fails("create", clock.jumps(jump_s, refused))
    said = running.run(prompt="Sing.")

    assert said["error"] == ""
    assert said["took_s"] < 10
    assert len(server.predictions) == 2


@FORWARD_OR_BACK
@pytest.mark.parametrize("of_it", ["again", "left"])
def test_what_a_process_created_after_its_clock_was_set_is_found_when_it_has_died(
    server, running, module_home, jump_s, of_it
):
    running.clock.set(jump_s)
    server.fails("create", late(60))
    running.begin(prompt="Sing.")
    server.until(lambda: len(server.predictions) == 2)
    running.process.__exit__()
    server.fails("create")
    if of_it == "again":
        found = rm.run("acme/poet", prompt="Sing.")
    else:
        [found] = look_for_left(lambda _: None)

    assert found.id == server.predictions[1]["id"]
    assert len(creates_of(server, "Sing.")) == 1


@FORWARD_OR_BACK
def test_what_a_batch_created_by_a_wrong_clock_is_found_by_its_resume(
    server, running, clock, module_home, jump_s
):
    clock.set(jump_s)
    server.fails("create", *[late(60)] * 2)
    before = batches_in(module_home)
    running.begin(rows=["one", "two", "three"], concurrency=2)
    server.until(lambda: len(server.predictions) == 3)
    running.process.__exit__()
    server.fails("create")
    [batch] = batches_in(module_home) - before
    frame = rm.resume(batch)

    assert frame["status"].tolist() == ["succeeded"] * 3
    assert [len(creates_of(server, one)) for one in ("one", "two", "three")] == [1, 1, 1]
    assert set(frame["id"]) == {one["id"] for one in server.predictions[1:]}


def test_two_processes_whose_clock_was_never_right_create_once(server, clock, module_home):
    with Running(clock):
        pass  # the model's schema is kept, so that no other process asks before it creates
    clock.set(3 * HOUR_S)
    server.fails("create", late(60))
    with Process("clocked.py", **clock.env) as first:
        first.tell(json.dumps({"prompt": "Sing."}))
        server.until(lambda: len(server.predictions) == 2)
    server.fails("create")
    with Process("clocked.py", **clock.env) as second:
        said = json.loads(second.ask(json.dumps({"prompt": "Sing."})))

    check_one(server, module_home, said)
