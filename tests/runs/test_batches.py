"""A batch in history: what it asked for comes back, whatever happens meanwhile."""

from __future__ import annotations

import datetime as dt
import json
import os
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicate_magic.cell.hiding import Secrets, secrets_of
from replicate_magic.cell.objects import LargeFile
from replicate_magic.cell.schema import InputField, Schema
from replicate_magic.errors import HistoryError, NotFound
from replicate_magic.runs import store as store_module
from replicate_magic.runs.batches import BatchItem, BatchRecord
from replicate_magic.runs.history import History
from replicate_magic.runs.query import Query
from replicate_magic.runs.record import Record
from replicate_magic.runs.store import Store

ROOT = Path(store_module.__file__).parents[2]
NOON = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
LONG = "The otter swims. " * 40
PICTURE = "data:image/png;base64," + "A" * 250_000


def item(number=0, **values):
    made = {
        "number": number,
        "target": "acme/poet",
        "input": {"prompt": "Hi"},
        "secrets": Secrets(),
    }
    return BatchItem(**{**made, **values})


def begun(name="b1", day=1, **values):
    return BatchRecord(id=name, created_at=NOON.replace(day=day), **values)


def run(name, batch, number=None):
    local = {"batch": batch} | ({} if number is None else {"batch_item": number})
    raw = {"id": name, "status": "succeeded", "output": "x", "created_at": NOON.isoformat()}
    return Record(raw=raw, model="acme/poet", origin="https://x/v1", local=local)


@pytest.fixture
def history(tmp_path):
    history = History(tmp_path / "history.db")
    history.begin_batch(begun())
    yield history
    history.close()


def rows_in(history, table, column="*"):
    with closing(sqlite3.connect(history.path)) as connection:
        return connection.execute(f"SELECT {column} FROM {table}").fetchall()


def back(history, one):
    """An item as it is read after it was written."""
    history.add_items("b1", [one])
    [found] = history.batch_items("b1")
    return found


# -- a batch --------------------------------------------------------------------------------------


def test_a_batch_comes_back_as_it_was_begun_and_then_ended(history):
    told = begun("b2", 2, total=3, settings={"cell": "%%replicate …", "origins": ["https://x/v1"]})
    history.begin_batch(told)

    assert history.batch("b2") == told
    before = dt.datetime.now(dt.UTC)
    history.end_batch("b2", "ended")
    ended = history.batch("b2")
    assert replace(ended, ended_at=None) == replace(told, state="ended")
    assert before - dt.timedelta(seconds=1) < ended.ended_at <= dt.datetime.now(dt.UTC)


def test_a_batch_that_is_begun_again_keeps_its_beginning_and_runs_again(history):
    history.end_batch("b1", "ended")
    history.begin_batch(begun("b1", 5, total=7, settings={"again": True}))

    assert history.batch("b1") == begun("b1", 1, total=7, settings={"again": True})


def test_without_a_time_it_begins_now(history):
    history.begin_batch(BatchRecord(id="now"))

    assert abs(history.batch().created_at - dt.datetime.now(dt.UTC)) < dt.timedelta(seconds=5)
    assert (history.batch().id, history.batch().state, history.batch().total) == (
        "now",
        "running",
        None,
    )


def test_batches_are_told_newest_first(history):
    for day, name in ((3, "c"), (2, "b"), (4, "d")):
        history.begin_batch(begun(name, day))

    assert [batch.id for batch in history.batches()] == ["d", "c", "b", "b1"]
    assert history.batch().id == "d"


def test_a_batch_is_found_by_the_beginning_of_its_id_and_the_exact_one_wins(history):
    for name in ("ab1c", "ab1", "ab2"):
        history.begin_batch(begun(name, 2))

    assert history.batch("ab1").id == "ab1"
    assert history.batch("ab2").id == "ab2"
    with pytest.raises(NotFound, match=r"^ab begins several batches: ab2, ab1, ab1c\.$"):
        history.batch("ab")


def test_what_no_batch_is_called_is_told_with_the_nearest(history):
    history.begin_batch(begun("c0ffee", 2))

    with pytest.raises(NotFound) as caught:
        history.batch("c0fee1")
    assert str(caught.value) == (
        "No batch of the history has an id that begins with c0fee1. Did you mean c0ffee? "
        "The newest: c0ffee, b1."
    )
    history.drop_batch("b1")
    history.drop_batch("c0ffee")
    for prefix in ("x", None):
        with pytest.raises(NotFound, match=r"^The history has no batch\.$"):
            history.batch(prefix)


# -- what it asks for -----------------------------------------------------------------------------


def test_an_item_comes_back_as_it_was_added(history):
    one = item(
        input={"prompt": LONG, "temperature": 0.5, "n": 3, "on": True, "none": None, "l": [[1.5]]},
        prompt=LONG,
        params={"temperature": 0.5, "repeat": 2},
        row={"text": LONG, "id": 7, "of": {"deep": ["@", "@@text:", "@file:x", LONG]}},
        repeat=2,
    )

    assert back(history, one) == one
    assert rows_in(history, "batch_text", "text") == [(LONG,)]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text() | st.text("@text:file", min_size=1) | st.integers(250, 260).map("ä".__mul__)
    | st.just("\ud83d" * 300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
objects = st.dictionaries(st.text("abc@", max_size=2), json_values, max_size=3)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(objects, objects, objects, st.text()), min_size=1, max_size=4))
def test_whatever_json_can_hold_comes_back(told):
    with closing(Store.in_memory()) as store:
        items = [
            item(number, input=sent, params=params, row=row, prompt=prompt)
            for number, (sent, params, row, prompt) in enumerate(told)
        ]
        store.batches.add("b1", items)

        assert list(store.batches.items("b1")) == items


def test_items_come_in_the_order_of_their_numbers_and_the_newer_of_two_wins(history):
    history.add_items("b1", (item(number) for number in range(250, 0, -1)))
    history.add_items("b1", [item(7, prompt="newer"), item(0)])

    found = list(history.batch_items("b1"))
    assert [one.number for one in found] == [*range(251)]
    assert found[7].prompt == "newer"
    assert list(history.batch_items("b")) == []


def test_items_can_be_added_while_they_are_read(history):
    history.add_items("b1", [item(number) for number in range(300)])
    seen = 0
    for one in history.batch_items("b1"):
        seen += 1
        if one.number < 300:
            history.add_items("b1", [item(one.number + 300)])

    assert seen == 600


def test_a_file_on_disk_is_kept_by_where_it_lies(history, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = LargeFile(name="cat.png", media_type="image/png", path=Path("cat.png"))
    found = back(history, item(input={"image": file, "images": [file]}, params={"image": file}))

    for one in (found.input["image"], found.input["images"][0], found.params["image"]):
        assert (one.name, one.media_type, one.data) == ("cat.png", "image/png", None)
        assert one.path == tmp_path / "cat.png"
        assert one == file
    assert found.unkept == ()


def test_a_large_file_without_a_path_is_not_kept_and_that_is_told(history):
    file = LargeFile(name="", media_type="image/png", data=b"x" * 1000)
    found = back(history, item(input={"image": file, "all": [{"of": file}], "prompt": "Hi"}))

    assert found.unkept == ("image", "all")
    assert type(found.input["image"]) is str
    assert b"xxxx" not in history.path.with_name("history.db-wal").read_bytes()


SECRET = "hunter2-and-some-more"


@pytest.mark.parametrize("secret", [SECRET, SECRET * 20], ids=["short", "long"])
def test_a_secret_is_in_no_file_and_its_place_is_told(history, secret):
    schema = Schema(
        fields={
            "key": InputField(name="key", types=("string",), is_secret=True),
            "other": InputField(name="other", types=("string",), is_secret=True),
        }
    )
    sent = {"prompt": f"Say {secret}", "key": secret}
    found = back(
        history,
        item(
            input=sent,
            prompt=sent["prompt"],
            params={"key": secret},
            row={"key": secret, secret: [(secret,)], "text": "x"},
            secrets=secrets_of(schema, sent),
        ),
    )
    history.close()

    assert found.secrets == Secrets(names=frozenset({"key"}))
    assert found.input["key"] == found.params["key"] == found.row["key"] == "(secret)"
    assert found.row["text"] == "x"
    for path in history.path.parent.iterdir():
        assert SECRET.encode() not in path.read_bytes()


def test_a_request_without_secrets_has_none(history):
    schema = Schema(fields={"key": InputField(name="key", types=("string",), is_secret=True)})
    sent = {"prompt": "(secret)"}

    assert back(history, item(input=sent, secrets=secrets_of(schema, sent))).secrets == Secrets()


def test_rows_of_a_frame_are_kept_as_json_or_as_their_text(history):
    row = {
        "whole": np.int64(3), "part": np.float32(0.5), "yes": np.bool_(1), "none": float("nan"),
        "many": np.array([1, 2]), "set": {2, 1}, "when": pd.Timestamp("2026-01-02", tz="UTC"),
        "day": dt.date(2026, 1, 2), "sum": Decimal("1.5"), "pair": (1, "a"), "odd": object, 5: 6,
    }  # fmt: skip
    found = back(history, item(row=row)).row

    assert found == {
        "whole": 3, "part": 0.5, "yes": True, "none": None,
        "many": [1, 2], "set": [1, 2], "when": "2026-01-02T00:00:00+00:00",
        "day": "2026-01-02", "sum": 1.5, "pair": [1, "a"], "odd": "<class 'object'>", "5": 6,
    }  # fmt: skip


class Mute:
    def __str__(self):
        raise ValueError("no")


def test_an_object_that_cannot_say_what_it_is_is_named_by_its_kind(history):
    assert back(history, item(row={"it": Mute()})).row == {"it": "(Mute)"}


# -- how much it takes ----------------------------------------------------------------------------


def test_what_all_items_share_is_kept_once(history):
    before = history.size_bytes
    for start in range(0, 1000, 200):
        history.add_items(
            "b1",
            [item(n, input={"image": PICTURE, "seed": n}) for n in range(start, start + 200)],
        )
    history.close()

    assert rows_in(history, "batch_text", "length(text)") == [(len(PICTURE),)]
    assert history.path.stat().st_size - before < 2 * len(PICTURE)
    assert {one.input["image"] for one in history.batch_items("b1")} == {PICTURE}


@pytest.mark.slow
def test_ten_thousand_items_are_kept_and_read_within_a_second(history):
    items = [
        item(
            n,
            input={"prompt": f"{LONG}{n}", "image": PICTURE, "temperature": 0.5, "max_tokens": 99},
            prompt=f"{LONG}{n}",
            params={"text": n},
            row={"text": f"{LONG}{n}", "id": n, "language": "en"},
        )
        for n in range(10_000)
    ]
    began_s = time.perf_counter()
    for start in range(0, len(items), 200):
        history.add_items("b1", items[start : start + 200])
    added_s = time.perf_counter()
    count = sum(1 for _ in history.batch_items("b1"))
    read_s = time.perf_counter()

    assert count == 10_000
    assert added_s - began_s < 1
    assert read_s - added_s < 1
    history.close()
    texts = sum(len(one.prompt) for one in items)  # of which each stands in three places
    assert history.path.stat().st_size < 2.5 * texts + len(PICTURE)


# -- deleting -------------------------------------------------------------------------------------


def test_dropping_a_batch_leaves_its_runs_and_nothing_else(history):
    history.add_items("b1", [item(0, prompt=LONG)])
    history.begin_batch(begun("b2"))
    history.add_items("b2", [item(0, prompt=LONG)])
    history.save(run("p1", "b1", 0))
    history.drop_batch("b1")

    assert [batch.id for batch in history.batches()] == ["b2"]
    assert list(history.batch_items("b1")) == []
    assert [one.prompt for one in history.batch_items("b2")] == [LONG]
    assert rows_in(history, "batch_text", "batch") == [("b2",)]
    assert [record.id for record in history.batch_runs("b1")] == ["p1"]


def test_a_run_that_is_deleted_takes_its_request_along(history):
    texts = [f"{number} {LONG}" for number in range(3)]
    history.add_items(
        "b1", [item(n, prompt=text, row={"of": LONG}) for n, text in enumerate(texts)]
    )
    history.save_all([run(f"p{number}", "b1", number) for number in range(3)])
    history.delete([("p1", "https://x/v1")])

    assert [one.number for one in history.batch_items("b1")] == [0, 2]
    assert {text for [text] in rows_in(history, "batch_text", "text")} == {
        texts[0],
        texts[2],
        LONG,
    }


def test_a_request_stays_while_another_run_of_it_does(history):
    history.add_items("b1", [item(0), item(1)])
    history.save_all([run("failed", "b1", 0), run("again", "b1", 0), run("odd", "b1")])
    history.delete([("failed", "https://x/v1"), ("odd", "https://x/v1")])

    assert [one.number for one in history.batch_items("b1")] == [0, 1]


def test_a_batch_goes_with_its_last_run(history):
    history.add_items("b1", [item(number, prompt=LONG) for number in range(3)])
    history.begin_batch(begun("b2"))
    history.save_all([run("p0", "b1", 0), run("p1", "b1", 1), run("p2", "b2", 0), run("p3", "b3")])
    history.delete([("p0", "https://x/v1"), ("p1", "https://x/v1"), ("p3", "https://x/v1")])

    assert [batch.id for batch in history.batches()] == ["b2"]
    assert rows_in(history, "batch_item") == rows_in(history, "batch_text") == []
    assert history.count() == 1


def test_counting_what_would_be_deleted_deletes_nothing(history):
    history.add_items("b1", [item(0)])
    history.save(run("p0", "b1", 0))
    store = history._store()

    assert store.delete(Query(batch="b1")) == 1
    assert [one.number for one in history.batch_items("b1")] == [0]
    assert store.delete(Query(batch="b1"), apply=True) == 1
    assert history.batches() == []


# -- a file that fails ----------------------------------------------------------------------------


@pytest.fixture
def locked(tmp_path):
    """A history that gives up soon, and a switch that locks and frees its file."""
    history = History(tmp_path / "history.db", busy_s=0.1, rest_s=0)
    history.begin_batch(begun())
    with closing(sqlite3.connect(history.path, isolation_level=None)) as other:

        def switch():
            other.execute("ROLLBACK" if other.in_transaction else "BEGIN IMMEDIATE")

        yield history, switch
        if other.in_transaction:
            other.execute("ROLLBACK")
    history.close()


def test_what_a_locked_file_does_not_take_is_there_at_once_and_told_once(locked):
    history, switch = locked
    history.add_items("b1", [item(0), item(2, prompt="old")])
    switch()
    history.add_items("b1", [item(1, prompt=LONG), item(2, prompt="new")])
    history.begin_batch(begun("b2", 2, total=1, settings={"a": 1}))
    history.end_batch("b1", "ended")

    assert history.news().count("database is locked") == 1
    assert history.news() == ""
    assert [(one.id, one.state) for one in history.batches()] == [
        ("b2", "running"),
        ("b1", "ended"),
    ]
    assert history.batch("b1").created_at == begun().created_at
    assert [(one.number, one.prompt) for one in history.batch_items("b1")] == [
        (0, ""), (1, LONG), (2, "new"),
    ]  # fmt: skip


def test_what_waited_in_memory_is_in_the_file_as_soon_as_it_takes_rows(locked):
    history, switch = locked
    history.add_items("b1", [item(0)])
    switch()
    history.add_items("b1", [item(1, prompt=LONG)])
    history.end_batch("b1", "ended")
    history.begin_batch(begun("b2", 2, total=1, settings={"a": 1}))
    switch()
    history.add_items("b2", [item(0)])
    history.close()

    again = History(history.path)
    assert [(one.id, one.state, one.total) for one in again.batches()] == [
        ("b2", "running", 1),
        ("b1", "ended", None),
    ]
    assert again.batch("b1").ended_at is not None
    assert [one.prompt for one in again.batch_items("b1")] == ["", LONG]
    assert [one.number for one in again.batch_items("b2")] == [0]
    again.close()


def test_without_a_place_for_it_a_batch_is_in_memory(tmp_path):
    (tmp_path / "file").write_text("")
    history = History(tmp_path / "file" / "history.db")
    history.begin_batch(begun())
    history.add_items("b1", [item(0)])
    history.save(run("p0", "b1", 0))
    history.end_batch("b1", "ended")

    assert history.batch().state == "ended"
    assert [one.number for one in history.batch_items("b1")] == [0]
    assert [record.id for record in history.batch_runs("b1")] == ["p0"]
    assert "kept in memory" in history.news()


def test_what_json_cannot_hold_is_told_and_harms_nobody(history):
    endless = {}
    endless["self"] = endless
    history.add_items("b1", [item(0, row=endless)])
    history.begin_batch(begun("b2", settings=endless))

    told = history.news()
    assert "batch b1 cannot be written as JSON" in told
    assert "batch b2 cannot be written as JSON" in told


def test_a_reference_to_nothing_is_told(history):
    history.add_items("b1", [item(0, prompt=LONG)])
    with closing(sqlite3.connect(history.path)) as connection:
        connection.execute("DELETE FROM batch_text")
        connection.commit()

    with pytest.raises(HistoryError, match="request 0 of batch b1 is damaged"):
        list(history.batch_items("b1"))


# -- several threads and processes ----------------------------------------------------------------


def test_threads_add_and_read_at_once(history):
    def add(first):
        for number in range(first, 160, 4):
            history.add_items("b1", [item(number, prompt=LONG)])
            list(history.batch_items("b1"))

    threads = [threading.Thread(target=add, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [one.number for one in history.batch_items("b1")] == [*range(160)]
    assert history.news() == ""


WRITER = """
    import sys
    sys.path.insert(0, sys.argv[1])
    from pathlib import Path
    from replicate_magic.cell.hiding import Secrets
    from replicate_magic.runs.batches import BatchItem, BatchRecord
    from replicate_magic.runs.history import History
    history = History(Path(sys.argv[2]))
    name = sys.argv[3]
    history.begin_batch(BatchRecord(id=name))
    print("begun", flush=True)
    sys.stdin.readline()
    for start in range(0, int(sys.argv[4]), 20):
        history.add_items(name, [
            BatchItem(number=number, target="a/b", input={"prompt": "x" * 500}, secrets=Secrets())
            for number in range(start, start + 20)
        ])
        print(start + 20, flush=True)
    print(history.news())
"""


@pytest.fixture
def writer(tmp_path, history):
    """Starts a process that writes a batch once it is told to; killed when the test is over."""
    file, started = tmp_path / "writer.py", []
    file.write_text(textwrap.dedent(WRITER))

    def start(name, count):
        process = subprocess.Popen(
            [sys.executable, file, str(ROOT), str(history.path), name, str(count)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        assert process.stdout.readline() == "begun\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_processes_write_their_batches_at_once(history, writer):
    processes = {name: writer(name, 400) for name in ("x1", "x2")}
    for process in processes.values():
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes.values():
        assert process.communicate(timeout=60)[0].split()[-1] == "400"

    for name in processes:
        assert [one.number for one in history.batch_items(name)] == [*range(400)]


@pytest.mark.skipif(not hasattr(os, "kill"), reason="there are no signals")
def test_what_a_killed_process_was_told_is_kept_is_there(history, writer):
    process = writer("x1", 10**9)
    process.stdin.write("go\n")
    process.stdin.flush()
    for _ in range(5):
        kept = int(process.stdout.readline())
    process.kill()

    found = list(history.batch_items("x1"))
    assert len(found) >= kept == 100
    assert history.batch("x1").state == "running"


# -- what stands in the file ----------------------------------------------------------------------


def test_another_tool_can_read_what_was_asked(history):
    history.add_items("b1", [item(3, prompt=LONG, row={"id": 7})])
    [[batch, number, target, told]] = rows_in(history, "batch_item")

    assert (batch, number, target) == ("b1", 3, "acme/poet")
    [[sha256]] = rows_in(history, "batch_text", "sha256")
    assert json.loads(told) == {
        "input": {"prompt": "Hi"},
        "prompt": f"@text:{sha256}",
        "row": {"id": 7},
    }


def test_batches_of_one_file_are_taken_over_by_another():
    older, newer = Store.in_memory(), Store.in_memory()
    older.batches.begin(begun(total=5, settings={"a": 1}))
    older.batches.add("b1", [item(0), item(1)])
    newer.batches.add("b1", [item(1, prompt="newer")])
    older.batches.take(newer.batches)

    assert [one.prompt for one in older.batches.items("b1")] == ["", "newer"]
    [row] = older.batches.rows()
    assert (row.total, row.state, row.settings) == (5, "running", '{"a":1}')
