"""A run that was begun: its newest snapshot, its end, how to wait for it and how to end it."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
from dataclasses import replace

import pytest

from replicate_magic import bridge, errors
from replicate_magic.bridge import Call
from replicate_magic.job import Ended, Job, check
from replicate_magic.prediction import Prediction

NEW = Prediction(model="a/b")
RUNNING = replace(NEW, raw={"id": "abc", "status": "processing"})
DONE = replace(NEW, raw={"id": "abc", "status": "succeeded", "output": "Hey"})
FAILED = replace(NEW, raw={"id": "abc", "status": "failed", "error": "out of order"})
CANCELED = replace(NEW, raw={"id": "abc", "status": "canceled"})


@pytest.fixture(autouse=True)
def _no_loop_is_left():
    yield
    bridge.close()


class Work:
    """What a job does: it publishes snapshots, and ends when it is let go on.

    Args:
        end: what it returns, or the error that it raises.
        told: the snapshots.
        at_cancel: what it returns when it is cancelled; it is cancelled where there is nothing.
    """

    def __init__(self, end=DONE, *told, at_cancel=None):
        self._end, self._told, self._at_cancel = end, told, at_cancel
        self._release = None
        self.began = threading.Event()

    async def __call__(self, publish):
        self._release = asyncio.Event()
        for snapshot in self._told:
            publish(snapshot)
        self.began.set()
        try:
            await self._release.wait()
        except asyncio.CancelledError:
            if self._at_cancel is None:
                raise
            return Ended(self._at_cancel)
        if isinstance(self._end, Exception):
            raise self._end
        return self._end if isinstance(self._end, Ended) else Ended(self._end)

    def go_on(self):
        bridge.the_loop().loop.call_soon_threadsafe(self._release.set)


def begun(work):
    """A job that has published all that it will."""
    job = Job(Call(work), "a/b")
    job.call.start()
    assert work.began.wait(10)
    return job


def over(end, *told):
    """A job that has come to its end."""
    work = Work(end, *told)
    job = begun(work)
    work.go_on()
    assert job.call.wait(10)
    return job


# -- its snapshot -------------------------------------------------------------------------------


def test_before_anything_is_known_the_prediction_is_new_and_has_its_model():
    job = Job(Call(Work()), "a/b")

    assert (job.prediction.model, job.prediction.id) == ("a/b", "")
    assert job.prediction.status == "starting"
    assert not job.done


def test_the_prediction_is_the_newest_snapshot():
    assert begun(Work(DONE, NEW, RUNNING)).prediction is RUNNING


def test_it_is_done_once_it_has_ended():
    work = Work(DONE, RUNNING)
    job = begun(work)
    assert not job.done
    work.go_on()
    assert job.wait(10) is DONE
    assert job.done


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ([], "<Job of a/b: starting, no id yet>"),
        ([RUNNING], "<Job of a/b: processing, abc>"),
        ([RUNNING, DONE], "<Job of a/b: succeeded, abc>"),
    ],
)
def test_it_is_shown_with_its_state_and_none_of_its_data(told, shown):
    assert repr(begun(Work(DONE, *told))) == shown


# -- waiting ------------------------------------------------------------------------------------


def test_waiting_gives_the_prediction_each_time():
    job = over(DONE, RUNNING)

    assert job.wait() is DONE
    assert job.wait(0) is DONE


def test_waiting_ends_with_the_prediction():
    work = Work(DONE, RUNNING)
    job = begun(work)
    threading.Timer(0.3, work.go_on).start()
    began_s = time.monotonic()

    assert job.wait() is DONE
    assert 0.2 < time.monotonic() - began_s < 10


@pytest.mark.parametrize("timeout", [0, 0.3])
def test_a_wait_that_is_too_short_says_so_and_the_job_goes_on(timeout):
    work = Work(DONE, RUNNING)
    job = begun(work)
    began_s = time.monotonic()
    with pytest.raises(TimeoutError, match=r"<Job of a/b: processing, abc> has not ended yet"):
        job.wait(timeout)

    assert timeout <= time.monotonic() - began_s < timeout + 5
    assert not job.done
    work.go_on()
    assert job.wait(10) is DONE


def test_a_prediction_that_failed_is_raised_each_time():
    job = over(FAILED, RUNNING)
    for _ in range(2):
        with pytest.raises(errors.PredictionFailed, match="a/b failed: out of order") as caught:
            job.wait()
        assert caught.value.prediction is FAILED


def test_a_deadline_that_passed_is_raised_as_such():
    job = over(Ended(CANCELED, "deadline"), RUNNING)
    with pytest.raises(errors.PredictionTimeout, match="its time was over") as caught:
        job.wait()

    assert caught.value.prediction is CANCELED


def test_a_prediction_that_succeeded_although_it_was_told_to_stop_is_given():
    assert check(Ended(DONE, "cancel")) is DONE


def interrupt():
    signal.raise_signal(signal.SIGINT)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_an_interrupt_ends_the_waiting_and_not_the_job():
    work = Work(DONE, RUNNING)
    job = begun(work)
    threading.Timer(0.3, interrupt).start()
    with pytest.raises(KeyboardInterrupt) as caught:
        job.wait()

    told = " ".join("\n".join(caught.value._render_traceback_()).split())
    assert "a/b (abc) goes on in the background; the job's cancel() ends it." in told
    assert not job.done
    work.go_on()
    assert job.wait(10) is DONE


# -- ending it ----------------------------------------------------------------------------------


def test_cancelling_before_there_is_an_id_ends_it():
    job = begun(Work(DONE, NEW))
    job.cancel()
    with pytest.raises(errors.PredictionFailed, match="was canceled before it had an id") as caught:
        job.wait(10)

    assert caught.value.prediction is NEW
    assert job.ended() == Ended(NEW, "cancel")


def test_cancelling_before_it_has_begun_leaves_it_unbegun():
    work = Work()
    job = Job(Call(work), "a/b")
    job.cancel()
    job.call.start()
    with pytest.raises(errors.PredictionFailed, match="was canceled before it had an id"):
        job.wait(10)

    assert not work.began.is_set()


def test_cancelling_what_is_then_seen_canceled_says_so():
    job = begun(Work(DONE, RUNNING, at_cancel=CANCELED))
    job.cancel()
    with pytest.raises(errors.PredictionFailed, match="a/b was canceled") as caught:
        job.wait(10)

    assert caught.value.prediction is CANCELED


def test_cancelling_what_goes_on_says_that_it_may_be_billed():
    job = begun(Work(DONE, RUNNING))
    job.cancel()
    with pytest.raises(errors.PredictionFailed, match="could not be canceled") as caught:
        job.wait(10)

    assert "It may still be running" in str(caught.value)
    assert caught.value.prediction is RUNNING


def test_cancelling_may_be_done_at_any_time_and_often():
    job = over(DONE, RUNNING)
    for _ in range(3):
        job.cancel()
    bridge.close()
    job.cancel()

    assert job.wait(10) is DONE


# -- how it ended -------------------------------------------------------------------------------


def test_an_error_carries_the_prediction_it_is_about():
    job = over(errors.ConnectionFailed("gone"), RUNNING)
    with pytest.raises(errors.ConnectionFailed, match="gone") as caught:
        job.wait()

    assert caught.value.prediction is RUNNING
    assert caught.value.__notes__ == ["Prediction abc"]


def test_an_error_that_is_raised_again_names_the_prediction_once():
    job = over(errors.ConnectionFailed("gone"), RUNNING)
    for _ in range(3):
        with pytest.raises(errors.ConnectionFailed) as caught:
            job.wait()

    assert caught.value.__notes__ == ["Prediction abc"]


def test_an_error_before_there_is_an_id_carries_none():
    job = over(errors.ConnectionFailed("gone"), NEW)
    with pytest.raises(errors.ConnectionFailed) as caught:
        job.wait()

    assert not hasattr(caught.value, "prediction")


def test_an_error_that_is_not_ours_is_raised_as_it_is():
    job = over(ZeroDivisionError("ours to mend"), RUNNING)
    with pytest.raises(ZeroDivisionError, match="ours to mend"):
        job.wait()


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (DONE, ""),
        (FAILED, "out of order"),
        (CANCELED, ""),
        (errors.ConnectionFailed("gone"), "gone"),
        (
            Ended(CANCELED, "deadline"),
            "Was canceled: its time was over. --timeout (in Python timeout=) gives it more.",
        ),
    ],
    ids=["succeeded", "failed", "canceled", "error", "deadline"],
)
def test_why_it_went_wrong_is_told_in_short(end, why):
    assert over(end, RUNNING).why() == why


# -- with nobody waiting ------------------------------------------------------------------------


class Watcher:
    """Whoever is told of a job; its `end` takes until it is let go on, if it is to be slow."""

    def __init__(self, *, slow=False):
        self.seen, self.threads, self.ended = [], set(), []
        self.was_shown, self.was_told = threading.Event(), threading.Event()
        self._go_on = threading.Event()
        if not slow:
            self._go_on.set()

    def update(self, prediction):
        self.seen.append(prediction)
        self.threads.add(threading.current_thread().name)
        self.was_shown.set()

    def end(self, job):
        self.ended.append((job, threading.current_thread().name))
        self.was_told.set()
        assert self._go_on.wait(10)

    def go_on(self):
        self._go_on.set()


def detached(work, watcher):
    job = Job(Call(work), "a/b")
    job.detach(watcher.update, watcher.end)
    assert work.began.wait(10)
    return job


def test_a_job_is_detached_once_nobody_waits():
    work = Work(DONE)
    assert not Job(Call(work), "a/b").detached

    assert detached(work, Watcher()).detached


def test_a_watcher_is_told_on_the_loops_thread():
    work, watcher = Work(DONE, RUNNING), Watcher()
    job = detached(work, watcher)
    assert watcher.was_shown.wait(10)
    work.go_on()
    job.wait(10)

    assert watcher.seen == [RUNNING]
    assert watcher.threads == {"replicate_magic"}


def test_a_watcher_is_told_the_end_once_on_another_thread():
    work, watcher = Work(DONE, RUNNING), Watcher()
    job = detached(work, watcher)
    work.go_on()
    job.wait(10)

    ((told, thread),) = watcher.ended
    assert told is job
    assert thread not in {"replicate_magic", threading.current_thread().name}


def test_waiting_lasts_until_the_watcher_has_seen_the_end():
    work, watcher = Work(DONE, RUNNING), Watcher(slow=True)
    job = detached(work, watcher)
    work.go_on()
    assert watcher.was_told.wait(10)

    assert job.done
    assert not job.call.left(0)
    with pytest.raises(TimeoutError):
        job.wait(0.3)
    watcher.go_on()
    assert job.wait(10) is DONE
    assert job.call.left(0)


def test_a_watcher_is_told_of_a_job_that_was_cancelled():
    watcher = Watcher()
    job = detached(Work(DONE, RUNNING), watcher)
    job.cancel()

    assert job.call.left(10)
    assert [told.ended() for told, _ in watcher.ended] == [Ended(RUNNING, "cancel")]


def test_a_watcher_is_told_of_a_job_that_was_cancelled_before_it_began():
    watcher = Watcher()
    job = Job(Call(Work()), "a/b")
    job.cancel()
    job.detach(watcher.update, watcher.end)

    assert job.call.left(10)
    assert (watcher.seen, len(watcher.ended)) == ([], 1)


def test_a_watcher_is_told_of_a_job_that_could_not_go_on():
    work, watcher = Work(errors.ConnectionFailed("gone"), RUNNING), Watcher()
    job = detached(work, watcher)
    work.go_on()

    assert job.call.left(10)
    assert [told.why() for told, _ in watcher.ended] == ["gone"]


def test_who_is_not_told_has_nothing_to_wait_for():
    job = Job(Call(Work()), "a/b")

    assert job.call.left(0)
