"""Every run is kept: what history has of it, when, and what happens where it cannot be written."""

from __future__ import annotations

import json
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from replicate_server import answer, become, hold, late, log, reset, say

import replicate_magic as rm
from replicate_magic import errors
from replicate_magic.runs.history import History, the_history
from replicate_magic.runs.query import Query
from replicate_magic.runs.record import Record

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

    assert not [one for one in home.iterdir() if replicate.token.encode() in one.read_bytes()]


# -- a history that cannot be written -------------------------------------------------------------


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

    assert rm.run("acme/poet", prompt="x").ok
    assert rm.run("acme/poet", prompt="y").ok
    assert rm.runs()["prompt"].tolist() == ["y", "x"]
    assert "in memory until this process ends" in the_history().news()
    assert the_history().news() == ""


def test_a_damaged_history_is_set_aside_and_a_new_one_begun(replicate, home):
    home.mkdir()
    (home / "history.db").write_bytes(b"no database" * 1000)

    assert rm.run("acme/poet", prompt="x").ok
    assert len(rm.runs()) == 1
    [aside] = home.glob("history.db.corrupt-*")
    assert aside.read_bytes().startswith(b"no database")
    assert aside.name in the_history().news()


def test_rows_that_a_full_file_did_not_take_are_in_it_as_soon_as_it_takes_rows(home):
    history = History(home / "history.db", busy_s=0.1)
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


def test_the_token_is_not_sent_to_where_another_api_was(replicate, monkeypatch):
    name = unfinished(replicate)
    monkeypatch.setenv("REPLICATE_BASE_URL", "https://api.example.com")
    with pytest.raises(errors.NotFound):
        rm.attach(name)

    assert not replicate.seen("get")


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


def test_a_page_that_cannot_be_had_is_asked_for_again(replicate):
    replicate.remember(model="acme/poet")
    replicate.fails("list", answer(429, {"retry_after": 0}), answer(500), late(0.1))

    assert len(rm.runs(remote=True)) == 1
