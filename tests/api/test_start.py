"""Predictions that run in the background, against a Replicate that is our own."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from replicate_server import answer, become, hold, late, log, reset, say, web_page

from replicate_magic import arun, errors, run, session, start


def test_a_job_gives_what_run_gives(replicate):
    prediction = start("acme/poet", prompt="x").wait(30)

    assert prediction.ok
    assert prediction.text == "Hello world"
    assert prediction.raw == replicate.predictions[0]
    assert replicate.seen("create")[0].json == {"input": {"prompt": "x"}}
    assert not replicate.seen("cancel")


@pytest.mark.slow
def test_starting_does_not_wait_for_the_answer(replicate):
    replicate.fails("create", late(1.5))
    began_s = time.monotonic()
    job = start("acme/poet", prompt="x")

    assert time.monotonic() - began_s < 1
    assert not job.done
    assert job.wait(30).ok


def test_what_has_come_so_far_is_seen_while_it_runs(replicate):
    replicate.tells(say("Once"), log("1 of 2\n"), hold(), say(" upon"), become("succeeded"))
    job = start("acme/poet", prompt="x")
    replicate.until(lambda: (job.prediction.text, job.prediction.logs) == ("Once", "1 of 2\n"))

    assert job.prediction.id == replicate.predictions[0]["id"]
    assert not job.done
    replicate.release()
    assert job.wait(30).text == "Once upon"


def test_a_wait_that_is_too_short_leaves_it_running(replicate):
    replicate.tells(say("Once"), hold(), become("succeeded"))
    job = start("acme/poet", prompt="x")
    with pytest.raises(TimeoutError, match="acme/poet"):
        job.wait(0.2)

    replicate.release()
    assert job.wait(30).ok
    assert not replicate.seen("cancel")


def test_cancelling_cancels_once_and_is_raised_at_the_wait(replicate):
    replicate.tells(say("Once"), hold())
    job = start("acme/poet", prompt="x")
    replicate.until(lambda: job.prediction.text == "Once")
    job.cancel()
    with pytest.raises(errors.PredictionFailed, match="acme/poet was canceled") as caught:
        job.wait(30)

    assert caught.value.prediction.status == "canceled"
    assert caught.value.prediction.text == "Once"
    assert len(replicate.seen("cancel")) == 1
    assert replicate.predictions[0]["status"] == "canceled"


def test_cancelling_twice_cancels_once(replicate):
    replicate.tells(say("Once"), hold())
    job = start("acme/poet", prompt="x")
    replicate.until(lambda: job.prediction.text == "Once")
    job.cancel()
    job.cancel()
    with pytest.raises(errors.PredictionFailed):
        job.wait(30)

    assert len(replicate.seen("cancel")) == 1


def test_cancelling_while_it_is_created_cancels_as_soon_as_its_id_is_known(replicate):
    replicate.tells(hold())
    replicate.fails("create", late(0.5))
    job = start("acme/poet", prompt="x")
    replicate.wait_for("create")
    job.cancel()
    with pytest.raises(errors.PredictionFailed):
        job.wait(30)

    replicate.wait_for("cancel")
    replicate.until(lambda: replicate.predictions[0]["status"] == "canceled")


def test_cancelling_what_has_ended_changes_nothing(replicate):
    job = start("acme/poet", prompt="x")
    assert job.wait(30).ok
    job.cancel()

    assert job.wait(30).ok
    assert not replicate.seen("cancel")


@pytest.mark.parametrize("status", ["failed", "canceled", "aborted"])
def test_a_bad_end_is_raised_at_the_wait_and_not_before(replicate, status):
    replicate.tells(say("partial"), become(status, error="why"))
    job = start("acme/poet", prompt="x")
    replicate.until(lambda: job.done)
    assert job.prediction.status == status
    with pytest.raises(errors.PredictionFailed, match="acme/poet") as caught:
        job.wait(30)

    assert caught.value.prediction.status == status
    assert caught.value.prediction.text == "partial"


@pytest.mark.slow
def test_a_deadline_is_raised_at_the_wait(replicate):
    replicate.tells(say("slow"), hold())
    job = start("acme/poet", prompt="x", timeout=0.8)
    with pytest.raises(errors.PredictionTimeout) as caught:
        job.wait(30)

    assert caught.value.prediction.status == "canceled"
    assert len(replicate.seen("cancel")) == 1


def test_a_refused_create_is_raised_at_the_wait(replicate):
    replicate.fails("create", always=answer(422, {"title": "No", "detail": "- top: no"}))
    job = start("acme/poet", prompt="x")
    with pytest.raises(errors.InvalidInput, match="acme/poet"):
        job.wait(30)

    assert job.prediction.id == ""


def test_an_input_that_the_schema_refuses_is_raised_at_the_wait(replicate):
    job = start("acme/poet", promt="x")
    with pytest.raises(errors.InputError, match="prompt"):
        job.wait(30)

    assert not replicate.seen("create")


def test_an_error_after_the_create_carries_the_prediction(replicate):
    replicate.tells(say("Once"), hold())
    replicate.fails("get", always=answer(401, {"title": "Unauthenticated", "detail": "No."}))
    job = start("acme/poet", prompt="x", stream=False)
    with pytest.raises(errors.Unauthorized) as caught:
        job.wait(30)

    assert caught.value.prediction.id == replicate.predictions[0]["id"]


def test_what_makes_no_sense_is_raised_at_once(replicate):
    with pytest.raises(errors.InputError, match="prompt is given twice"):
        start("acme/poet", input={"prompt": "x"}, prompt="y")
    with pytest.raises(errors.CellError):
        start("no model", prompt="x")

    assert not replicate.requests


def test_where_there_is_nowhere_to_run_it_that_is_raised_at_once(monkeypatch):
    monkeypatch.delenv("REPLICATE_BASE_URL", raising=False)
    monkeypatch.delenv("REPLICATE_API_TOKEN", raising=False)
    with pytest.raises(errors.Unauthorized, match="acme/poet"):
        start("acme/poet", prompt="x")


def test_several_run_at_once_and_each_gives_its_own(replicate):
    replicate.tells_in_turn(*((say(f"{n}"), hold(), become("succeeded")) for n in range(5)))
    jobs = [start("acme/poet", prompt=f"{n}") for n in range(5)]
    replicate.until(lambda: all(job.prediction.text for job in jobs))
    assert not any(job.done for job in jobs)
    replicate.release()

    predictions = [job.wait(30) for job in jobs]
    assert {prediction.text for prediction in predictions} == set("01234")
    assert [prediction.input["prompt"] for prediction in predictions] == list("01234")
    assert len({prediction.id for prediction in predictions}) == 5


def test_one_of_several_may_be_cancelled(replicate):
    replicate.tells(say("Once"), hold(), become("succeeded"))
    first, second = start("acme/poet", prompt="1"), start("acme/poet", prompt="2")
    replicate.until(lambda: first.prediction.text == second.prediction.text == "Once")
    first.cancel()
    with pytest.raises(errors.PredictionFailed):
        first.wait(30)
    assert not second.done
    replicate.release()

    assert second.wait(30).ok
    assert len(replicate.seen("cancel")) == 1


def test_another_prediction_may_be_run_meanwhile(replicate):
    replicate.tells_in_turn((say("Once"), hold(), become("succeeded")))
    job = start("acme/poet", prompt="1")
    replicate.until(lambda: job.prediction.text == "Once")

    assert run("acme/poet", prompt="2").text == "Hello world"
    assert not job.done
    replicate.release()
    assert job.wait(30).text == "Once"


def test_a_job_may_be_waited_for_on_several_threads(replicate):
    replicate.tells(say("Once"), hold(), become("succeeded"))
    job, seen = start("acme/poet", prompt="x"), []
    waiting = [threading.Thread(target=lambda: seen.append(job.wait(30))) for _ in range(3)]
    for thread in waiting:
        thread.start()
    replicate.release()
    for thread in waiting:
        thread.join(30)

    assert [prediction.text for prediction in seen] == ["Once"] * 3


def test_closing_cancels_what_runs_in_the_background(replicate):
    replicate.tells(say("Once"), hold())
    job = start("acme/poet", prompt="x")
    replicate.until(lambda: job.prediction.text == "Once")
    session.close()

    assert job.done
    assert len(replicate.seen("cancel")) == 1
    assert replicate.predictions[0]["status"] == "canceled"
    with pytest.raises(errors.PredictionFailed):
        job.wait(30)


def test_a_stream_that_breaks_off_is_followed_by_polling(replicate):
    replicate.fails("stream", always=reset())
    job = start("acme/poet", prompt="x")

    assert job.wait(30).text == "Hello world"


def test_without_a_stream_none_is_read(replicate):
    assert start("acme/poet", prompt="x", stream=False).wait(30).ok
    assert not replicate.seen("stream")


def test_an_answer_may_be_held_back_by_replicate(replicate):
    assert start("acme/poet", prompt="x", wait=10).wait(30).ok
    assert replicate.seen("create")[0].headers["prefer"] == "wait=10"
    with pytest.raises(errors.CellError):
        start("acme/poet", prompt="x", wait=600)


@pytest.mark.slow
def test_an_awaited_run_that_is_lost_from_sight_carries_its_prediction(replicate):
    replicate.tells(hold(), become("succeeded"), stream=False)
    replicate.fails("get", always=web_page())
    with pytest.raises(errors.UnexpectedAnswer) as caught:
        asyncio.run(arun("acme/poet", prompt="x"))

    assert caught.value.prediction.id == replicate.predictions[0]["id"]
