"""The one loop thread, and how a blocking or an awaiting caller enters and leaves it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest
from replicate_server import Replicate

from replicate_magic import bridge
from replicate_magic.bridge import Call, awaited, entered

ROOT = Path(bridge.__file__).parents[1]
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="fork and signals of POSIX")


@pytest.fixture(autouse=True)
def _no_loop_is_left():
    yield
    bridge.close()


def watched(make):
    """What a blocking caller sees: the time and the value of each snapshot, and the result."""
    call = Call(make)
    with entered(call):
        seen = [(time.monotonic(), snapshot) for snapshot in call.snapshots()]
        return seen, call.result()


def draw(call, view):
    """Hand a view the snapshots of a call, as the session does."""
    with entered(call):
        for snapshot in call.snapshots():
            view(snapshot)


def interrupt():
    signal.raise_signal(signal.SIGINT)


def counting(times, every_s):
    async def work(publish):
        for number in range(times):
            publish(number)
            await asyncio.sleep(every_s)
        return "done"

    return work


class Slow:
    """A coroutine that waits for ever, and notes how it ends."""

    def __init__(self, clean_up_s=0.0):
        self.began, self.ended = threading.Event(), threading.Event()
        self._clean_up_s = clean_up_s

    async def __call__(self, publish):
        publish("waiting")
        self.began.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(self._clean_up_s)
            self.ended.set()


def names():
    return [thread.name for thread in threading.enumerate()]


# -- snapshots ----------------------------------------------------------------------------------


def test_the_first_snapshot_comes_at_once():
    async def first_then_wait(publish):
        publish("first")
        await asyncio.sleep(0.5)

    began_s = time.monotonic()
    seen, _ = watched(first_then_wait)
    assert seen[0][1] == "first"
    assert seen[0][0] - began_s < 0.3


def test_snapshots_come_about_ten_times_a_second():
    seen, result = watched(counting(200, 0.005))
    times = [at_s for at_s, _ in seen]
    assert result == "done"
    lasted_s = times[-1] - times[0]
    assert 4 < len(times) <= bridge.BURST + 2 + lasted_s / bridge.FRAME_S
    last = times[bridge.BURST + 1 : -1]
    assert all(later - earlier > 0.9 * bridge.FRAME_S for earlier, later in pairwise(last))


@pytest.mark.slow
def test_a_token_after_a_quiet_time_is_not_held_back():
    published = []

    async def quiet_then_two(publish):
        publish("quiet")
        await asyncio.sleep(0.3)
        for token in ("first", "second"):
            published.append(time.monotonic())
            publish(token)
            await asyncio.sleep(0.3)

    seen, _ = watched(quiet_then_two)
    assert [token for _, token in seen] == ["quiet", "first", "second"]
    delays = [
        at_s - published_s for (at_s, _), published_s in zip(seen[1:], published, strict=True)
    ]
    assert max(delays) < 0.1


def test_the_newest_snapshot_is_given_and_none_twice():
    seen, _ = watched(counting(100, 0.005))
    numbers = [number for _, number in seen]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("times", [1, 2, 3, 50])
def test_the_last_snapshot_is_always_given(times):
    for _ in range(20):
        seen, _ = watched(counting(times, 0))
        assert seen[-1][1] == times - 1


def test_a_coroutine_that_publishes_nothing_gives_no_snapshot():
    async def silent(publish):
        return 7

    assert watched(silent) == ([], 7)


@pytest.mark.slow
def test_a_slow_view_is_given_what_is_newest_when_it_comes_back():
    call = Call(counting(40, 0.01))
    with entered(call):
        seen = []
        for number in call.snapshots():
            seen.append(number)
            time.sleep(0.25)
    assert seen[-1] == 39
    assert len(seen) <= 4


def test_the_end_does_not_wait_for_the_next_snapshot():
    began_s = time.monotonic()
    for _ in range(10):
        watched(counting(1, 0))
    assert time.monotonic() - began_s < 0.5


@pytest.mark.slow
def test_without_news_the_newest_snapshot_is_given_again_and_again():
    async def quiet(publish):
        publish("only")
        await asyncio.sleep(2.6 * bridge.TICK_S)

    seen, _ = watched(quiet)
    times = [at_s for at_s, _ in seen]
    assert len(times) in {2, 3}
    assert all(later - earlier >= bridge.TICK_S for earlier, later in pairwise(times))


@pytest.mark.slow
def test_with_news_nothing_is_given_again():
    seen, _ = watched(counting(5, 0.3))
    numbers = [number for _, number in seen]
    assert numbers == sorted(set(numbers))


@pytest.mark.slow
def test_before_the_first_snapshot_nothing_is_given():
    async def late(publish):
        await asyncio.sleep(1.2 * bridge.TICK_S)
        publish("late")

    assert [snapshot for _, snapshot in watched(late)[0]] == ["late"]


def test_what_was_given_again_at_the_end_is_not_given_once_more():
    async def ends_quietly(publish):
        publish("only")
        await asyncio.sleep(0.3)

    assert [snapshot for _, snapshot in watched(ends_quietly)[0]] == ["only"]


# -- with nobody waiting ------------------------------------------------------------------------


class Watcher:
    """Whoever is told of a call that nobody waits for."""

    def __init__(self):
        self.seen, self.ends = [], []

    def update(self, snapshot):
        self.seen.append((time.monotonic(), snapshot, threading.current_thread().name))

    def end(self):
        self.ends.append(threading.current_thread().name)


@pytest.mark.slow
def test_a_detached_call_hands_out_snapshots_on_the_loops_thread():
    call, watcher = Call(counting(30, 0.02)), Watcher()
    call.detach(watcher.update, watcher.end)
    assert call.left(10)
    numbers = [number for _, number, _ in watcher.seen]
    assert numbers[0] == 0
    assert numbers == sorted(set(numbers))
    assert {name for _, _, name in watcher.seen} == {"replicate_magic"}


@pytest.mark.slow
def test_a_detached_call_hands_out_about_ten_snapshots_a_second():
    call, watcher = Call(counting(200, 0.005)), Watcher()
    call.detach(watcher.update, watcher.end)
    assert call.left(10)
    times = [at_s for at_s, _, _ in watcher.seen]
    assert len(times) > 4
    assert all(later - earlier > 0.9 * bridge.FRAME_S for earlier, later in pairwise(times))


@pytest.mark.slow
def test_a_detached_call_hands_out_no_snapshot_twice():
    async def quiet(publish):
        publish("only")
        await asyncio.sleep(1.5 * bridge.TICK_S)

    call, watcher = Call(quiet), Watcher()
    call.detach(watcher.update, watcher.end)
    assert call.left(10)
    assert [snapshot for _, snapshot, _ in watcher.seen] == ["only"]


def test_the_end_of_a_detached_call_is_told_once_and_on_a_thread_of_its_own():
    call, watcher = Call(counting(3, 0)), Watcher()
    call.detach(watcher.update, watcher.end)
    assert call.left(10)
    assert call.result() == "done"
    (name,) = watcher.ends
    assert name not in {"replicate_magic", threading.current_thread().name}


def test_the_loop_goes_on_while_the_end_is_told():
    release = threading.Event()
    call = Call(counting(1, 0))
    call.detach(lambda _: None, lambda: release.wait(10))
    assert call.wait(10)
    assert watched(counting(1, 0))[1] == "done"
    assert not call.left(0)
    release.set()
    assert call.left(10)


def test_a_detached_call_whose_end_cannot_be_told_is_left_all_the_same(caplog):
    call = Call(counting(1, 0))
    call.detach(lambda _: None, lambda: 1 / 0)
    assert call.left(10)
    assert call.result() == "done"


@pytest.mark.slow
def test_the_end_of_a_detached_call_is_told_although_a_snapshot_could_not_be(caplog):
    call, watcher = Call(counting(3, 0.2)), Watcher()
    call.detach(lambda _: 1 / 0, watcher.end)
    assert call.wait(10)
    assert call.left(10)
    assert len(watcher.ends) == 1


def test_close_ends_a_detached_call_and_its_end_is_told():
    slow, watcher = Slow(clean_up_s=0.2), Watcher()
    call = Call(slow)
    call.detach(watcher.update, watcher.end)
    assert slow.began.wait(10)
    bridge.close()
    assert slow.ended.is_set()
    assert call.left(0)
    assert len(watcher.ends) == 1
    with pytest.raises(concurrent.futures.CancelledError):
        call.result()


def test_several_detached_calls_end_each_for_itself():
    calls = [(Call(counting(3, 0.01)), Watcher()) for _ in range(5)]
    for call, watcher in calls:
        call.detach(watcher.update, watcher.end)
    assert all(call.left(10) for call, _ in calls)
    assert [len(watcher.ends) for _, watcher in calls] == [1] * 5


# -- leaving ------------------------------------------------------------------------------------


def test_an_exception_crosses_to_the_caller():
    async def failing(publish):
        publish("so far")
        raise ValueError("from the loop")

    with pytest.raises(ValueError, match="from the loop"):
        watched(failing)


def test_leaving_early_cancels_and_waits_for_the_clean_up():
    slow = Slow(clean_up_s=0.2)
    with entered(call := Call(slow)):
        assert next(call.snapshots()) == "waiting"
    assert slow.ended.is_set()
    assert call.wait(0)


def test_an_error_of_the_view_cancels_and_crosses():
    slow = Slow()
    with pytest.raises(ZeroDivisionError):
        draw(Call(slow), lambda _: 1 / 0)
    assert slow.ended.is_set()


def test_an_interrupt_within_the_view_cancels_and_crosses():
    slow = Slow()
    with pytest.raises(KeyboardInterrupt):
        draw(Call(slow), lambda _: interrupt())
    assert slow.ended.is_set()


def test_an_interrupt_between_snapshots_is_heard_at_once():
    slow = Slow()
    began_s = time.monotonic()
    threading.Timer(0.2, interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        draw(Call(slow), lambda _: None)
    assert time.monotonic() - began_s < 1
    assert slow.ended.is_set()


@pytest.mark.slow
def test_a_second_interrupt_ends_the_wait_for_the_clean_up():
    slow = Slow(clean_up_s=1.5)
    began_s = time.monotonic()
    threading.Timer(0.3, interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        draw(Call(slow), lambda _: interrupt())
    assert time.monotonic() - began_s < 1
    assert not slow.ended.is_set()
    assert slow.ended.wait(5)  # the clean-up itself goes on


def test_cancelling_before_the_start_ends_it_unbegun():
    slow = Slow()
    call = Call(slow)
    call.cancel()
    call.start()
    assert call.wait(5)
    assert not slow.began.is_set()
    with pytest.raises(concurrent.futures.CancelledError):
        call.result()


def test_cancelling_from_another_thread_ends_the_callers_wait():
    slow = Slow()
    with entered(call := Call(slow)):
        threading.Timer(0.2, call.cancel).start()
        assert list(call.snapshots()) == ["waiting"]
        with pytest.raises(concurrent.futures.CancelledError):
            call.result()


# -- callers on a loop of their own -------------------------------------------------------------


def test_an_awaiting_caller_gets_the_result():
    assert asyncio.run(awaited(Call(counting(3, 0)))) == "done"


def test_an_awaiting_caller_gets_the_exception():
    async def failing(publish):
        raise ValueError("from the loop")

    with pytest.raises(ValueError, match="from the loop"):
        asyncio.run(awaited(Call(failing)))


def test_cancelling_an_awaiting_caller_cancels_and_waits_for_the_clean_up():
    slow = Slow(clean_up_s=0.2)

    async def main():
        task = asyncio.create_task(awaited(Call(slow)))
        await asyncio.to_thread(slow.began.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert slow.ended.is_set()

    asyncio.run(main())


def test_an_awaiting_callers_loop_goes_on_meanwhile():
    async def main():
        task = asyncio.create_task(awaited(Call(counting(20, 0.01))))
        ticks = 0
        while not task.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return ticks

    assert asyncio.run(main()) > 5


# -- the loop -----------------------------------------------------------------------------------


def test_callers_share_one_thread():
    async def thread(publish):
        return threading.current_thread().name

    with concurrent.futures.ThreadPoolExecutor() as pool:
        results = [one.result()[1] for one in [pool.submit(watched, thread) for _ in range(8)]]
    assert results == ["replicate_magic"] * 8
    assert names().count("replicate_magic") == 1


def test_close_leaves_no_thread_and_the_next_use_starts_another():
    watched(counting(1, 0))
    bridge.close()
    assert "replicate_magic" not in names()
    assert watched(counting(1, 0))[1] == "done"


def test_close_without_a_loop_starts_none():
    bridge.close()
    assert "replicate_magic" not in names()


def test_close_cancels_what_runs_and_frees_its_caller():
    slow = Slow(clean_up_s=0.1)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        caller = pool.submit(watched, slow)
        assert slow.began.wait(5)
        bridge.close()
        with pytest.raises(concurrent.futures.CancelledError):
            caller.result(5)
    assert slow.ended.is_set()


def test_close_calls_what_was_left_for_it():
    closed = threading.Event()

    async def closer():
        closed.set()

    bridge.the_loop().at_close(closer)
    bridge.close()
    assert closed.is_set()


def test_a_closer_that_fails_is_told_and_leaves_no_thread():
    async def closer():
        raise OSError("cannot be closed")

    bridge.the_loop().at_close(closer)
    with pytest.raises(OSError, match="cannot be closed"):
        bridge.close()
    assert "replicate_magic" not in names()


FORKING = """
import os, sys, threading
from replicate_magic import bridge
from replicate_magic.bridge import Call, entered

async def answer(publish):
    return os.getpid()

def ask():
    call = Call(answer)
    with entered(call):
        list(call.snapshots())
        return call.result()

assert ask() == os.getpid()
if os.fork() == 0:
    assert ask() == os.getpid()
    bridge.close()
    assert threading.active_count() == 1, threading.enumerate()
    os._exit(0)
assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
assert ask() == os.getpid()
"""

FORKING_RUN = """
import os
import replicate_magic as rm

assert rm.run("acme/poet", prompt="x").ok
if os.fork() == 0:
    try:
        os._exit(0 if rm.run("acme/poet", prompt="x").ok else 1)
    finally:
        os._exit(2)
assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
assert rm.run("acme/poet", prompt="x").ok
"""


def python(code, **environment):
    return subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@posix_only
def test_a_forked_child_has_a_loop_of_its_own():
    ended = python(FORKING)
    assert (ended.returncode, ended.stderr) == (0, "")


@posix_only
def test_a_forked_child_can_run_a_prediction():
    with Replicate() as server:
        ended = python(FORKING_RUN, REPLICATE_BASE_URL=server.url, REPLICATE_API_TOKEN=server.token)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_interpreter_ends_while_a_call_runs():
    code = """
import asyncio
from replicate_magic.bridge import Call

async def for_ever(publish):
    try:
        await asyncio.Event().wait()
    finally:
        print("cleaned up", flush=True)

Call(for_ever).start()
"""
    ended = python(code)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "cleaned up\n", "")


def test_the_interpreter_ends_while_a_detached_call_runs_and_its_end_is_told():
    code = """
import asyncio, threading
from replicate_magic.bridge import Call

began = threading.Event()

async def for_ever(publish):
    began.set()
    try:
        await asyncio.Event().wait()
    finally:
        print("cleaned up", flush=True)

Call(for_ever).detach(print, lambda: print("told", flush=True))
began.wait()
"""
    ended = python(code)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "cleaned up\ntold\n", "")
