"""Finding what history has answered already, and what a batch has run."""

from __future__ import annotations

import random
import re
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from replicate_magic.runs.history import History
from replicate_magic.runs.query import Query
from replicate_magic.runs.record import Record
from replicate_magic.runs.store import Store

API = "https://api.replicate.com/v1"
ASKED, OTHER = "a" * 64, "b" * 64
GONE = {"input": {}, "output": None, "logs": "", "data_removed": True}


def run(name, day=1, *, asked=ASKED, origin=API, batch=None, item=0, **raw):
    local = {"request_sha256": asked} if asked else {}
    if batch:
        local |= {"batch": batch, "batch_item": item}
    raw = {
        "id": name, "status": "succeeded", "output": "Hello",
        "created_at": f"2026-01-{day:02}T00:00:00Z", **raw,
    }  # fmt: skip
    return Record(raw=raw, model="acme/poet", origin=origin, local=local)


def ids(records):
    return [record.id for record in records]


@pytest.fixture
def store(tmp_path):
    with closing(Store.open(tmp_path / "history.db")) as opened:
        yield opened


def test_answers_are_of_the_same_request_newest_first_wherever_they_ran(store):
    store.save_all(
        [run("old", 1), run("new", 3, origin="http://x/v1"), run("mid", 2), run("not", asked=OTHER)]
    )

    assert ids(store.answers(ASKED)) == ["new", "mid", "old"]
    assert store.answers(ASKED)[0] == run("new", 3, origin="http://x/v1")
    assert store.answers("c" * 64) == store.answers("") == store.answers("\ud800") == []


def test_the_kth_repeat_takes_the_kth_newest(store):
    store.save_all([run(f"p{day}", day) for day in range(1, 6)])

    assert ids(store.answers(ASKED, limit=1)) == ["p5"]
    assert ids(store.answers(ASKED, nth=3, limit=1)) == ["p3"]
    assert ids(store.answers(ASKED, nth=4)) == ["p2", "p1"]
    assert store.answers(ASKED, nth=6, limit=1) == []


@pytest.mark.parametrize(
    "raw",
    [
        {"status": "failed"},
        {"status": "canceled"},
        {"status": "aborted"},
        {"status": "processing"},
        {"status": None},
        {"output": None},
        {"output": [], "data_removed": True},
        {"output": "", "data_removed": True},
        GONE,
    ],
    ids=str,
)
def test_what_did_not_succeed_or_lost_its_output_is_no_answer_and_is_not_counted(store, raw):
    store.save_all([run("first", 1), run("bad", 2, **raw), run("last", 3)])

    assert ids(store.answers(ASKED)) == ["last", "first"]
    assert ids(store.answers(ASKED, nth=2, limit=1)) == ["first"]


@pytest.mark.parametrize("output", ["", [], False, 0, {}], ids=repr)
def test_an_answer_may_say_nothing(store, output):
    store.save(run("quiet", output=output))

    assert ids(store.answers(ASKED)) == ["quiet"]


def test_an_answer_stays_one_when_replicate_deletes_its_output(store):
    store.save(run("kept"))
    store.save(run("kept", **GONE))

    [record] = store.answers(ASKED)
    assert record.raw["output"] == "Hello"


def test_what_was_asked_is_known_from_the_beginning_of_a_run(store):
    store.save(run("begun", status="starting", output=None))
    store.save(run("begun", asked=None))

    assert ids(store.answers(ASKED)) == ["begun"]


def test_an_import_brings_answers(store):
    other = Store.in_memory()
    other.import_lines([*_exported(run("carried", batch="night"))])

    assert ids(other.answers(ASKED)) == ids(other.batch_runs("night")) == ["carried"]


def _exported(record):
    with closing(Store.in_memory()) as one:
        one.save(record)
        return list(one.export_lines())


def test_a_batchs_runs_are_found_and_no_others(store):
    store.save_all(
        [
            run("a", 1, batch="night", item=0, status="failed"),
            run("b", 2, batch="night", item=0),
            run("c", 3, batch="nigh"),
            run("d", 4),
        ]
    )

    assert ids(store.batch_runs("night")) == ["b", "a"]
    assert store.columns(Query(batch="night"))["id"] == ["b", "a"]
    assert store.count(Query(batch="night", status="succeeded")) == 1
    assert store.batch_runs("") == []


# -- how they are found -------------------------------------------------------------------------


def plan_of(store, work):
    """How SQLite goes about what a method asks, as it is asked."""
    asked = []
    with store._connections.lent() as connection:
        connection.set_trace_callback(asked.append)
    work()
    with store._connections.lent() as connection:
        connection.set_trace_callback(None)
        [sql] = [sql for sql in asked if "SELECT" in sql]
        return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}")]


@pytest.mark.parametrize(
    ("index", "work"),
    [
        ("prediction_request", lambda store: store.answers(ASKED)),
        ("prediction_request", lambda store: store.answers(ASKED, nth=2, limit=1)),
        ("prediction_batch", lambda store: store.batch_runs("b3")),
        ("prediction_batch", lambda store: store.columns(Query(batch="b3"))),
    ],
)
@pytest.mark.parametrize("rows", [0, 3000])
def test_an_index_finds_them_in_their_order(store, index, work, rows):
    dice = random.Random(7)
    store.save_all(
        run(f"p{n}", dice.randrange(1, 29), asked=f"{n % 500:064}", batch=f"b{n % 9}", item=n)
        for n in range(rows)
    )
    for told in ("as it is", "once SQLite has counted"):
        plan = plan_of(store, lambda: work(store))

        first, *others = plan
        assert re.match(rf"SEARCH prediction USING INDEX {index} \(<expr>=\?\)", first), told
        assert all("USING INTEGER PRIMARY KEY" in step for step in others), (told, plan)
        with closing(sqlite3.connect(store.path)) as connection:
            connection.execute("ANALYZE")


# -- what the file does not take -----------------------------------------------------------------


@pytest.fixture
def divided(tmp_path):
    """A history of which some runs are in the file, and newer ones in memory."""
    history = History(tmp_path / "history.db", busy_s=0.1, rest_s=60)
    history.save_all([run("a", 1, batch="night"), run("c", 3), run("e", 5, status="processing")])
    with closing(sqlite3.connect(history.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        history.save_all([run("b", 2, batch="night"), run("d", 4), run("e", 5)])
        other.execute("ROLLBACK")
    assert history.trouble
    return history


def test_answers_in_the_file_and_in_memory_are_in_one_order(divided):
    assert ids(divided.answers(ASKED)) == ["e", "d", "c", "b", "a"]
    assert ids(divided.answers(ASKED, limit=2)) == ["e", "d"]
    assert ids(divided.answers(ASKED, nth=4, limit=1)) == ["b"]
    assert ids(divided.answers(ASKED, nth=4)) == ["b", "a"]
    assert ids(divided.batch_runs("night")) == ["b", "a"]
    assert divided.frame(Query(batch="night"))["id"].tolist() == ["b", "a"]


def test_a_run_of_which_both_have_a_row_is_one_answer(divided):
    changed = replace(run("c", 3), model="newer")
    divided._in_memory().save(changed)

    assert [one.model for one in divided.answers(ASKED, nth=3, limit=1)] == ["newer"]
    assert len(divided.answers(ASKED)) == 5
