"""The runs to choose from, while somebody types."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from replicate_magic.runs import glance
from replicate_magic.runs.history import History
from replicate_magic.runs.record import Record
from replicate_magic.runs.store import Store

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


def record(name, *, ago_s=0, origin="https://x.example/v1", prompt="Hello", tag=None):
    created = (NOW - timedelta(seconds=ago_s)).isoformat()
    raw = {"id": name, "status": "succeeded", "created_at": created, "metrics": {"a": 1}}
    local = {"tag": tag} if tag else {}
    return Record(raw=raw, model="acme/poet", origin=origin, prompt=prompt, local=local)


@pytest.fixture
def store(tmp_path):
    opened = Store.open(tmp_path / "history.db")
    yield opened
    opened.close()


def test_the_newest_come_first_and_no_more_than_asked(store):
    store.save_all([record(f"p{number}", ago_s=-number) for number in range(10)])
    assert [one.id for one in store.glances(limit=3)] == ["p9", "p8", "p7"]
    assert [one.id for one in store.glances(prefix="p3", limit=3)] == ["p3"]
    assert len(store.glances(prefix="p", limit=4)) == 4
    assert store.glances(prefix="q", limit=4) == []


def test_what_is_told_of_a_run(store):
    store.save(record("p1", prompt="é" * 500, tag="mine"))
    [found] = store.glances(limit=5)
    assert found == glance.Glance(
        id="p1",
        origin="https://x.example/v1",
        model="acme/poet",
        status="succeeded",
        created_us=int(NOW.timestamp() * 1e6),
        tag="mine",
        metrics='{"a":1}',
        prompt="é" * 120,
    )


def test_a_run_without_a_time_or_a_tag_is_there_too(store):
    store.save(Record(raw={"id": "p1", "status": "starting"}, model="a/b", origin="x"))
    [found] = store.glances(limit=5)
    assert (found.created_us, found.tag, found.prompt) == (0, "", "")


def test_one_id_of_two_origins_is_two_runs(store):
    store.save_all([record("p1"), record("p1", origin="https://y.example/v1", ago_s=1)])
    found = store.glances(prefix="p1", limit=5)
    assert [one.origin for one in found] == ["https://x.example/v1", "https://y.example/v1"]


@pytest.mark.parametrize("prefix", ["", "p1"])
def test_an_index_leads_to_the_rows_and_nothing_is_sorted(store, tmp_path, prefix):
    store.save(record("p1"))
    seen = []
    with closing(sqlite3.connect(tmp_path / "history.db")) as connection:
        connection.set_trace_callback(seen.append)
        glance.glances(connection, prefix=prefix, limit=5)
        connection.set_trace_callback(None)
        plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {seen[0]}"))
    assert "INDEX" in plan
    assert "TEMP B-TREE" not in plan


def test_rows_that_wait_in_memory_are_there_as_well(tmp_path):
    (tmp_path / "history.db").mkdir()  # no file can be there
    history = History(tmp_path / "history.db", rest_s=0)
    assert not History(tmp_path / "none.db").is_begun
    history.save(record("p1", ago_s=1))
    (tmp_path / "history.db").rmdir()
    with closing(Store.open(tmp_path / "history.db")) as elsewhere:
        elsewhere.save(record("p2"))
    assert history.is_begun
    assert [one.id for one in history.glances(limit=5)] == ["p2", "p1"]
    assert [one.id for one in history.glances(limit=1)] == ["p2"]
    history.close()
