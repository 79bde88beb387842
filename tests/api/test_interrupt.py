"""Ctrl-C, sent to a real process that runs a prediction."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from replicate_server import answer, become, hold, late, reset, say, stream_of

import replicate_magic

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
    pytest.mark.slow,
]

ROOT = Path(replicate_magic.__file__).parents[1]
SCRIPT = """
import json, sys, time
import replicate_magic as rm
from replicate_magic import session

def say(**what):
    print(json.dumps(what), flush=True)

say(began=True)
try:
    rm.run("acme/poet", prompt="x", **json.loads(sys.argv[1]))
except KeyboardInterrupt as interrupt:
    known = getattr(interrupt, "prediction", None)
    told = "".join(getattr(interrupt, "_render_traceback_", list)())
    say(status=known and known.status, id=known and known.id, told=told)
except rm.ReplicateMagicError as error:
    say(error=str(error))
sys.stdin.readline()  # the process lives until it is told to end
"""


class Process:
    """A process that runs a prediction."""

    def __init__(self, tmp_path, **arguments):
        path = tmp_path / "script.py"
        path.write_text(SCRIPT)
        pipe = subprocess.PIPE
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            [sys.executable, path, json.dumps(arguments)],
            stdin=pipe, stdout=pipe, text=True, env=environment,
        )  # fmt: skip
        assert self.says() == {"began": True}

    def interrupt(self):
        """When it was, by `time.monotonic()`."""
        self._process.send_signal(signal.SIGINT)
        return time.monotonic()

    def says(self):
        return json.loads(self._process.stdout.readline())

    def end(self):
        """End it in good order; its exit code."""
        self._process.communicate("\n", timeout=10)
        return self._process.returncode

    def kill(self):
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def process(replicate, tmp_path):
    started = Process(tmp_path)
    yield started
    started.kill()


@pytest.fixture
def told(replicate):
    """Tells the server its story before the process starts."""
    replicate.tells(say("Once"), hold(), become("succeeded"))


@pytest.fixture
def slow_create(replicate, request):
    replicate.fails("create", late(request.param))


def test_an_interrupt_while_streaming_cancels_once_and_at_once(told, replicate, process):
    replicate.wait_for("stream")
    interrupted_s = process.interrupt()
    said = process.says()
    assert time.monotonic() - interrupted_s < 2
    assert said["status"] == "canceled"
    assert said["id"] == replicate.predictions[0]["id"]
    assert "acme/poet" in said["told"]
    assert "was canceled" in said["told"]
    (cancel,) = replicate.seen("cancel")
    assert cancel.at_s - interrupted_s < 0.5
    assert process.end() == 0
    assert len(replicate.seen("cancel")) == 1


@pytest.fixture
def never_starts(replicate):
    replicate.tells(hold())


def test_an_interrupt_while_the_model_starts_cancels_once(never_starts, replicate, process):
    replicate.wait_for("get")
    process.interrupt()
    assert process.says()["status"] == "canceled"
    assert len(replicate.seen("cancel")) == 1


@pytest.mark.parametrize("slow_create", [1], indirect=True)
def test_an_interrupt_during_the_create_cancels_once_the_id_is_known(
    told, slow_create, replicate, process
):
    (create,) = replicate.wait_for("create")
    process.interrupt()
    said = process.says()
    assert said["status"] == "canceled"
    (cancel,) = replicate.seen("cancel")
    assert cancel.at_s - (create.at_s + 1) < 0.5
    assert len(replicate.seen("create")) == 1


@pytest.mark.parametrize("slow_create", [4.2], indirect=True)
def test_an_interrupt_during_a_long_create_gives_control_back_and_cancels_later(
    told, slow_create, replicate, process
):
    (create,) = replicate.wait_for("create")
    interrupted_s = process.interrupt()
    said = process.says()
    assert time.monotonic() - interrupted_s < 4  # it is promised within 5
    assert not said["id"]
    assert "had no id yet" in said["told"]
    assert not replicate.seen("cancel")
    (cancel,) = replicate.wait_for("cancel")
    assert cancel.at_s - (create.at_s + 4.2) < 0.5
    replicate.until(lambda: replicate.predictions[0]["status"] == "canceled")


@pytest.mark.parametrize("slow_create", [4.2], indirect=True)
def test_a_process_that_ends_right_after_an_interrupt_still_cancels(
    told, slow_create, replicate, process
):
    replicate.wait_for("create")
    process.interrupt()
    process.says()
    assert process.end() == 0
    assert len(replicate.wait_for("cancel")) == 1


@pytest.fixture
def waiting(replicate, slow_create, tmp_path):
    started = Process(tmp_path, wait=60)
    yield started
    started.kill()


@pytest.mark.parametrize("slow_create", [30], indirect=True)
def test_an_interrupt_while_replicate_holds_its_answer_back_finds_the_id_and_cancels(
    told, replicate, waiting
):
    replicate.wait_for("create")
    waiting.interrupt()
    said = waiting.says()
    assert said["status"] == "canceled"
    assert said["id"] == replicate.predictions[0]["id"]
    assert len(replicate.seen("create")) == len(replicate.seen("cancel")) == 1


@pytest.fixture
def throttled_beside_a_twin(replicate):
    replicate.fails("create", always=answer(429, {"detail": "Throttled.", "retry_after": 20}))
    replicate.remember(
        model="acme/poet", version="hidden", input={"prompt": "x"}, status="processing"
    )


@pytest.fixture
def waiting_to_create(throttled_beside_a_twin, tmp_path):
    started = Process(tmp_path, wait=60)
    yield started
    started.kill()


def test_an_interrupt_before_anything_was_created_leaves_another_ones_run_alone(
    replicate, waiting_to_create
):
    replicate.wait_for("create")
    time.sleep(0.2)  # the answer is read, and the wait has begun: nothing shows that from here
    waiting_to_create.interrupt()
    assert not waiting_to_create.says()["id"]
    assert not replicate.seen("cancel", "list")


@pytest.mark.parametrize("slow_create", [1.5], indirect=True)
def test_a_second_interrupt_returns_at_once_and_the_cancel_still_goes_out(
    told, slow_create, replicate, process
):
    replicate.wait_for("create")
    process.interrupt()
    time.sleep(0.3)  # two signals at once would be one
    again_s = process.interrupt()
    process.says()
    assert time.monotonic() - again_s < 0.5
    assert len(replicate.wait_for("cancel")) == 1


@pytest.fixture
def slow_model(replicate):
    replicate.fails("model", late(1))


def test_an_interrupt_before_the_create_creates_nothing(slow_model, replicate, process):
    replicate.wait_for("model")
    interrupted_s = process.interrupt()
    process.says()
    assert time.monotonic() - interrupted_s < 0.5
    assert process.end() == 0
    assert not replicate.seen("create")


@pytest.fixture
def throttled(replicate):
    replicate.fails("create", always=answer(429, {"detail": "Throttled.", "retry_after": 20}))


def test_an_interrupt_while_waiting_for_the_rate_limit_creates_nothing(
    throttled, replicate, process
):
    replicate.wait_for("create")
    time.sleep(0.2)  # the answer has come and is being waited on
    interrupted_s = process.interrupt()
    process.says()
    assert time.monotonic() - interrupted_s < 0.5
    assert process.end() == 0
    assert len(replicate.seen("create")) == 1


@pytest.fixture
def unreachable(replicate, told):
    replicate.fails("get", always=reset())
    replicate.fails("stream", always=stream_of())


def test_an_interrupt_while_the_network_is_gone_still_cancels(unreachable, replicate, process):
    replicate.wait_for("get", 2)
    interrupted_s = process.interrupt()
    process.says()
    assert time.monotonic() - interrupted_s < 5
    assert len(replicate.seen("cancel")) == 1
    assert replicate.predictions[0]["status"] == "canceled"
