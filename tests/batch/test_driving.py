"""One process at a time drives a batch; the next one may as soon as that has ended, however."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager

import pytest
from replicate_server import become, hold, say

import replicate_magic as rm
from replicate_magic import batching
from replicate_magic.runs.batches import BatchRecord
from replicate_magic.runs.history import the_history

QUICK = (say("Hello"), become("succeeded"))
FAILED = (become("failed", error="No."),)
BATCH = """
import replicate_magic as rm
rm.batch("acme/poet", rows=[f"row {n}" for n in range(4)], prompt="{{row}}", concurrency=2)
"""
RESUME = """
import sys
import replicate_magic as rm
print("ready", flush=True)
sys.stdin.readline()
try:
    print(rm.resume()["status"].tolist(), flush=True)
except rm.CellError as error:
    print(error, flush=True)
"""
FORK = """
import os, sys
from replicate_magic.runs.batches import BatchRecord
from replicate_magic.runs.history import the_history
the_history().begin_batch(BatchRecord(id="b1"))
assert the_history().drive_batch("b1") is None
parent = os.getpid()
if os.fork():
    print("driving", flush=True)
    sys.stdin.readline()
    os.kill(parent, 9)
print(the_history().drive_batch("b1").pid == parent, flush=True)
while os.getppid() == parent:
    pass
print(the_history().drive_batch("b1"), the_history().drive_batch("b1"), flush=True)
"""


def prompts(server):
    return [one.json["input"]["prompt"] for one in server.seen("create")]


@contextmanager
def python(code):
    """A process that runs a script, and is killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def locked():
    folder = the_history().path.parent / "driving"
    return sorted(folder.iterdir()) if folder.exists() else []


def test_a_batch_of_another_process_is_resumed_once_that_is_killed_and_not_before(replicate, home):
    replicate.tells_in_turn(QUICK)
    rm.run("acme/poet", prompt="row 0")  # so that it is known how long it takes
    replicate.tells(say("Once"), hold(), become("succeeded"))
    with python(BATCH) as process:
        replicate.until(lambda: len(rm.runs()) == 3)
        with pytest.raises(rm.CellError, match=f"is run by process {process.pid} on ") as refused:
            rm.resume()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert len(replicate.seen("create")) == 3
    assert len(locked()) == 1
    asked = len(replicate.seen("get"))
    job = batching.begin(
        batching.resumed(None), batching.NoBatchView(), lambda _: None, keep_going=False
    )
    replicate.wait_for("get", asked + 4)
    replicate.release()
    replicate.tells(*QUICK)
    frame = job.wait(10)

    assert ", since 2" in str(refused.value)
    assert "%replicate resume" in str(refused.value)
    assert sorted(prompts(replicate)[1:]) == [f"row {n}" for n in range(4)]
    assert frame["status"].tolist() == ["succeeded"] * 4
    replicate.until(lambda: not locked())


@pytest.mark.slow
def test_of_two_processes_that_resume_a_batch_at_once_one_is_refused(replicate, home):
    replicate.tells(*FAILED)
    rm.batch("acme/poet", rows=["a", "b"], prompt="{{row}}", keep_going=True)
    replicate.tells(say("Once"), hold(), become("succeeded"))
    with python(RESUME) as one, python(RESUME) as other:
        for process in (one, other):
            process.stdout.readline()
        for process in (one, other):
            process.stdin.write("go\n")
            process.stdin.flush()
        replicate.wait_for("create", 4)
        with ThreadPoolExecutor() as threads:
            lines = {threads.submit(it.stdout.readline): it for it in (one, other)}
            [first], _ = wait(lines, return_when=FIRST_COMPLETED)
            replicate.release()
        refused = lines.pop(first)
        [ran] = lines
        driver = other if refused is one else one

    assert f"is run by process {driver.pid} on " in first.result()
    assert ran.result() == "['succeeded', 'succeeded']\n"
    assert len(replicate.seen("create")) == 4


def test_of_two_calls_of_one_process_that_resume_a_batch_at_once_one_is_refused(replicate):
    replicate.tells(*FAILED)
    rm.batch("acme/poet", rows=["a", "b"], prompt="{{row}}", keep_going=True)
    replicate.tells(say("Once"), hold(), become("succeeded"))
    orders = [batching.resumed(None), batching.resumed(None)]
    jobs = [
        batching.begin(order, batching.NoBatchView(), lambda _: None, keep_going=False)
        for order in orders
    ]
    replicate.wait_for("create", 4)
    replicate.until(lambda: jobs[1].done)
    replicate.release()

    with pytest.raises(rm.CellError, match="runs in this process now"):
        jobs[1].wait(10)
    assert jobs[0].wait(10)["status"].tolist() == ["succeeded"] * 2
    assert len(replicate.seen("create")) == 4


def test_what_another_process_has_finished_meanwhile_is_not_sent_again(replicate):
    """The order was made before the other one had ended."""
    replicate.tells(*FAILED)
    rm.batch("acme/poet", rows=["a", "b"], prompt="{{row}}", keep_going=True)
    replicate.tells(*QUICK)
    order = batching.resumed(None)
    rm.resume()
    job = batching.drive(order, batching.NoBatchView(), keep_going=False)

    assert job.checked()["status"].tolist() == ["succeeded"] * 2
    assert len(replicate.seen("create")) == 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are POSIX's")
def test_a_forked_child_neither_drives_its_parents_batch_nor_is_kept_from_it_afterwards(home):
    with python(FORK) as process:
        assert process.stdout.readline() == "driving\n"
        assert process.stdout.readline() == "True\n"
        process.stdin.write("die\n")
        process.stdin.flush()
        assert process.stdout.readline() == "None None\n"


def test_where_nothing_can_be_locked_batches_run_all_the_same(replicate, home):
    replicate.tells(*FAILED)
    home.mkdir()
    home.joinpath("driving").write_text("a file, and no folder")
    rm.batch("acme/poet", rows=["a"], prompt="{{row}}", keep_going=True)
    replicate.tells(*QUICK)

    assert rm.resume()["status"].tolist() == ["succeeded"]


def test_a_batch_that_is_left_is_nobodys(home):
    history = the_history()
    history.begin_batch(BatchRecord(id="b1"))
    assert history.drive_batch("b1") is None
    assert len(locked()) == 1
    history.leave_batch("b1")

    assert history.batch_driver("b1") is None
    assert locked() == []
