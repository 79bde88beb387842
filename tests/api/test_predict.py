"""One prediction from its creation to its end, against a Replicate that lies and tears."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from datetime import timedelta
from pathlib import Path

import certifi
import pytest
from replicate_server import (
    OLDER,
    VERSION,
    Model,
    answer,
    become,
    changed,
    cut,
    done_but,
    hold,
    last_words,
    late,
    log,
    on_stream,
    openapi,
    problem,
    redirect,
    reset,
    say,
    sse,
    stream,
    stream_of,
    torn,
    web_page,
)

from replicate_magic import arun, errors, run, session

CARD = {"title": "Insufficient credit", "detail": "You have insufficient credit.", "status": 402}
THROTTLED = {"detail": "Request was throttled. Your rate limit resets in ~0.3s.", "status": 429}
IMAGE = {"type": "string", "format": "uri"}


def routes(server):
    return [request.route for request in server.requests]


# -- the way it should be -----------------------------------------------------------------------


def test_a_streamed_prediction_has_its_text_metrics_and_times(replicate):
    prediction = run("acme/poet", prompt="Say hello")
    assert prediction.text == "Hello world"
    assert prediction.status == "succeeded"
    assert prediction.metrics == {"predict_time": 0.5, "total_time": 0.75}
    assert prediction.input == {"prompt": "Say hello"}
    assert prediction.raw == replicate.predictions[0]
    assert prediction.created_after_s < prediction.first_output_after_s
    assert prediction.first_output_after_s < prediction.finished_after_s
    assert len(replicate.seen("create")) == 1
    assert not replicate.seen("cancel")


def test_chunks_are_seen_while_the_prediction_runs(replicate, begin):
    replicate.tells(say("Once"), hold(), say(" upon"), become("succeeded"))
    running = begin("acme/poet", prompt="x")
    replicate.until(lambda: running.shows("Once"))
    assert running.snapshots[-1].status != "succeeded"
    replicate.release()
    assert running.prediction.text == "Once upon"


def test_without_a_stream_the_answer_is_polled(replicate, begin):
    replicate.tells(say("Once"), hold(), say(" upon"), become("succeeded"))
    running = begin("acme/poet", {"stream": False}, prompt="x")
    replicate.until(lambda: running.shows("Once"))
    replicate.release()
    assert running.prediction.text == "Once upon"
    assert not replicate.seen("stream")


def test_logs_of_the_stream_are_seen_while_it_runs(replicate, begin):
    replicate.tells(log("1 of 2\n"), hold(), log("2 of 2\n"), become("succeeded"))
    running = begin("acme/poet", prompt="x")
    replicate.until(lambda: running.snapshots and running.snapshots[-1].logs == "1 of 2\n")
    replicate.release()
    assert running.prediction.logs == "1 of 2\n2 of 2\n"


def test_a_line_separator_in_a_chunk_is_kept(replicate, begin):
    replicate.tells(say("one\u2028two\x0cthree\x85four"), hold(), become("succeeded"))
    running = begin("acme/poet", prompt="x")
    replicate.until(lambda: running.shows("one\u2028two\x0cthree\x85four"))
    replicate.release()
    assert running.prediction.text == "one\u2028two\x0cthree\x85four"


def test_the_final_output_wins_over_the_streamed_text(replicate):
    replicate.tells(say("drat"), become("succeeded", output=["draft, ", "corrected"]))
    assert run("acme/poet", prompt="x").text == "draft, corrected"


def test_strings_that_are_neither_streamed_nor_declared_one_text_stay_json(replicate):
    replicate.models["acme/list"] = Model(official=True, schema=openapi())
    replicate.tells(become("succeeded", output=["a", "b"]))
    assert run("acme/list", prompt="x").text == '["a", "b"]'


def test_strings_that_were_streamed_are_one_text_without_a_schema(replicate, begin):
    replicate.models["acme/list"] = Model(official=True, schema=openapi())
    replicate.tells(say("a"), say("b"), hold(), become("succeeded"))
    running = begin("acme/list", prompt="x")
    replicate.until(lambda: running.shows("ab"))
    replicate.release()
    assert running.prediction.text == "ab"


# -- routes -------------------------------------------------------------------------------------


def test_an_official_model_is_created_at_its_own_route(replicate):
    assert run("acme/poet", prompt="x").version == "hidden"
    (create,) = replicate.seen("create")
    assert create.path == "/v1/models/acme/poet/predictions"
    assert create.json == {"input": {"prompt": "x"}}


def test_a_community_model_runs_its_latest_version_and_the_prediction_says_which(replicate):
    assert run("acme/sketch", prompt="x").version == VERSION
    (create,) = replicate.seen("create")
    assert create.path == "/v1/predictions"
    assert create.json == {"version": VERSION, "input": {"prompt": "x"}}


def test_a_version_that_is_named_is_the_one_that_runs(replicate):
    assert run(f"acme/sketch:{OLDER}", prompt="x").version == OLDER
    (create,) = replicate.seen("create")
    assert create.path == "/v1/predictions"


def test_a_deployment_is_created_at_its_own_route(replicate):
    assert run("deployment:acme/prod", prompt="x").ok
    (create,) = replicate.seen("create")
    assert create.path == "/v1/deployments/acme/prod/predictions"


def test_a_model_not_told_to_be_official_falls_back_to_its_version_after_a_404(replicate):
    replicate.models["acme/untold"] = Model(official=False, told=False)
    assert run("acme/untold", prompt="x").version == VERSION
    paths = [request.path for request in replicate.seen("create")]
    assert paths == ["/v1/models/acme/untold/predictions", "/v1/predictions"]
    assert len(replicate.predictions) == 1


def test_a_community_model_without_a_version_is_not_sent(replicate):
    replicate.models["acme/empty"] = Model(official=False, versions=())
    with pytest.raises(errors.NotFound, match="acme/empty has no version"):
        run("acme/empty", prompt="x")
    assert not replicate.seen("create")


@pytest.mark.parametrize("odd", ["x", 7, ["x"], {"id": None, "openapi_schema": ["x"]}, None])
def test_a_model_described_in_an_odd_way_runs_all_the_same(replicate, odd):
    replicate.fails("model", changed(latest_version=odd))
    assert run("acme/poet", prompt="x").ok


@pytest.mark.parametrize("odd", ["x", 7, {"model": 7, "version": ["x"]}, None])
def test_a_deployment_described_in_an_odd_way_runs_all_the_same(replicate, odd):
    replicate.fails("deployment", changed(current_release=odd))
    assert run("deployment:acme/prod", prompt="x").ok


# -- creating -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "throttled",
    [
        answer(429, b"", retry_after="1"),
        answer(429, {"detail": "Request was throttled.", "retry_after": 0.3}),
        answer(429, THROTTLED),
    ],
    ids=["header", "body", "text"],
)
def test_a_throttled_create_waits_as_told_and_is_created_once(replicate, begin, throttled):
    replicate.fails("create", throttled)
    running = begin("acme/poet", prompt="x")
    assert running.prediction.ok
    first, second = replicate.seen("create")
    assert second.at_s - first.at_s >= 0.3
    assert running.retries == ["rate limited"]
    assert running.prediction.retries == 1
    assert len(replicate.predictions) == 1


@pytest.mark.slow
def test_each_try_is_told_by_its_number(replicate, begin):
    replicate.tells(hold(), become("succeeded"))
    replicate.fails("model", reset(), answer(503))
    replicate.fails("create", *[answer(429, {"detail": "Slow down.", "retry_after": 0.3})] * 2)
    replicate.fails("get", reset())
    running = begin("acme/poet", {"stream": False}, prompt="x")
    replicate.wait_for("get", 2)
    replicate.release()
    assert running.prediction.retries == 5
    told = dict.fromkeys(snapshot.retry for snapshot in running.snapshots if snapshot.retry)
    assert [retry.attempt for retry in told] == [2, 3, 2, 3, 2]


def test_a_wait_that_would_pass_the_deadline_is_not_begun(replicate):
    replicate.fails("create", answer(429, {"detail": "Throttled.", "retry_after": 30}))
    began_s = time.monotonic()
    with pytest.raises(errors.RateLimited, match="--timeout"):
        run("acme/poet", prompt="x", timeout=5)
    assert time.monotonic() - began_s < 3
    assert len(replicate.seen("create")) == 1


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"title": "Unauthenticated", "detail": "No."}, errors.Unauthorized),
        (402, CARD, errors.InsufficientCredit),
        (404, {"detail": "The requested resource could not be found."}, errors.NotFound),
        (422, {"title": "Input validation failed", "detail": "- top: no"}, errors.InvalidInput),
    ],
)
def test_a_refused_create_raises_at_once(replicate, status, body, kind):
    replicate.fails("create", always=answer(status, body))
    with pytest.raises(kind) as caught:
        run("acme/sketch", prompt="x")
    assert caught.value.status == status
    assert "acme/sketch" in str(caught.value)
    assert routes(replicate) == ["model", "create"]


@pytest.mark.slow
def test_a_refused_connection_is_tried_again_then_raised(replicate, begin):
    replicate.fails("model", last_words())
    running = begin("acme/poet", prompt="x")
    with pytest.raises(errors.ConnectionFailed, match="Nothing was sent"):
        _ = running.ended
    assert len([one for one in running.snapshots if one.retry]) >= 3
    assert not replicate.seen("create")


def test_a_connection_that_comes_back_creates_once(replicate, begin):
    replicate.fails("model", last_words())
    running = begin("acme/poet", prompt="x")
    replicate.until(lambda: running.retries)
    replicate.reopen()
    assert running.prediction.ok
    assert len(replicate.predictions) == 1


@pytest.mark.slow
def test_nothing_at_the_address_says_so(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    monkeypatch.setenv("REPLICATE_BASE_URL", f"http://127.0.0.1:{port}")
    with pytest.raises(errors.ConnectionFailed, match=f"127.0.0.1:{port}.*Nothing was sent"):
        run("acme/poet", prompt="x")
    session.close()


BROKEN = {
    "reset": torn(),
    "cut_body": torn(after_bytes=40),
    "cut_json": cut(40),
    "502_page": done_but(502, "<html>Bad gateway</html>"),
    "500_problem": done_but(500, {"detail": "Internal server error"}),
    "a_page": done_but(200, "<html>Sign in</html>"),
    "json_list": done_but(201, [1]),
    "odd_urls": changed(urls="x"),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_a_create_that_broke_off_is_looked_up_and_adopted(replicate, broken):
    replicate.fails("create", broken)
    prediction = run("acme/poet", prompt="x")
    assert prediction.text == "Hello world"
    assert prediction.id == replicate.predictions[0]["id"]
    assert len(replicate.seen("create")) == 1


def test_a_prediction_under_an_internal_name_is_adopted_too(replicate):
    replicate.models["acme/poet"] = Model(official=True, internal="replicate-internal/poet-x1")
    replicate.fails("create", torn())
    assert run("acme/poet", prompt="x").ok


@pytest.mark.parametrize(
    "ahead", [timedelta(hours=-3), timedelta(hours=3)], ids=["behind", "ahead"]
)
def test_the_look_up_goes_by_the_servers_clock(replicate, ahead):
    replicate.ahead = ahead
    replicate.remember(
        model="acme/poet",
        input={"prompt": "x"},
        created_at=f"{(replicate.time() - timedelta(minutes=10)).isoformat()}",
    )
    replicate.fails("create", torn())
    assert run("acme/poet", prompt="x").id == replicate.predictions[-1]["id"]


def test_the_look_up_reads_further_pages(replicate):
    replicate.page_size = 2
    replicate.fails("create", torn())
    later = {"model": "acme/poet", "created_at": f"{(replicate.time() + timedelta(5)).isoformat()}"}
    for number in range(5):
        replicate.remember(input={"prompt": f"other {number}"}, **later)
    prediction = run("acme/poet", prompt="x")
    assert prediction.ok
    assert len(replicate.seen("list")) == 3


def test_predictions_of_this_session_are_no_candidates(replicate):
    first = run("acme/poet", prompt="x")
    replicate.fails("create", torn())
    second = run("acme/poet", prompt="x")
    assert second.id != first.id
    assert len(replicate.predictions) == 2


def test_two_candidates_are_listed_and_none_is_chosen(replicate):
    twin = replicate.remember(model="acme/poet", input={"prompt": "x"})
    replicate.fails("create", torn())
    with pytest.raises(errors.CreateUnclear) as caught:
        run("acme/poet", prompt="x")
    assert {raw["id"] for raw in caught.value.candidates} == {
        raw["id"] for raw in replicate.predictions
    }
    assert twin["id"] in str(caught.value)
    assert len(replicate.seen("create")) == 1


@pytest.mark.slow
def test_a_create_that_left_no_trace_is_unclear_and_not_sent_again(replicate, begin):
    replicate.fails("create", reset(), answer(503, "<html>Later</html>"))
    for running in [begin("acme/poet", prompt="x"), begin("acme/poet", prompt="y")]:
        with pytest.raises(errors.CreateUnclear, match="No recent prediction") as caught:
            _ = running.ended
        assert caught.value.candidates == ()
    assert len(replicate.seen("create")) == 2
    assert not replicate.predictions


@pytest.mark.slow
@pytest.mark.parametrize("broken", [reset(), answer(502, "<html>")], ids=["reset", "502"])
def test_a_look_up_that_fails_is_tried_again(replicate, broken):
    replicate.fails("create", torn())
    replicate.fails("list", broken)
    assert run("acme/poet", prompt="x").id == replicate.predictions[0]["id"]


@pytest.mark.slow
def test_a_look_up_that_goes_on_failing_says_so(replicate):
    replicate.fails("create", torn())
    replicate.fails("list", always=answer(500, {"detail": "Down."}))
    with pytest.raises(errors.CreateUnclear, match="Looking for it failed as well"):
        run("acme/poet", prompt="x")
    assert len(replicate.seen("create")) == 1


# -- getting ------------------------------------------------------------------------------------


FLAKY = {
    "502": answer(502, "<html>Bad gateway</html>"),
    "reset": reset(),
    "404": answer(404, {"detail": "The requested resource could not be found."}),
    "page": web_page(),
    "cut_json": cut(30),
    "redirect": redirect("http://127.0.0.1:9/elsewhere"),
}


def once(faults):
    """To each run its own fault, once: that of its prompt."""
    left = dict(faults)

    async def fault(exchange):
        key = exchange.request.path.rpartition("/")[2]
        [raw] = [one for one in exchange.server.predictions if one["id"] == key]
        if own := left.pop(raw["input"]["prompt"], None):
            await own(exchange)
        else:
            await exchange.send(await exchange.honest())

    return fault


def test_a_get_that_fails_is_tried_again(replicate, begin):
    replicate.fails("get", always=once(FLAKY))
    cells = {name: begin("acme/poet", {"stream": False}, prompt=name) for name in FLAKY}

    for name, cell in cells.items():
        assert cell.prediction.ok, name
        assert cell.prediction.retries == 1, name
        assert cell.retries, name
    assert len(replicate.seen("create")) == len(FLAKY)


def test_a_get_that_is_refused_for_now_is_tried_again(replicate, begin):
    replicate.fails("get", answer(429, THROTTLED))
    running = begin("acme/poet", {"stream": False}, prompt="x")
    assert running.prediction.ok
    assert running.prediction.retries == 1
    assert running.retries
    assert len(replicate.seen("create")) == 1


@pytest.mark.slow
def test_what_was_tried_again_is_no_longer_told_once_it_has_worked(replicate, begin):
    replicate.tells(say("a"), hold(), become("succeeded"))
    replicate.fails("get", None, None, None, reset())
    running = begin("acme/poet", {"stream": False}, prompt="x")
    replicate.until(lambda: running.retries)
    replicate.until(lambda: running.snapshots[-1].retry is None)
    replicate.release()
    assert running.prediction.ok


def test_a_404_after_the_create_is_passed_over_although_the_create_took_long(replicate, begin):
    replicate.fails("get", answer(404, {"detail": "The requested resource could not be found."}))
    long_ago = {"stream": False, "began_s": time.monotonic() - 20, "timeout_s": 50}
    assert begin("acme/poet", long_ago, prompt="x").prediction.ok


def test_a_waited_answer_that_is_still_processing_is_followed_to_its_metrics(replicate, begin):
    replicate.tells(say("all of"), say(" it"), hold(), become("succeeded"))
    running = begin("acme/poet", {"wait_s": 10}, prompt="x")
    replicate.until(lambda: running.shows("all of it"))
    assert running.snapshots[-1].status == "processing"
    replicate.release()
    assert running.prediction.metrics["predict_time"] == 0.5
    assert replicate.seen("create")[0].headers["prefer"] == "wait=10"
    assert replicate.seen("get")


def test_a_waited_answer_that_is_final_needs_nothing_more(replicate):
    assert run("acme/poet", prompt="x", wait=10).text == "Hello world"
    assert routes(replicate) == ["model", "create"]


def test_plain_creates_ask_for_no_wait(replicate):
    run("acme/poet", prompt="x")
    assert "prefer" not in replicate.seen("create")[0].headers


# -- streams ------------------------------------------------------------------------------------


ENDINGS = {
    "reset": stream(ends_after=2, torn_off=True),
    "end": stream(ends_after=2),
    "408": stream(ends_after=2, last=b": 408 Request Timeout\n\n"),
    "within_an_event": stream(ends_after=2, last=b"id: 1690212292:2\nevent: output\ndata: thr"),
    "before_the_blank_line": stream(
        ends_after=2, last=b"id: 1690212292:2\nevent: output\ndata: three\n", torn_off=True
    ),
}


def test_a_stream_that_ends_early_is_resumed_and_no_chunk_comes_twice(replicate, begin):
    replicate.tells(
        say("one "), say("two "), say("three "), say("four"), hold(), become("succeeded")
    )
    replicate.fails("stream", always=once(ENDINGS))
    cells = {name: begin("acme/poet", prompt=name) for name in ENDINGS}
    for cell in cells.values():
        replicate.until(lambda cell=cell: cell.snapshots and len(cell.snapshots[-1].streamed) >= 4)
    replicate.release()

    for name, cell in cells.items():
        assert cell.prediction.streamed.parts() == ["one ", "two ", "three ", "four"], name
        asked = [one for one in replicate.seen("stream") if cell.prediction.id in one.path]
        resumed_at = [one.headers.get("last-event-id") for one in asked]
        assert resumed_at == [None, "1690212292:1"], name


def test_a_stream_that_replays_from_its_beginning_repeats_nothing(replicate, begin):
    replicate.tells(say("one "), say("two "), say("three"), hold(), become("succeeded"))
    replicate.fails("stream", stream(ends_after=2), always=stream(resumes=False))
    running = begin("acme/poet", prompt="x")
    replicate.until(lambda: running.snapshots and len(running.snapshots[-1].streamed) >= 3)
    replicate.release()
    assert running.prediction.streamed.parts() == ["one ", "two ", "three"]


@pytest.mark.slow
def test_a_stream_without_ids_that_ends_early_is_followed_by_polling(replicate, begin):
    replicate.tells(say("one "), say("two "), hold(), say("three"), become("succeeded"))
    replicate.fails("stream", always=stream(ends_after=2, ids=False))
    running = begin("acme/poet", prompt="x")
    replicate.until(lambda: len(replicate.seen("get")) > 4)
    replicate.release()
    assert running.prediction.text == "one two three"
    assert running.prediction.streamed.parts() == ["one ", "two "]
    assert len(replicate.seen("stream")) == 1


@pytest.mark.slow
def test_a_stream_that_says_done_too_early_does_not_end_the_prediction(replicate, begin):
    replicate.tells(say("half "), on_stream("done", "{}"), hold(), say("all"), become("succeeded"))
    running = begin("acme/poet", prompt="x")
    replicate.until(lambda: len(replicate.seen("get")) > 4)
    replicate.release()
    assert running.prediction.text == "half all"


@pytest.mark.parametrize(
    "no_stream",
    [
        answer(404, {"detail": "The requested resource could not be found."}),
        answer(200, "<html>Sign in</html>"),
        reset(),
        stream_of(),
    ],
    ids=["404", "page", "reset", "empty"],
)
def test_without_a_stream_to_be_had_the_answer_is_polled(replicate, no_stream):
    replicate.fails("stream", always=no_stream)
    assert run("acme/poet", prompt="x").text == "Hello world"


def test_unknown_events_of_a_stream_are_passed_over(replicate, begin):
    replicate.tells(on_stream("metric", '{"a":1}'), say("text"), hold(), become("succeeded"))
    running = begin("acme/poet", prompt="x")
    replicate.until(lambda: running.shows("text"))
    replicate.release()
    assert running.prediction.streamed.parts() == ["text"]


def test_an_error_on_the_stream_is_told_by_the_prediction(replicate):
    replicate.fails(
        "stream", stream_of(sse("error", '{"detail":"E1001"}'), sse("done", '{"reason":"error"}'))
    )
    replicate.tells(become("failed", error="It ran out of memory (E1001)"))
    with pytest.raises(errors.PredictionFailed, match="E1001") as caught:
        run("acme/poet", prompt="x")
    assert caught.value.prediction.status == "failed"


def test_the_get_ends_a_prediction_whose_stream_has_fallen_silent(replicate, begin):
    async def silent(exchange):
        await asyncio.sleep(30)

    replicate.fails("stream", always=stream_of(sse("output", "one", id="1:0"), then=silent))
    replicate.tells(say("one"), say(" two"), become("succeeded"))
    assert begin("acme/poet", prompt="x").prediction.text == "one two"


# -- ends ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["failed", "canceled", "aborted"])
def test_a_prediction_that_ends_badly_is_raised_with_all_that_is_known(replicate, status):
    replicate.tells(say("partial"), log("a line\n"), become(status, error="why"))
    with pytest.raises(errors.PredictionFailed, match="acme/poet") as caught:
        run("acme/poet", prompt="x")
    assert caught.value.prediction.status == status
    assert caught.value.prediction.id in str(caught.value)
    assert caught.value.prediction.logs == "a line\n"
    assert not replicate.seen("cancel")


def test_an_unknown_status_with_an_end_is_an_end(replicate, begin):
    ended = become("successful", output="x", completed_at="2026-01-01T00:00:00Z")
    replicate.tells(ended)
    assert begin("acme/poet", prompt="x").prediction.status == "successful"
    assert not replicate.seen("cancel")


def test_an_unknown_status_without_an_end_goes_on_until_the_deadline(replicate):
    replicate.tells(become("pondering"))
    with pytest.raises(errors.PredictionTimeout):
        run("acme/poet", prompt="x", timeout=0.4)
    assert len(replicate.seen("cancel")) == 1


def test_the_deadline_cancels_once(replicate):
    replicate.tells(say("slow"), hold())
    began_s = time.monotonic()
    with pytest.raises(errors.PredictionTimeout) as caught:
        run("acme/poet", prompt="x", timeout=0.8)
    assert time.monotonic() - began_s < 3
    assert caught.value.prediction.status == "canceled"
    assert len(replicate.seen("cancel")) == 1
    assert replicate.seen("create")[0].headers["cancel-after"] == "5s"


def test_what_is_left_of_the_time_is_sent_along(replicate):
    run("acme/poet", prompt="x", timeout="10m")
    assert replicate.seen("create")[0].headers["cancel-after"] in {"600s", "599s"}


def test_nothing_is_created_after_the_deadline(replicate):
    async def slow(exchange):
        await asyncio.sleep(0.5)
        await exchange.send(await exchange.honest())

    replicate.fails("model", slow)
    with pytest.raises(errors.PredictionTimeout):
        run("acme/poet", prompt="x", timeout=0.2)
    session.close()
    assert not replicate.seen("create")


@pytest.mark.parametrize(
    "broken",
    [reset(), answer(502, "<html>"), answer(429, THROTTLED), web_page(), torn()],
    ids=["reset", "502", "429", "page", "torn"],
)
def test_a_cancel_that_failed_is_sent_again(replicate, broken):
    replicate.tells(say("slow"), hold())
    replicate.fails("cancel", broken)
    asyncio.run(cancelled_at(replicate, "stream"))
    assert len(replicate.seen("cancel")) == 2
    assert replicate.predictions[0]["status"] == "canceled"


async def cancelled_at(replicate, route):
    """Run a prediction, and cancel that once a request of a route has come."""
    task = asyncio.create_task(arun("acme/poet", prompt="x"))
    await asyncio.to_thread(replicate.wait_for, route)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_cancelling_arun_cancels_once(replicate):
    replicate.tells(say("a"), hold())
    asyncio.run(cancelled_at(replicate, "stream"))
    assert len(replicate.seen("cancel")) == 1
    assert replicate.predictions[0]["status"] == "canceled"


@pytest.mark.slow
def test_cancelling_while_the_deadlines_cancel_waits_for_the_id_still_cancels(replicate):
    replicate.tells(hold())
    replicate.fails("create", late(1.2))

    async def main():
        task = asyncio.create_task(arun("acme/poet", prompt="x", timeout=0.3))
        await asyncio.to_thread(replicate.wait_for, "create")
        await asyncio.sleep(0.5)  # the deadline is over, and the id is being waited for
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    replicate.wait_for("cancel")


def test_a_create_that_is_cancelled_does_not_fall_back_to_another_route(replicate):
    replicate.models["acme/poet"] = Model(official=False, told=False)
    replicate.fails("create", late(0.3))
    asyncio.run(cancelled_at(replicate, "create"))
    assert len(replicate.seen("create")) == 1


def test_arun_gives_the_same_as_run(replicate):
    async def main():
        return await asyncio.gather(*(arun("acme/poet", prompt=str(n)) for n in range(5)))

    predictions = asyncio.run(main())
    assert [prediction.text for prediction in predictions] == ["Hello world"] * 5
    assert sorted(prediction.input["prompt"] for prediction in predictions) == list("01234")


def test_no_thread_is_left_after_close(replicate):
    run("acme/poet", prompt="x")
    assert "replicate_magic" in {thread.name for thread in threading.enumerate()}
    session.close()
    assert "replicate_magic" not in {thread.name for thread in threading.enumerate()}


# -- the token ----------------------------------------------------------------------------------


def test_the_token_does_not_go_to_the_stream(replicate):
    run("acme/poet", prompt="x")
    assert replicate.seen("stream")
    assert not replicate.strangers_with_token()


def test_the_token_does_not_go_to_the_delivery(replicate, begin):
    replicate.models["acme/painter"] = Model(official=True, schema=openapi(IMAGE))
    replicate.files["out.png"] = ("image/png", b"\x89PNG\r\n\x1a\n" + bytes(100))
    replicate.tells(become("succeeded", output=f"{replicate.other_url}/files/out.png"))
    prediction = begin("acme/painter", wants_previews=True, prompt="x").prediction
    assert prediction.files[0].size_bytes == 108
    assert replicate.seen("file")
    assert not replicate.strangers_with_token()


@pytest.mark.slow
def test_the_token_does_not_follow_a_cursor_to_another_host(replicate):
    replicate.page_size = 1
    replicate.next_base = replicate.other_url
    replicate.fails("create", torn())
    later = (replicate.time() + timedelta(days=1)).isoformat()
    replicate.remember(model="acme/poet", input={"prompt": "other"}, created_at=later)
    with pytest.raises(errors.CreateUnclear):
        run("acme/poet", prompt="x")
    assert not [request for request in replicate.requests if request.place == "other"]


@pytest.mark.parametrize(
    ("route", "status"), [("model", 301), ("model", 307), ("model", 308), ("create", 307)]
)
def test_a_redirect_of_the_api_is_not_followed(replicate, route, status):
    replicate.fails(route, always=redirect(f"{replicate.other_url}/v1/elsewhere", status))
    replicate.fails("list", always=redirect(f"{replicate.other_url}/v1/elsewhere", status))
    with pytest.raises(errors.ReplicateMagicError, match="redirect"):
        run("acme/poet", prompt="x")
    assert not [request for request in replicate.requests if request.place == "other"]
    assert len(replicate.seen("create")) <= 1


@pytest.mark.parametrize(
    "dirt", ["{}\n", '"{}"', " '{}'\r\n", '"{}\n"', "\ufeff{}", "\u201c{}\u201d"]
)
def test_a_token_with_what_comes_along_when_copied_works(replicate, monkeypatch, dirt):
    monkeypatch.setenv("REPLICATE_API_TOKEN", dirt.format(replicate.token))
    assert run("acme/poet", prompt="x").ok


@pytest.mark.parametrize("dirt", ["r8_secret\nr8_second", "r8_secr\u00e9t", "r8_secret\x7f"])
def test_a_token_that_cannot_be_sent_is_in_no_message(replicate, monkeypatch, dirt):
    monkeypatch.setenv("REPLICATE_API_TOKEN", dirt)
    with pytest.raises(errors.Unauthorized, match="The API token holds") as caught:
        run("acme/poet", prompt="x")
    whole = "".join(repr(error) for error in chain_of(caught.value))
    assert "r8_sec" not in whole
    assert not replicate.requests


def chain_of(error):
    while error:
        yield error
        error = error.__cause__ or error.__context__


def test_the_words_of_the_server_are_raised_with_the_model(replicate):
    words = problem(422, "Input validation failed", "- top_p: Must be less than 1").body
    replicate.fails("create", answer(422, words, content_type="application/problem+json"))
    with pytest.raises(errors.InvalidInput, match=r"acme/poet: .*\n?- top_p: Must be less than 1"):
        run("acme/poet", prompt="x")


def test_what_the_server_adds_is_kept(replicate):
    replicate.fails("create", changed(novelty={"a": 1}))
    replicate.fails("get", always=changed(novelty={"a": 2}))
    assert run("acme/poet", prompt="x").raw["novelty"] == {"a": 2}


# -- looking the model up -------------------------------------------------------------------------


def test_looking_the_model_up_keeps_the_deadline_and_sends_nothing(replicate):
    replicate.fails("model", late(3))
    began = time.monotonic()
    with pytest.raises(errors.PredictionTimeout, match="Nothing was sent"):
        run("acme/poet", prompt="x", timeout=0.5)
    assert time.monotonic() - began < 1.5
    assert replicate.seen("create") == []


def test_looking_the_model_up_is_tried_again_and_told(replicate, begin):
    replicate.fails("model", reset())
    running = begin("acme/poet", prompt="x")
    assert running.prediction.text == "Hello world"
    assert "broke before the answer" in running.retries[0]


def test_a_redirected_create_has_created_nothing_and_is_not_looked_for(replicate):
    replicate.fails("create", redirect(f"{replicate.other_url}/elsewhere"))
    with pytest.raises(errors.UnexpectedAnswer, match="redirect"):
        run("acme/poet", prompt="x")
    assert replicate.seen("list") == []


@pytest.mark.parametrize("wait", [0, 61, -1, 2.5])
def test_a_wait_that_replicate_does_not_take_is_refused(replicate, wait):
    with pytest.raises(errors.CellError, match="1 to 60"):
        run("acme/poet", prompt="x", wait=wait)
    assert replicate.requests == []


# -- what is left when it cannot be followed ------------------------------------------------------


def test_a_run_that_cannot_be_followed_keeps_its_id_and_what_was_seen(replicate):
    replicate.tells(say("Hello"), hold())
    replicate.fails("get", always=answer(401, {"title": "Unauthenticated", "detail": "revoked"}))
    with pytest.raises(errors.Unauthorized) as caught:
        run("acme/poet", prompt="x")
    assert caught.value.prediction.id == replicate.predictions[0]["id"]
    assert replicate.predictions[0]["id"] in caught.value.__notes__[0]


@pytest.mark.slow
def test_a_cancel_that_is_heard_late_is_not_called_a_failure(replicate):
    replicate.tells(say("Hello"), hold())
    replicate.fails("cancel", late(2))
    with pytest.raises(errors.PredictionTimeout, match="its time was over"):
        run("acme/poet", prompt="x", timeout=0.5)
    assert replicate.predictions[0]["status"] == "canceled"


@pytest.mark.slow
def test_two_calls_alike_never_become_one_prediction(replicate):
    replicate.fails("create", late(1.5), answer(503))

    async def both():
        calls = [arun("acme/poet", prompt="x", timeout=20) for _ in range(2)]
        return await asyncio.gather(*calls, return_exceptions=True)

    outcomes = asyncio.run(both())
    ids = [outcome.id for outcome in outcomes if not isinstance(outcome, Exception)]
    assert len(set(ids)) == len(ids)
    assert any(isinstance(outcome, errors.CreateUnclear) for outcome in outcomes) or len(ids) == 2


def test_files_are_fetched_from_https_and_the_apis_own_host_alone(replicate, begin):
    replicate.models["acme/painter"] = Model(official=True, schema=openapi(IMAGE))
    replicate.files["out.png"] = ("image/png", b"\x89PNG\r\n\x1a\n")
    port = replicate.other_url.rsplit(":", 1)[1]
    url = f"http://localhost:{port}/files/out.png"  # another name than the API's
    replicate.tells(become("succeeded", output=url))
    running = begin("acme/painter", wants_previews=True, prompt="x")
    assert running.prediction.files[0].preview is None
    assert replicate.seen("file") == []


def test_no_more_than_twenty_files_are_fetched_to_be_shown(replicate):
    from replicate_magic.api.client import Client, open_pool
    from replicate_magic.api.files import Previews
    from replicate_magic.prediction import OutputFile

    came = []

    async def fetch():
        async with open_pool() as pool:
            client = Client(pool, base=f"{replicate.url}/v1", token="")
            files = [OutputFile(url=f"{replicate.other_url}/files/no{n}") for n in range(25)]
            async with Previews(client, came.append) as previews:
                previews.fetch(files[:3])
                previews.fetch(files)
                await previews.settle(asyncio.get_running_loop().time() + 30)

    asyncio.run(fetch())
    assert [file.preview for file in came] == [None] * 20
    assert len(replicate.seen("file")) == 20


def test_whose_certificates_are_believed_is_read_once_for_what_the_environment_says(
    monkeypatch, tmp_path
):
    from replicate_magic.api.client import open_pool

    async def trust():
        async with open_pool() as pool, pool.client("https://example.com") as http:
            return http._transport._pool._ssl_context

    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    usual = asyncio.run(trust())
    head, end, _ = Path(certifi.where()).read_text("utf-8").partition("-----END CERTIFICATE-----\n")
    (tmp_path / "one.pem").write_text(f"{head}{end}", "utf-8")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "one.pem"))
    own = asyncio.run(trust())

    assert len(own.get_ca_certs()) == 1
    assert asyncio.run(trust()) is own
    monkeypatch.delenv("SSL_CERT_FILE")
    assert asyncio.run(trust()) is usual


def test_no_variable_of_a_frame_shows_the_token(replicate):
    replicate.fails("model", always=answer(401, {"detail": "no"}))
    with pytest.raises(errors.Unauthorized) as caught:
        run("acme/poet", prompt="x")
    trace, shown = caught.value.__traceback__, []
    while trace:
        shown += [repr(value) for value in trace.tb_frame.f_locals.values()]
        trace = trace.tb_next
    assert [text for text in shown if replicate.token in text] == []
