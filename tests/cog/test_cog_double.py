"""What a Cog server does when it is busy, ill or old, or when the line to it breaks."""

from __future__ import annotations

import threading

import pytest
from cog_double import BUSY, START, WRITER, answers, done, holds, streams, word

import replicate_magic as rm
from replicate_magic import errors
from replicate_magic.cell.plan import Draft, read_target
from replicate_magic.notebook.dry_run import dry_run_text
from replicate_magic.order import Conditions
from replicate_magic.runs.history import the_history
from replicate_magic.runs.record import Record
from replicate_magic.session import the_session

pytestmark = pytest.mark.slow

FILE = b"\x89PNG\r\n\x1a\n"
GOOD = answers(200, status="succeeded", output="data:text/plain;base64,aGk=", logs="ok\n")


def copy(server, **more):
    return rm.run(server.url, file=FILE, **more)


def write(server, **more):
    return rm.run(server.url, prompt="x", **more)


def rows():
    return rm.runs()


# -- not now ------------------------------------------------------------------------------------


def test_a_busy_server_is_waited_for_and_that_is_told(double, until):
    double.puts, double.healths = [BUSY, GOOD], ["BUSY"]
    job = rm.start(double.url, file=FILE)
    told = until(lambda: job.prediction.retry)
    assert told.reason == "busy with another prediction"
    assert not job.prediction.id
    double.healths = ["READY"]
    prediction = job.wait()
    assert prediction.ok
    assert prediction.retries == 1
    first, second = double.creates()
    assert first.path == second.path == f"/predictions/{prediction.id}"


def test_a_server_that_stays_busy_ran_nothing(double):
    double.puts, double.healths = [BUSY], ["BUSY"]
    with pytest.raises(
        rm.PredictionTimeout, match=r"busy with another prediction. Nothing was run"
    ):
        copy(double, timeout=0.6)
    assert len(rows()) == 0
    assert not double.seen("POST")


def test_what_waits_for_its_turn_is_canceled_by_sending_nothing_more(double, until):
    double.puts, double.healths = [BUSY], ["BUSY"]
    job = rm.start(double.url, file=FILE)
    until(lambda: job.prediction.retry)
    job.cancel()
    until(lambda: job.done)
    sent = len(double.requests)
    assert "nothing was run" in job.why()
    assert len(double.creates()) == 1
    assert not double.seen("POST")
    assert len(rows()) == 0
    assert len(double.requests) == sent


def test_a_server_without_a_schema_yet_is_waited_for(double, until):
    double.openapi, double.healths = None, ["STARTING"]
    job = rm.start(double.url, file=FILE)
    told = until(lambda: job.prediction.retry)
    assert told.reason == "the model is being set up"
    double.openapi = WRITER  # and then it takes no `file`
    with pytest.raises(errors.InputError, match="file"):
        job.wait()


SETUP_FAILED = {
    "status": "SETUP_FAILED",
    "setup": {"status": "failed", "logs": "loading\n\x1b[31mRuntimeError: no weights\x1b[0m\n"},
}


@pytest.mark.parametrize("openapi", [None, WRITER], ids=["before its schema", "with one"])
def test_a_failed_setup_is_told_with_its_last_lines(double, openapi):
    double.openapi, double.healths = openapi, [SETUP_FAILED]
    double.puts = [answers(503, error="Setup has not finished yet.", status="failed")]
    with pytest.raises(errors.ServerError, match="setup has failed") as caught:
        write(double)
    assert str(caught.value).endswith("  loading\n  RuntimeError: no weights")
    assert len(rows()) == 0


def test_a_server_whose_worker_died_is_not_waited_for_though_it_says_that_it_is_busy(double):
    double.puts, double.healths = [BUSY], ["UNHEALTHY"]
    with pytest.raises(errors.ServerError, match=r"unhealthy, and takes no predictions\. Nothing"):
        copy(double)


# -- what it says -------------------------------------------------------------------------------


def test_a_refused_input_is_told_in_the_servers_words_and_nothing_is_kept(double):
    wrong = {"loc": ["body", "input", "steps"], "msg": "Field required", "type": "missing"}
    double.puts = [answers(422, {"detail": [wrong]})]
    with pytest.raises(errors.InvalidInput, match=r"steps: Field required \(HTTP 422\)") as caught:
        copy(double)
    [field] = caught.value.invalid_fields
    assert (field["field"], field["description"]) == ("steps", "Field required")
    assert len(rows()) == 0


def test_a_request_that_is_too_large_is_told_with_what_to_do(double):
    double.puts = [answers(413, "Failed to buffer the request body: length limit exceeded")]
    with pytest.raises(
        errors.APIError, match=r"length limit exceeded .* an address that the server"
    ):
        copy(double)


def test_what_is_no_cog_server_is_told(double):
    double.openapi = "<html>a notebook server</html>"
    with pytest.raises(errors.UnexpectedAnswer, match="is no Cog server"):
        copy(double)


def test_an_answer_without_an_end_is_a_failure(double):
    double.puts = [answers(200, {"output": "x"})]
    with pytest.raises(rm.PredictionFailed, match="does not tell how it ended"):
        copy(double)
    assert rows()["status"].tolist() == ["failed"]


def test_an_answer_that_is_no_json_is_not_taken_for_a_prediction(double):
    double.puts = [answers(200, "<html>a proxy</html>")]
    with pytest.raises(rm.PredictionFailed, match="a proxy"):
        copy(double)
    assert rows()["status"].tolist() == ["failed"]


def test_nobody_there_is_told_at_once(double):
    double.close_door()
    with pytest.raises(errors.ConnectionFailed, match=r"No Cog server answers .* Nothing was run"):
        copy(double)


def test_wait_is_refused_since_a_cog_server_has_none(double):
    with pytest.raises(errors.CellError, match="always answers at the end"):
        copy(double, wait=5)
    assert not double.creates()


def test_the_state_of_a_run_without_a_stream_is_asked_for_beside(double, until):
    double.states["any"] = {"status": "processing", "logs": "step 1\n", "output": None}
    over = threading.Event()
    double.puts = [holds(over, GOOD)]
    job = rm.start(double.url, file=FILE)
    until(lambda: job.prediction.logs == "step 1\n")
    assert job.prediction.status == "processing"
    assert rows()["status"].tolist() == ["starting"]  # it is kept from when it was taken
    over.set()
    assert job.wait().logs == "ok\n"
    assert len(double.creates()) == 1


def test_what_a_failed_run_has_logged_stays_though_the_end_leaves_it_out(double, until):
    double.states["any"] = {"status": "processing", "logs": "step 1\n", "output": ["a"]}
    over = threading.Event()
    failed = answers(200, status="failed", error="paper jam", logs="", metrics={})
    double.puts = [holds(over, failed)]
    job = rm.start(double.url, file=FILE)
    until(lambda: job.prediction.logs)
    over.set()
    with pytest.raises(rm.PredictionFailed, match="paper jam") as caught:
        job.wait()
    assert caught.value.prediction.logs == "step 1\n"
    assert caught.value.prediction.output == ["a"]


@pytest.mark.slow
def test_an_old_server_has_no_put_and_answers_no_questions(double, until):
    double.has_put = False
    over = threading.Event()
    double.puts = [holds(over, GOOD)]
    job = rm.start(double.url, file=FILE)
    until(lambda: job.prediction.id)
    assert rows()["status"].tolist() == ["starting"]
    over.set()
    assert job.wait().ok
    [create] = double.seen("POST", "/predictions")
    assert create.json["id"] == job.prediction.id


def test_what_is_refused_late_has_its_end_in_history(double, until):
    double.states["any"] = {"status": "starting"}
    over = threading.Event()
    double.puts = [holds(over, answers(422, {"detail": "the file cannot be had"}))]
    job = rm.start(double.url, file=FILE)
    until(lambda: job.prediction.id)
    over.set()
    with pytest.raises(rm.PredictionFailed, match="the file cannot be had"):
        job.wait()
    assert rows()["status"].tolist() == ["failed"]


# -- the line breaks ----------------------------------------------------------------------------


def test_a_stream_that_breaks_is_joined_anew_and_nothing_is_run_again(double):
    double.openapi = WRITER
    log = ("log", {"data": "writing\n", "source": "stdout"})
    double.puts = [
        streams(START, log, word(0), word(1), torn=True),
        streams(START, log, word(0), word(1), word(2), done(3)),
    ]
    prediction = write(double)
    assert prediction.text == "word 0 word 1 word 2 "
    assert prediction.streamed.parts() == ["word 0 ", "word 1 ", "word 2 "]
    assert prediction.streamed_logs.text() == "writing\n"
    first, second = double.seen("PUT")
    assert first.path == second.path
    assert second.json == {"input": 0}  # which no model can have


def test_a_stream_that_cannot_be_joined_is_a_failure_that_keeps_what_came(double):
    double.openapi = WRITER
    gone = answers(422, {"detail": [{"loc": ["body", "input"], "msg": "no object"}]})
    double.puts = [streams(START, word(0), torn=True), gone]
    with pytest.raises(rm.PredictionFailed, match="broke in the middle of the run") as caught:
        write(double)
    prediction = caught.value.prediction
    assert prediction.text == "word 0 "
    assert prediction.output == ["word 0 "]
    assert [one.path for one in double.seen("POST")] == [f"/predictions/{prediction.id}/cancel"]
    assert len(double.creates()) == 1
    assert rows()["status"].tolist() == ["failed"]


def test_what_the_server_canceled_because_the_line_broke_says_so(double):
    double.openapi = WRITER
    canceled = streams(START, word(0), done(1, "canceled"))
    double.puts = [streams(START, word(0), torn=True), canceled]
    with pytest.raises(rm.PredictionFailed) as caught:
        write(double)
    assert caught.value.prediction.status == "canceled"
    assert "cancels what nobody waits for" in caught.value.prediction.error


def test_a_server_that_ends_in_the_middle_is_told(double):
    double.openapi = WRITER
    double.puts = [streams(START, word(0), torn=True, then=double.close_door)]
    with pytest.raises(rm.PredictionFailed, match="The server ended in the middle of the run"):
        write(double)


def test_a_stream_that_lost_events_is_no_whole_answer(double):
    double.openapi = WRITER
    double.puts = [streams(START, ("error", {"error": "SSE stream lagged; events were dropped"}))]
    with pytest.raises(rm.PredictionFailed, match="events were dropped"):
        write(double)
    assert len(double.creates()) == 1


# -- stopping -----------------------------------------------------------------------------------


def test_a_cancel_is_sent_under_the_id_and_its_end_is_heard(double, until):
    double.states["any"] = {"status": "processing", "logs": ""}
    over = threading.Event()
    double.puts = [holds(over, answers(200, status="canceled", logs="", metrics={}))]
    job = rm.start(double.url, file=FILE)
    until(lambda: job.prediction.id)
    job.cancel()
    until(lambda: double.seen("POST"))
    over.set()
    until(lambda: job.done)
    assert job.prediction.status == "canceled"
    [cancel] = double.seen("POST")
    assert cancel.path == f"/predictions/{job.prediction.id}/cancel"


def test_what_is_refused_while_it_is_being_canceled_was_canceled(double, until):
    double.states["any"] = {"status": "starting"}
    over = threading.Event()
    double.puts = [holds(over, BUSY)]
    job = rm.start(double.url, file=FILE)
    until(lambda: job.prediction.id)
    job.cancel()
    until(lambda: double.seen("POST"))
    over.set()
    until(lambda: job.done)
    assert job.prediction.status == "canceled"
    assert len(double.creates()) == 1


@pytest.mark.slow
def test_a_cancel_that_the_model_does_not_obey_is_not_waited_for_long(double, until):
    double.states["any"] = {"status": "processing", "logs": ""}
    never = threading.Event()
    double.puts = [holds(never, GOOD)]
    job = rm.start(double.url, file=FILE)
    until(lambda: job.prediction.id)
    job.cancel()
    until(lambda: job.done, 5.5)
    assert job.prediction.retry.reason == "cancel sent"
    never.set()


# -- before and after ---------------------------------------------------------------------------


def test_a_dry_run_shows_the_request_and_no_token(double):
    double.openapi = WRITER
    draft = Draft(inputs={"prompt": "x"})
    dry_run = the_session().dry_run(read_target(double.url), draft, Conditions())
    assert (dry_run.request.method, dry_run.request.path) == ("PUT", "/predictions/ID")
    assert dry_run.request.json == {"input": {"prompt": "x"}}
    assert dry_run.request.headers == {"accept": "text/event-stream"}
    assert dry_run.base == double.url
    assert "authorization" not in dry_run_text(dry_run)
    assert not double.creates()


def test_a_run_of_a_kernel_that_died_is_lost_and_not_run_again(double):
    raw = {"id": "left", "status": "processing"}
    the_history().save(Record(raw=raw, model=double.url, origin=double.url))
    with pytest.raises(errors.NotFound, match="left is not known any more"):
        rm.attach("left")
    [row] = the_history().find("left")
    assert row.local["lost"]
    assert not double.creates()


def test_a_row_whose_server_has_ended_is_lost():
    raw = {"id": "left", "status": "processing"}
    the_history().save(Record(raw=raw, model="http://127.0.0.1:9", origin="http://127.0.0.1:9"))
    with pytest.raises(errors.NotFound, match=r"not known any more at http://127\.0\.0\.1:9"):
        rm.attach("left")
    assert the_history().find("left")[0].local["lost"]


def test_a_run_that_still_goes_on_elsewhere_is_not_lost(double):
    double.states["other"] = {"status": "processing", "logs": ""}
    raw = {"id": "other", "status": "processing"}
    the_history().save(Record(raw=raw, model=double.url, origin=double.url))
    with pytest.raises(errors.CellError, match=r"still runs at .* only to whoever began it"):
        rm.attach("other")
    [row] = the_history().find("other")
    assert "lost" not in row.local
