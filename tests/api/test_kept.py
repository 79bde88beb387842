"""Every run is kept: what history has of it, when, and what happens where it cannot be written."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest
from replicate_server import OLDER, Model, answer, become, hold, late, log, openapi, reset, say

import replicate_magic as rm
from replicate_magic import errors, session
from replicate_magic.order import Conditions
from replicate_magic.runs.history import History, HistoryWarning, the_history
from replicate_magic.runs.query import Query
from replicate_magic.runs.record import Record
from replicate_magic.views import NoView

pytestmark = pytest.mark.usefixtures("home")


def documents():
    """The documents of all rows, newest first."""
    return [json.loads(text) for text in rm.runs().jq.documents()]


def only():
    [document] = documents()
    return document


def unfinished(replicate, **raw):
    """A prediction that a kernel left when it died: Replicate has it, and history its beginning."""
    made = replicate.remember(model="acme/poet", input={"prompt": "x"}, **raw)
    begun = {**made, "status": "starting", "output": None}
    local = {"tag": "night", "first_output_after_s": 0.5}
    the_history().save(
        Record(raw=begun, model="acme/poet", origin=f"{replicate.url}/v1", local=local, prompt="x")
    )
    return made["id"]


# -- when ---------------------------------------------------------------------------------------


def test_a_row_is_there_before_the_stream_is_opened(replicate, home):
    seen = []

    async def look(exchange):
        with closing(sqlite3.connect(home / "history.db")) as connection:
            seen.extend(connection.execute("SELECT id, status FROM prediction"))
        await exchange.send(await exchange.honest())

    replicate.fails("stream", look)
    prediction = rm.run("acme/poet", prompt="x")

    assert seen == [(prediction.id, "starting")]


def test_the_end_of_a_run_is_in_its_row(replicate):
    replicate.tells(say("Hello"), say(" world"), become("succeeded", metrics={"predict_time": 1.5}))
    prediction = rm.run("acme/poet", prompt="Hi", tag="try")
    [row] = rm.runs().to_dict("records")

    assert (row["id"], row["model"], row["status"]) == (prediction.id, "acme/poet", "succeeded")
    assert (row["prompt"], row["output"], row["tag"]) == ("Hi", "Hello world", "try")
    assert row["metrics.predict_time"] == 1.5
    assert {**only(), "local": None} == {**prediction.raw, "local": None}


@pytest.mark.parametrize("status", ["failed", "canceled", "aborted"])
def test_a_run_that_did_not_succeed_is_kept_with_what_it_had_said(replicate, status):
    replicate.tells(say("Once"), log("line"), become(status, error="E1001", output=None))
    with pytest.raises(errors.PredictionFailed):
        rm.run("acme/poet", prompt="x")
    [row] = rm.runs().to_dict("records")

    assert (row["status"], row["output"], row["error"]) == (status, "Once", "E1001")


def test_a_run_that_is_canceled_here_is_kept(replicate):
    replicate.tells(say("Once"), hold(), become("succeeded"))
    job = rm.start("acme/poet", prompt="x")
    replicate.until(lambda: job.prediction.text == "Once")
    job.cancel()
    with pytest.raises(errors.PredictionFailed):
        job.wait(30)

    assert rm.runs(status="canceled")["output"].tolist() == ["Once"]


@pytest.mark.slow
def test_a_run_whose_time_is_over_is_kept(replicate):
    replicate.tells(say("Once"), hold())
    with pytest.raises(errors.PredictionTimeout):
        rm.run("acme/poet", prompt="x", timeout=1)

    assert rm.runs()["status"].tolist() == ["canceled"]


def test_a_run_that_is_lost_sight_of_keeps_what_was_seen(replicate):
    replicate.tells(say("Once"), hold())
    for route in ("get", "cancel"):
        replicate.fails(route, always=answer(401, {"detail": "no"}))
    with pytest.raises(errors.Unauthorized):
        rm.run("acme/poet", prompt="x")
    [row] = rm.runs().to_dict("records")

    assert row["status"] in {"starting", "processing"}


def test_what_was_seen_from_here_is_kept_beside_the_json(replicate, monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/me/sums.ipynb")
    replicate.fails("get", reset())
    rm.run("acme/poet", prompt="x", tag="try")
    local = only()["local"]

    assert (local["tag"], local["notebook"]) == ("try", "sums.ipynb")
    assert local["retries"] >= 1
    assert (
        0 < local["created_after_s"] <= local["first_output_after_s"] <= local["finished_after_s"]
    )


def test_a_run_that_is_not_to_be_kept_leaves_no_history(replicate, home):
    rm.run("acme/poet", prompt="x", log=False)

    assert not home.exists()
    assert len(rm.runs()) == 0


def test_the_token_is_in_no_file_of_the_history(replicate, home):
    rm.run("acme/poet", prompt="x")

    files = [one for one in home.rglob("*") if one.is_file()]
    assert not [one for one in files if replicate.token.encode() in one.read_bytes()]


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.0, 2.0])
def test_what_runs_when_all_is_closed_is_canceled_and_its_row_says_so(replicate, seconds):
    """As at the end of the interpreter; with a create that is answered only meanwhile, too."""
    replicate.tells(say("Once"), hold(), become("succeeded"))
    replicate.fails("create", late(seconds))
    job = rm.start("acme/poet", prompt="x")
    replicate.wait_for("create")
    if not seconds:
        replicate.until(lambda: job.prediction.text == "Once")
    session.close()

    assert [raw["status"] for raw in replicate.predictions] == ["canceled"]
    assert rm.runs()["status"].tolist() == ["canceled"]
    assert [one.name for one in threading.enumerate() if one.name == "replicate_magic"] == []


def test_a_version_is_found_by_its_name(replicate):
    rm.run(f"acme/sketch:{OLDER}", prompt="x")
    rm.run("acme/sketch", prompt="y")

    assert rm.runs(model=f"acme/sketch:{OLDER}")["prompt"].tolist() == ["x"]
    assert rm.runs(model="acme/sketch")["prompt"].tolist() == ["y", "x"]


# -- a history that cannot be written -------------------------------------------------------------


@pytest.mark.slow
def test_a_locked_history_holds_no_run_up_and_gets_its_rows_later(replicate, home):
    rm.run("acme/poet", prompt="first")
    with closing(sqlite3.connect(home / "history.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        began_s = time.monotonic()
        prediction = rm.run("acme/poet", prompt="second")
        took_s = time.monotonic() - began_s
        other.execute("ROLLBACK")

    assert prediction.ok
    assert took_s < 5
    replicate.until(lambda: rm.runs(status="succeeded")["prompt"].tolist() == ["second", "first"])


def test_without_a_place_for_it_the_history_goes_on_in_memory_and_says_so_once(
    replicate, tmp_path, monkeypatch
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("REPLICATE_MAGIC_HOME", str(tmp_path / "file"))

    with pytest.warns(HistoryWarning, match="Runs are kept in memory"):
        assert rm.run("acme/poet", prompt="x").ok
    assert rm.run("acme/poet", prompt="y").ok
    assert rm.runs()["prompt"].tolist() == ["y", "x"]
    session.close()
    assert rm.runs()["prompt"].tolist() == ["y", "x"]


def test_a_damaged_history_is_set_aside_and_a_new_one_begun(replicate, home):
    home.mkdir()
    (home / "history.db").write_bytes(b"no database" * 1000)

    with pytest.warns(HistoryWarning, match="was damaged. It is kept as history.db.corrupt-"):
        assert rm.run("acme/poet", prompt="x").ok
    assert len(rm.runs()) == 1
    [aside] = home.glob("history.db.corrupt-*")
    assert aside.read_bytes().startswith(b"no database")


def test_rows_that_a_full_file_did_not_take_are_in_it_as_soon_as_it_takes_rows(home):
    history = History(home / "history.db", busy_s=0.1, rest_s=0)
    rows = [
        Record(
            raw={"id": name, "status": "succeeded", "created_at": f"2026-01-0{day}T00:00:00Z"},
            model="o/n",
            origin="https://x/v1",
        )
        for day, name in enumerate("abc", 1)
    ]
    history.save(rows[0])
    with closing(sqlite3.connect(home / "history.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        history.save(rows[1])
        assert history.frame(Query())["id"].tolist() == ["b", "a"]
        assert "locked" in history.news()
        other.execute("ROLLBACK")
    history.save(rows[2])
    history.close()

    with closing(sqlite3.connect(home / "history.db")) as connection:
        assert sorted(connection.execute("SELECT id FROM prediction")) == [("a",), ("b",), ("c",)]


def ended(record, **raw):
    return replace(record, raw={**record.raw, "status": "succeeded", **raw})


@pytest.fixture
def begun():
    raw = {"id": "p1", "status": "starting", "created_at": "2026-01-01T00:00:00Z"}
    return Record(raw=raw, model="o/n", origin="https://x/v1")


def test_a_row_in_the_file_and_its_end_in_memory_are_one_run(home, begun):
    history = History(home / "history.db", busy_s=0.1, rest_s=60)
    history.save(begun)
    with closing(sqlite3.connect(home / "history.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        history.save(ended(begun, output="done"))
        other.execute("ROLLBACK")

    assert history.frame(Query())["status"].tolist() == ["succeeded"]
    assert history.count() == 1
    assert history.unfinished() == []
    assert [record.raw["output"] for record in history.find("p1")] == ["done"]
    [document] = history.documents([("p1", "https://x/v1")])
    assert json.loads(document)["output"] == "done"
    history.close()
    again = History(home / "history.db")
    assert again.frame(Query())["status"].tolist() == ["succeeded"]


def test_a_file_that_could_not_be_opened_is_tried_again(home, begun):
    home.write_text("a file in the folder's place")
    history = History(home / "history.db", rest_s=0.2)
    history.save(begun)
    assert history.frame(Query())["id"].tolist() == ["p1"]
    home.unlink()
    time.sleep(0.3)
    history.save(ended(begun))
    history.close()

    assert History(home / "history.db").frame(Query())["status"].tolist() == ["succeeded"]


def test_after_a_fault_the_file_is_left_alone_for_a_while(home, begun):
    history = History(home / "history.db", busy_s=0.3, rest_s=60)
    history.open()
    with closing(sqlite3.connect(home / "history.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began_s = time.monotonic()
        for _ in range(20):
            history.save(begun)
        other.execute("ROLLBACK")

    assert time.monotonic() - began_s < 1.5


def test_threads_that_save_while_the_memory_is_emptied_lose_nothing(home, begun):
    history = History(home / "history.db", busy_s=0.05, rest_s=0)
    history.open()
    records = [replace(begun, raw={**begun.raw, "id": f"p{number}"}) for number in range(60)]
    with closing(sqlite3.connect(home / "history.db", isolation_level=None)) as other:
        with ThreadPoolExecutor(4) as pool:
            for number, record in enumerate(records):
                if number % 6 == 0:
                    other.execute("ROLLBACK" if other.in_transaction else "BEGIN IMMEDIATE")
                pool.submit(history.save, record)
                time.sleep(0.005)
        if other.in_transaction:
            other.execute("ROLLBACK")
    history.close()

    assert len(History(home / "history.db").frame(Query())) == 60


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_that_is_forked_while_the_history_opens_has_its_own(replicate, home):
    rm.run("acme/poet", prompt="x")
    the_history().close()
    history = the_history()
    with history._changing, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads
        child = os.fork()
        if not child:
            signal.alarm(20)
            os._exit(0 if len(rm.runs()) == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# -- after a restart ------------------------------------------------------------------------------


def test_attach_completes_the_row_of_a_run_that_ended_meanwhile(replicate):
    name = unfinished(replicate, output=["Hello", " world"], metrics={"predict_time": 2})
    prediction = rm.attach(name[:8])

    assert prediction.text == "Hello world"
    [row] = rm.runs().to_dict("records")
    assert (row["status"], row["output"], row["tag"]) == ("succeeded", "Hello world", "night")
    assert (row["metrics.predict_time"], row["local.first_output_after_s"]) == (2, 0.5)
    assert not replicate.seen("create")


def test_attach_follows_a_run_that_goes_on(replicate):
    replicate.tells(say("Once"), hold(), say(" more"), become("succeeded"))
    job = rm.start("acme/poet", prompt="x", log=False)
    replicate.until(lambda: job.prediction.text == "Once")
    the_history().save(
        Record(raw=replicate.predictions[0] | {"output": None}, model="acme/poet",
               origin=f"{replicate.url}/v1")
    )  # fmt: skip
    with ThreadPoolExecutor() as pool:
        again = pool.submit(rm.attach, job.prediction.id)
        replicate.wait_for("stream", 2)
        replicate.release()

        assert again.result(30).text == "Once more"
    assert len(replicate.seen("create")) == 1


def test_a_run_that_is_known_nowhere_keeps_its_row_marked_as_lost(replicate):
    name = unfinished(replicate)
    replicate.predictions.clear()
    with pytest.raises(errors.NotFound, match="marked as lost"):
        rm.attach(name)

    assert only()["local"]["lost"] is True
    assert only()["status"] == "starting"


def test_a_run_of_an_engine_that_has_ended_is_lost(replicate):
    name = unfinished(replicate)
    the_history().save(
        Record(raw={"id": "gone", "status": "starting"}, model="local/x",
               origin="http://127.0.0.1:9/v1")
    )  # fmt: skip
    with pytest.raises(errors.NotFound, match="marked as lost"):
        rm.attach("gone")

    assert not [request for request in replicate.requests if "gone" in request.path]
    assert rm.attach(name).ok


@pytest.mark.slow
def test_attaching_only_watches_until_it_is_told_to_cancel(replicate):
    replicate.tells(say("Once"), hold(), become("succeeded"))
    job = rm.start("acme/poet", prompt="x")
    replicate.until(lambda: job.prediction.text == "Once")
    with pytest.raises(errors.PredictionTimeout, match="goes on"):
        rm.attach(job.prediction.id, timeout=1)

    assert not replicate.seen("cancel")
    assert session.the_session().unfinished() == []  # the job follows it still
    replicate.release()
    assert job.wait(30).text == "Once"


def test_a_click_on_cancel_cancels_what_is_attached(replicate):
    replicate.tells(say("Once"), hold())
    job = rm.start("acme/poet", prompt="x", log=False)
    replicate.until(lambda: job.prediction.text == "Once")
    the_history().save(
        Record(raw=replicate.predictions[0], model="acme/poet", origin=f"{replicate.url}/v1")
    )
    [record] = the_history().find(job.prediction.id)
    view = Clicked(NoView())
    attached = session.the_session().attach(record, Conditions(), view)

    assert attached.prediction.status == "canceled"
    assert len(replicate.seen("cancel")) == 1


def test_a_click_on_cancel_cancels_while_the_model_is_still_looked_up(replicate):
    """What the model gives is looked up first, only to be drawn better."""
    replicate.tells(say("Once"), hold())
    job = rm.start("acme/poet", prompt="x", log=False)
    replicate.until(lambda: job.prediction.text == "Once")
    raw = {**replicate.predictions[0], "version": "f" * 64}
    record = Record(raw=raw, model="acme/slow", origin=f"{replicate.url}/v1")
    for route in ("model", "version", "versions"):
        replicate.fails(route, always=late(60))
    attached = session.the_session().attach(record, Conditions(), Clicked(NoView()))

    assert attached.prediction.status == "canceled"
    assert len(replicate.seen("cancel")) == 1


class Clicked(NoView):
    """A view whose Cancel is clicked as soon as anything is drawn."""

    def __init__(self, view):
        self.view = view

    def on_cancel(self, cancel):
        self.cancel = cancel

    def update(self, prediction):
        if prediction.status != "canceled":
            self.cancel()


def test_an_answer_that_was_found_is_lost_no_more_and_is_told_as_it_was(replicate):
    name = unfinished(replicate, output=["Hello", " world"])
    made = list(replicate.predictions)
    replicate.predictions.clear()
    with pytest.raises(errors.NotFound):
        rm.attach(name)
    replicate.predictions.extend(made)
    first, again = rm.attach(name), rm.attach(name)

    assert first.text == again.text == "Hello world"
    assert "lost" not in only()["local"]


def test_the_accounts_list_changes_no_text_of_a_run_of_ours(replicate):
    replicate.models["acme/list"] = Model(
        official=True, schema=openapi({"type": "array", "items": {"type": "string"}},
                                      words={"type": "string"}),
    )  # fmt: skip
    replicate.tells(become("succeeded", output=["red", "green"]))
    rm.run("acme/list", words="x")
    before = rm.runs()[["prompt", "output"]].to_dict("records")
    rm.runs(remote=True)

    assert rm.runs()[["prompt", "output"]].to_dict("records") == before
    assert "remote" not in only()["local"]


def test_runs_that_only_the_account_lists_are_nobodys_to_attach(replicate):
    replicate.remember(model="acme/poet", status="processing")
    rm.runs(remote=True)

    assert session.the_session().unfinished() == []


def test_a_run_without_a_model_in_its_row_is_attached_all_the_same(replicate):
    raw = replicate.remember(status="succeeded", output="Hi", input={})
    the_history().save(
        Record(raw={**raw, "status": "starting"}, model="", origin=f"{replicate.url}/v1")
    )

    assert rm.attach(raw["id"]).text == "Hi"


def test_the_token_is_not_sent_to_where_another_api_was(replicate, monkeypatch):
    name = unfinished(replicate)
    monkeypatch.setenv("REPLICATE_BASE_URL", "https://api.example.com")
    with pytest.raises(errors.Unauthorized, match="To ask there, set REPLICATE_BASE_URL"):
        rm.attach(name)

    assert not replicate.seen("get")
    monkeypatch.setenv("REPLICATE_BASE_URL", replicate.url)
    assert rm.attach(name).ok


def test_an_id_that_begins_several_or_none_is_told(replicate):
    for name in ("ab1", "ab2"):
        unfinished(replicate, id=name)

    with pytest.raises(errors.NotFound, match="begins several ids"):
        rm.attach("ab")
    with pytest.raises(errors.NotFound, match="No run of the history"):
        rm.attach("zz")


# -- the account's own list -----------------------------------------------------------------------


def test_the_accounts_predictions_are_merged_in_page_by_page(replicate):
    replicate.page_size = 2
    for number in range(5):
        replicate.remember(
            model="acme/poet", input={"prompt": f"p{number}"}, output=["a", "b"],
            metrics={"output_token_count": 2},
            created_at=f"2026-01-0{number + 1}T00:00:00Z",
        )  # fmt: skip
    frame = rm.runs(remote=True)

    assert frame["prompt"].tolist() == ["p4", "p3", "p2", "p1", "p0"]
    assert frame["output"].tolist() == ["ab"] * 5
    assert len(replicate.seen("list")) == 3
    assert len(rm.runs(remote=True)) == 5


def test_only_so_many_are_fetched_and_only_since_then(replicate):
    replicate.page_size = 2
    for number in range(5):
        replicate.remember(created_at=f"2026-01-0{number + 1}T00:00:00Z", model="acme/poet")
    rm.runs(remote=True, limit=2)

    assert len(rm.runs()) == 2
    assert len(replicate.seen("list")) == 1
    replicate.page_size = 100
    rm.runs(remote=True, since="2026-01-03")
    assert len(rm.runs()) == 3
    assert replicate.seen("list")[1].query == {"created_after": "2026-01-03T00:00:00Z"}


def test_a_next_page_on_another_host_is_not_followed(replicate):
    replicate.page_size = 1
    replicate.next_base = replicate.other_url
    for _ in range(3):
        replicate.remember(model="acme/poet")

    assert len(rm.runs(remote=True)) == 1
    assert not replicate.strangers_with_token()


def test_what_replicate_has_deleted_is_not_deleted_here(replicate):
    prediction = rm.run("acme/poet", prompt="x")
    replicate.predictions[0] |= {"input": {}, "output": None, "logs": "", "data_removed": True}
    frame = rm.runs(remote=True)

    assert frame["output"].tolist() == [prediction.text]
    assert only()["input"] == {"prompt": "x"}


@pytest.mark.slow
def test_a_page_that_cannot_be_had_is_asked_for_again(replicate):
    replicate.remember(model="acme/poet")
    replicate.fails("list", answer(429, {"retry_after": 0}), answer(500), late(0.1))

    assert len(rm.runs(remote=True)) == 1
