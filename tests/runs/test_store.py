from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicate_magic.errors import HistoryError
from replicate_magic.prediction import is_final
from replicate_magic.runs import database
from replicate_magic.runs import store as store_module
from replicate_magic.runs.connections import Connections
from replicate_magic.runs.record import after_import, after_save, flattened, microseconds
from replicate_magic.runs.schema import STEPS
from replicate_magic.runs.store import COLUMNS, Query, Record, Store

ROOT = Path(store_module.__file__).parents[2]
API = "https://api.replicate.com/v1"
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="signals and modes of POSIX")
root_only = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root can mount a small disk"
)


def record(name="p1", *, status="succeeded", origin=API, model="o/n", local=None, **raw):
    """A prediction as history is handed it."""
    raw = {"id": name, "status": status, "created_at": "2026-01-01T00:00:00Z", **raw}
    return Record(
        raw=raw,
        model=model,
        origin=origin,
        local=local or {},
        prompt=str((raw.get("input") or {}).get("prompt") or ""),
        output="".join(raw.get("output") or []),
    )


def pairs(columns):
    return list(zip(columns["id"], columns["origin"], strict=True))


FULL = {
    "input": {"prompt": "Hello"},
    "output": ["a", "b"],
    "logs": "a line",
    "metrics": {"predict_time": 1.5},
}
REMOVED = {"input": {}, "output": None, "logs": "", "metrics": None, "data_removed": True}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "home" / "history.db"


@pytest.fixture
def store(path):
    opened = Store.open(path)
    yield opened
    opened.close()


@pytest.fixture
def script(tmp_path):
    """Starts Python code in a process of its own; it is killed when the test is over."""
    started = []

    def start(code, *args):
        file = tmp_path / f"script{len(started)}.py"
        head = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{HELPERS}\n"
        file.write_text(head + textwrap.dedent(code))
        process = subprocess.Popen(
            [sys.executable, file, *map(str, args)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


HELPERS = """
import os, time
from replicate_magic.runs.store import Query, Record, Store, HistoryError
def record(name, status="succeeded", size=2000):
    raw = {"id": name, "status": status, "created_at": "2026-01-01T00:00:00Z"}
    raw["output"] = "x" * size
    return Record(raw=raw, model="o/n", origin="here")
"""


def result(process, *, timeout_s=90):
    out, err = process.communicate(timeout=timeout_s)
    assert process.returncode == 0, err
    return out


def only(store, name="p1"):
    [found] = store.find(name)
    return found


def is_intact(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


# -- one row ----------------------------------------------------------------------------------


def test_a_prediction_comes_back_as_it_was_saved(store):
    saved = record(**FULL, local={"tag": "t", "timings": {"created_after_s": 0.5}}, new_key=[1])
    store.save(saved)

    assert only(store) == saved


def test_a_row_is_written_at_the_start_and_completed_at_the_end(store):
    store.save(record(status="starting", input={"prompt": "Hello"}))
    store.save(record(**FULL))

    assert store.count(Query()) == 1
    assert only(store).raw["status"] == "succeeded"
    assert store.columns(Query())["output"] == ["ab"]


def test_removed_data_never_overwrites_what_is_stored_and_the_rest_is_updated(store):
    store.save(record(status="processing", **FULL))
    store.save(record(**REMOVED, completed_at="2026-01-01T00:00:09Z"))

    found = only(store)
    assert {key: found.raw[key] for key in FULL} == FULL
    assert found.raw["status"] == "succeeded"
    assert found.raw["data_removed"] is True
    assert (found.prompt, found.output) == ("Hello", "ab")
    assert store.columns(Query())["metrics"] == ['{"predict_time":1.5}']


def test_a_final_status_never_goes_back_and_a_late_answer_only_fills_what_is_missing(store):
    store.save(record(output=["whole"]))
    store.save(record(status="processing", output=["who"], logs="late", started_at="2026-01-01"))

    found = only(store)
    assert (found.raw["status"], found.raw["output"]) == ("succeeded", ["whole"])
    assert (found.raw["logs"], found.raw["started_at"]) == ("late", "2026-01-01")


def test_the_model_stays_as_it_was_asked_for(store):
    store.save(record(model="owner/name"))
    store.save(record(model="replicate-internal/name"))

    assert only(store).model == "owner/name"


def test_one_id_at_two_origins_is_two_rows(store):
    store.save(record(origin="a"))
    store.save(record(origin="b"))

    assert sorted(store.columns(Query())["origin"]) == ["a", "b"]
    assert len(store.find("p1")) == 2


def test_a_prediction_without_an_id_is_refused(store):
    with pytest.raises(HistoryError, match="without an id"):
        store.save(Record(raw={}, model="m", origin=API))


def test_half_surrogate_pairs_are_kept_in_the_document_and_shown_as_replacement(store):
    half = "a\ud83d"
    saved = record(input={"prompt": half}, output=[half], error=half, local={"tag": half})
    store.save(saved)

    assert only(store).raw == saved.raw
    assert store.columns(Query())["output"] == ["a�"]
    assert json.loads(next(store.documents([("p1", "")])))["output"] == [half]


@pytest.mark.parametrize(
    "metrics",
    [
        None,
        [],
        "fast",
        {"predict_time": -11136021.0, "a": None, "b": [1, {"c": 2}], "d": "x", "e": 2**80},
        {"nested": {"deep": {"er": 1}}, "empty": {}, "yes": True},
        {"nan": float("nan"), "inf": float("inf")},
        {"odd": object(), 3: 4},
    ],
    ids=repr,
)
def test_odd_metrics_are_kept_where_json_can_hold_them(store, metrics):
    store.save(record(metrics=metrics))

    [kept] = store.columns(Query())["metrics"]
    strict = json.loads(kept, parse_constant=pytest.fail)
    assert set(strict) == set(flattened(metrics))


def test_nested_metrics_are_joined_by_dots():
    assert flattened({"a": {"b": {"c": 1}}, "d": [1]}) == {"a.b.c": 1, "d": [1]}


def test_local_numbers_and_names_are_flat_columns_and_texts_are_not(store):
    local = {"tag": "t", "prompt": "p", "template": "{{x}}", "retries": 1, "files": ["f"]}
    store.save(record(local={**local, "timings": {"a_s": 1.5}, "notebook": "n.ipynb"}))

    found = store.columns(Query())
    assert json.loads(found["local"][0]) == {
        "retries": 1,
        "timings.a_s": 1.5,
        "notebook": "n.ipynb",
    }
    assert found["tag"] == ["t"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000),
        ("1970-01-01T00:00:01", 1_000_000),
        ("1970-01-01T02:00:01+02:00", 1_000_000),
        ("1970-01-01T00:00:00.1Z", 100_000),
        ("1970-01-01T00:00:00.123456Z", 123_456),
        ("1970-01-01T00:00:00.123456789Z", 123_456),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("1970-01-02", 86_400_000_000),
        ("0001-01-01T00:00:00+14:00", -62_135_647_200_000_000),
        ("yesterday", None),
        ("", None),
        (None, None),
        (17, None),
        ({}, None),
    ],
)
def test_times_of_any_precision_become_microseconds_and_nonsense_null(text, expected):
    assert microseconds(text) == expected


# -- merging ----------------------------------------------------------------------------------

texts = st.text(st.characters(codec="utf-8"), max_size=5)
values = (
    st.none()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
    | st.lists(texts, max_size=2)
    | st.dictionaries(texts, st.none() | st.integers() | texts, max_size=2)
)
statuses = st.sampled_from([None, "starting", "processing", "succeeded", "failed", "odd"])
raws = st.fixed_dictionaries(
    {"id": st.just("p1")},
    optional={
        "status": statuses,
        "input": values,
        "output": values,
        "logs": values,
        "metrics": values,
        "error": values,
        "data_removed": st.booleans(),
        "created_at": st.sampled_from([None, "2026-01-01T00:00:00.5Z", "odd"]),
        "completed_at": st.sampled_from([None, "2026-01-01T00:00:01Z"]),
        "local": values,
        "unknown": values,
    },
)
records = st.builds(
    Record,
    raw=raws,
    model=texts,
    origin=st.just(API),
    local=st.dictionaries(texts, values, max_size=2),
    prompt=texts,
    output=texts,
)


def is_empty(value):
    return value is None or value in ("", [], {})


@given(records, records, st.sampled_from([after_save, after_import]))
def test_merging_never_loses_a_value_that_is_not_empty(stored, new, joined):
    after = joined(stored, new)

    for key in {*stored.raw, *new.raw} - {"status"}:
        if not (is_empty(stored.raw.get(key)) and is_empty(new.raw.get(key))):
            assert not is_empty(after.raw[key])
    assert set(after.raw) >= {*stored.raw, *new.raw}
    for name in ("prompt", "output", "model"):
        assert getattr(after, name) or not (getattr(stored, name) or getattr(new, name))
    for name, value in stored.local.items():
        assert is_empty(value) or not is_empty(after.local[name])


@given(records, records, st.sampled_from([after_save, after_import]))
def test_merging_never_makes_an_ended_prediction_run_again(stored, new, joined):
    after = joined(stored, new)

    assert is_final(after.raw) or not is_final(stored.raw)


@given(records)
def test_merging_a_prediction_with_itself_changes_nothing(saved):
    assert after_save(saved, saved) == after_import(saved, saved) == saved


@settings(deadline=None, max_examples=60)
@given(st.lists(records, min_size=1, max_size=4))
def test_what_the_file_holds_is_what_merging_gives(saved):
    store = Store.in_memory()
    expected = saved[0]
    for number, new in enumerate(saved):
        expected = after_save(expected, new) if number else new
        store.save(new)

    assert only(store) == expected


@settings(deadline=None, max_examples=60)
@given(st.lists(records, max_size=5))
def test_columns_and_documents_agree(saved):
    store = Store.in_memory()
    for number, row in enumerate(saved):
        store.save(record_with(row, f"p{number}"))
    columns = store.columns(Query())
    documents = [json.loads(text) for text in store.documents(pairs(columns))]

    assert [document["id"] for document in documents] == columns["id"]
    for row, document in zip(zip(*columns.values(), strict=True), documents, strict=True):
        narrow = dict(zip(columns, row, strict=True))
        assert narrow["status"] == (document.get("status") or "starting")
        assert narrow["created_us"] == microseconds(document.get("created_at"))
        assert json.loads(narrow["metrics"]) == flattened(document.get("metrics"))
        record = saved[int(document["id"][1:])]
        assert document["local"] == {"origin": record.origin, **record.local}
    times = [time if time is not None else -1 for time in columns["created_us"]]
    assert times == sorted(times, reverse=True)


def record_with(row, name):
    raw = {**row.raw, "id": name}
    return Record(
        raw=raw,
        model=row.model,
        origin=row.origin,
        local=row.local,
        prompt=row.prompt,
        output=row.output,
    )


# -- finding rows -----------------------------------------------------------------------------


@pytest.fixture
def filled(store):
    for number in range(6):
        store.save(
            record(
                f"p{number}",
                status="failed" if number % 2 else "succeeded",
                model="o/n:abc" if number < 2 else "o/other",
                created_at=f"2026-01-0{number + 1}T00:00:00Z",
                input={"prompt": f"100%_sure {number}"},
                output=["Ärger \\ Otter"] if number == 3 else ["calm"],
                local={"tag": "even"} if number % 2 == 0 else {},
            )
        )
    return store


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        (Query(), "543210"),
        (Query(limit=2), "54"),
        (Query(limit=0), ""),
        (Query(status="failed"), "531"),
        (Query(model="o/n"), "10"),
        (Query(model="o/n:abc"), "10"),
        (Query(model="o"), ""),
        (Query(tag="even"), "420"),
        (Query(since=datetime(2026, 1, 5, tzinfo=UTC)), "54"),
        (Query(until=datetime(2026, 1, 3, tzinfo=UTC)), "10"),
        (Query(since=datetime(2026, 1, 6, 1, tzinfo=timezone(timedelta(hours=1)))), "5"),
        (Query(text="OTTER"), "3"),
        (Query(text="ärger \\"), "3"),
        (Query(text="\\"), "3"),
        (Query(text="100%_S"), "543210"),
        (Query(text="1%0"), ""),
        (Query(text="sure_3"), ""),
        (Query(text="x" * 100_000), ""),
        (Query(ids=["p1", "p4", "gone"]), "41"),
        (Query(ids=[]), ""),
        (Query(ids=[f"p{number}" for number in range(100_000)], status="failed", limit=1), "5"),
    ],
    ids=lambda value: str(value)[:80],
)
def test_a_query_means_the_rows_for_which_all_of_it_holds(filled, query, ids):
    assert filled.columns(query)["id"] == [f"p{name}" for name in ids]
    assert filled.count(query) == len(ids)


def test_columns_have_their_names_even_without_rows(store):
    assert store.columns(Query()) == {name: [] for name in COLUMNS}


def test_rows_without_a_time_come_last(store):
    store.save(record("old"))
    store.save(record("odd", created_at="soon"))

    assert store.columns(Query())["id"] == ["old", "odd"]


def test_documents_come_in_the_order_of_the_ids_with_ours_as_local(filled):
    columns = filled.columns(Query())
    asked = pairs(columns)[::-1] * 300
    documents = [json.loads(text) for text in filled.documents(iter(asked))]

    assert [document["id"] for document in documents] == columns["id"][::-1] * 300
    assert documents[0]["local"] == {"origin": API, "tag": "even"}


def test_a_local_of_the_api_gives_way_in_documents_and_comes_back_in_raw(store):
    saved = record(local={"tag": "ours"}, zone=1)
    saved.raw["local"] = {"theirs": 1}
    store.save(saved)
    text = next(store.documents([("p1", "")]))

    assert json.loads(text)["local"] == {"origin": API, "tag": "ours"}
    assert text.count('"local"') == 1
    assert only(store) == saved


def test_a_document_that_is_not_here_is_none(filled):
    asked = pairs(filled.columns(Query()))
    filled.delete(Query(pairs=asked[:1]), apply=True)
    found = list(filled.documents([*asked[:2], ("never", ""), (asked[1][0], "elsewhere")]))

    assert found[0] is found[2] is found[3] is None
    assert json.loads(found[1])["id"] == asked[1][0]


def test_one_id_of_two_origins_is_two_rows_and_without_an_origin_the_newest(store):
    here = "http://127.0.0.1:9/v1"
    store.save(record("p1", local={"tag": "old"}))
    store.save(record("p1", origin=here, local={"tag": "new"}))
    found = store.documents([("p1", API), ("p1", here), ("p1", "")])

    assert [json.loads(text)["local"]["tag"] for text in found] == ["old", "new", "new"]
    assert store.delete(Query(pairs=[("p1", API)]), apply=True) == 1
    assert store.columns(Query())["origin"] == [here]


def test_a_row_can_be_saved_while_documents_are_read(filled):
    for text in filled.documents(pairs(filled.columns(Query()))):
        filled.save(record(f"copy-{json.loads(text)['id']}"))

    assert filled.count(Query()) == 12


def test_an_id_is_found_by_its_beginning_and_the_exact_one_wins(store):
    for name in ("abc", "abcd", "abd", "b%"):
        store.save(record(name))

    assert [found.id for found in store.find("abc")] == ["abc"]
    assert [found.id for found in store.find("ab")] == ["abd", "abcd", "abc"]
    assert [found.id for found in store.find("b%")] == ["b%"]
    assert store.find("%") == store.find("") == store.find("ABC") == []


def test_the_unfinished_are_those_whose_end_is_not_known(store):
    store.save(record("a", status="starting"))
    store.save(record("b", status="odd"))
    store.save(record("c", status="odd", completed_at="2026-01-01T00:00:00Z"))
    store.save(record("d", status="aborted"))

    assert [found.id for found in store.unfinished()] == ["b", "a"]


def test_deleting_counts_first_and_deletes_only_when_told(filled, path):
    query = Query(status="failed", limit=2)

    assert filled.delete(query) == 2
    assert filled.count(Query()) == 6
    assert filled.delete(query, apply=True) == 2
    assert filled.columns(Query())["id"] == ["p4", "p2", "p1", "p0"]
    with closing(sqlite3.connect(path)) as connection:
        for table in ("text", "document"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (4,)


# -- export and import ------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(st.lists(records, max_size=4))
def test_an_export_read_by_another_store_is_the_same_export(saved):
    first, second = Store.in_memory(), Store.in_memory()
    for number, row in enumerate(saved):
        first.save(record_with(row, f"p{number}"))
    lines = list(first.export_lines())
    for line in [*lines, *lines]:
        second.import_lines([line])

    assert list(second.export_lines()) == lines
    assert not any("\n" in line for line in lines)


def test_many_rows_are_exported_in_the_order_they_were_kept(store):
    for number in range(250):
        store.save(record(f"p{number}", created_at=f"20{99 - number % 50:02}-01-01T00:00:00Z"))

    names = [json.loads(line)["raw"]["id"] for line in store.export_lines()]
    assert names == [f"p{number}" for number in range(250)]


def test_an_import_never_overwrites_something_fuller(store):
    old = Store.in_memory()
    old.save(record(**{**FULL, "output": ["older"], "metrics": {"only": 1}}, local={"tag": "old"}))
    store.save(record(**FULL, local={"tag": "new"}))
    store.import_lines(old.export_lines())

    found = only(store)
    assert found.raw["output"] == ["a", "b"]
    assert found.raw["metrics"] == {"only": 1, "predict_time": 1.5}
    assert found.local == {"tag": "new"}


def test_an_import_ends_a_row_whose_end_was_not_known(store):
    old = Store.in_memory()
    old.save(record(**FULL))
    store.save(record(status="processing", output=["a"]))
    store.import_lines(old.export_lines())

    assert only(store).raw["status"] == "succeeded"
    assert only(store).output == "ab"


@pytest.mark.parametrize(
    "line",
    ["", "{", "[]", "1", "{}", '{"raw": {}}', '{"raw": {"id": "p"}, "local": {}, "extra": 1}',
     '{"raw": {}, "local": {}, "model": "m", "origin": "o"}',
     '{"raw": {"id": "p"}, "local": {}, "model": 1, "origin": "o"}', "[" * 100_000],
    ids=lambda value: value[:40],
)  # fmt: skip
def test_a_line_that_is_not_of_an_export_is_told(store, line):
    with pytest.raises(ValueError, match="not a line of an export") as caught:
        store.import_lines([line])

    assert len(str(caught.value)) < 400


# -- the file ---------------------------------------------------------------------------------


@posix_only
def test_the_folder_and_the_files_are_private(store, path):
    store.save(record())

    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert set(modes) == {"history.db", "history.db-wal", "history.db-shm"}
    assert set(modes.values()) == {0o600}


def test_the_file_has_large_pages_and_a_write_ahead_log(store, path):
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA page_size").fetchone() == (16384,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA user_version").fetchone() == (len(STEPS),)


def test_history_works_where_a_write_ahead_log_does_not(store, path):
    store.save(record("before"))
    store.close()
    without = database._prepared(path, wal=False)
    again = Store(Connections(lambda: database._connected(path, wal=False), without, path=path))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: again.save(record(f"p{number}")), range(40)))

    assert again.count(Query()) == 41
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    again.close()


def test_closing_leaves_one_file_and_says_so_afterwards(store, path):
    store.save(record())
    assert store.size_bytes > 16384
    store.close()
    store.close()

    assert [file.name for file in path.parent.iterdir()] == ["history.db"]
    with pytest.raises(HistoryError, match="closed"):
        store.save(record())


def test_history_in_memory_has_no_path():
    store = Store.in_memory()
    store.save(record())

    assert (store.path, store.set_aside, store.count(Query())) == (None, None, 1)


@pytest.mark.parametrize("content", [b"This is not a database. " * 1000, b"x", bytes(9999)])
def test_a_file_that_is_not_a_database_is_set_aside_and_a_new_one_begun(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    path.with_name("history.db-wal").write_bytes(b"a log")
    store = Store.open(path)
    store.save(record())

    assert store.set_aside is not None
    assert store.set_aside.read_bytes() == content
    assert store.set_aside.name.startswith("history.db.corrupt-2")
    assert store.set_aside.with_name(f"{store.set_aside.name}-wal").read_bytes() == b"a log"
    assert store.count(Query()) == 1
    store.close()
    again = Store.open(path)
    assert again.set_aside is None
    assert again.count(Query()) == 1
    again.close()


def test_a_file_cut_short_is_set_aside(store, path):
    for number in range(50):
        store.save(record(f"p{number}", output=["x" * 5000]))
    store.close()
    os.truncate(path, path.stat().st_size // 2)
    new = Store.open(path)

    assert new.set_aside is not None
    assert new.count(Query()) == 0
    new.close()


def test_a_file_damaged_inside_is_told_in_one_line(store, path):
    for number in range(50):
        store.save(record(f"p{number}", output=["x" * 5000]))
    store.close()
    with path.open("r+b") as file:
        file.seek(16384)
        file.write(b"\xff" * (path.stat().st_size - 16384))
    damaged = Store.open(path)
    with pytest.raises(HistoryError, match=r"history\.db: database disk image is malformed"):
        damaged.columns(Query())
    damaged.close()


def test_an_empty_file_is_begun(path):
    path.parent.mkdir()
    path.touch()
    path.with_name("history.db-wal").write_bytes(b"left over" * 5000)
    store = Store.open(path)
    store.save(record())

    assert (store.set_aside, store.count(Query())) == (None, 1)
    store.close()


def test_a_newer_schema_is_refused_by_name_and_left_alone(store, path):
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    before = path.read_bytes()

    with pytest.raises(HistoryError, match=r"history\.db was written by a newer replicate_magic"):
        Store.open(path)
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(HistoryError, match=r"history\.db: .*") as caught:
        Store.open(tmp_path / "file" / "home" / "history.db")
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)


def test_a_file_locked_for_too_long_is_told(path):
    store = Store.open(path, busy_s=0.1)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(HistoryError, match=r"history\.db: database is locked"):
            store.save(record())
    store.save(record())
    assert store.count(Query()) == 1
    store.close()


def test_a_file_is_waited_for(store, path):
    with closing(sqlite3.connect(path, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(1) as pool:
            saved = pool.submit(store.save, record())
            with pytest.raises(TimeoutError):
                saved.result(timeout=0.3)
            other.rollback()
            saved.result(timeout=30)
    assert store.count(Query()) == 1


@pytest.mark.slow
def test_opening_a_file_again_drops_no_lock_of_this_process(store, path, script):
    with store._connections.lent(write=True):
        Store.open(path).close()
        code = """
            try:
                Store.open(sys.argv[1], busy_s=0.2).save(record("p2"))
            except HistoryError as error:
                print(error)
        """
        assert "database is locked" in result(script(code, path))


@pytest.fixture
def small_disk(tmp_path):
    """A disk of four megabytes, and how it is made read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this root may not mount")
    remount = ["mount", "-o", "remount,ro", folder]
    yield folder, lambda: subprocess.run(remount, check=True)
    subprocess.run(["umount", "-l", folder], check=True)


@root_only
def test_a_full_disk_is_told_and_loses_nothing_that_was_kept(small_disk):
    folder, _ = small_disk
    store = Store.open(folder / "history.db")
    kept = 0
    with pytest.raises(HistoryError, match="database or disk is full"):  # noqa: PT012  (until it is)
        for number in range(1000):
            store.save(record(f"p{number}", output=["x" * 20_000]))
            kept += 1
    assert kept > 5
    assert store.count(Query()) == kept
    store.close()
    assert is_intact(folder / "history.db")


@root_only
def test_a_disk_that_is_full_from_the_start_is_told(small_disk):
    folder, _ = small_disk
    with pytest.raises(OSError, match="space"):
        (folder / "filler").write_bytes(bytes(8_000_000))

    with pytest.raises(HistoryError):
        Store.open(folder / "history.db")


@root_only
def test_a_read_only_disk_is_told(small_disk):
    folder, make_read_only = small_disk
    store = Store.open(folder / "history.db")
    store.save(record())
    store.close()
    make_read_only()

    with pytest.raises(HistoryError, match="Read-only file system"):
        Store.open(folder / "history.db")


@posix_only
def test_a_read_only_folder_is_told(common_folder, as_nobody):
    common_folder.chmod(0o555)

    with as_nobody(), pytest.raises(HistoryError, match="Permission denied"):
        Store.open(common_folder / "history.db")


@posix_only
def test_a_limit_on_the_files_size_is_told(script, path):
    code = """
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        store = Store.open(sys.argv[1])
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        kept = 0
        try:
            for number in range(1000):
                store.save(record(f"p{number}", size=20_000))
                kept += 1
        except HistoryError as error:
            print(kept, store.count(Query()), "history.db" in str(error))
    """
    kept, counted, told = result(script(code, path)).split()

    assert int(kept) > 5
    assert (counted, told) == (kept, "True")
    assert is_intact(path)


# -- several threads and processes ------------------------------------------------------------


def test_threads_write_and_read_at_once(store):
    def work(number):
        for round_ in range(20):
            store.save(record(f"p{number}-{round_}"))
            assert f"p{number}-{round_}" in store.columns(Query(limit=500))["id"]

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(work, range(12)))
    assert store.count(Query()) == 240


def test_threads_share_a_history_in_memory():
    store = Store.in_memory()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: store.save(record(f"p{number}")), range(200)))

    assert store.count(Query()) == 200


@pytest.mark.slow
def test_twelve_processes_write_at_once_lose_nothing_and_none_waits_a_second(script, path):
    code = """
        store = Store.open(sys.argv[1])
        print("ready", flush=True)
        sys.stdin.readline()
        longest = 0.0
        for number in range(100):
            for status in ("starting", "succeeded"):
                began = time.perf_counter()
                store.save(record(f"{os.getpid()}-{number}", status))
                longest = max(longest, time.perf_counter() - began)
        print(longest)
        store.close()
    """
    processes = [script(code, path) for _ in range(12)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    longest_s = [float(result(process)) for process in processes]

    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT status, count(*) FROM prediction GROUP BY 1").fetchall()
    assert rows == [("succeeded", 1200)]
    assert max(longest_s) < 1
    assert is_intact(path)


def test_several_processes_begin_one_file_at_once(script, path):
    code = """
        sys.stdin.readline()
        store = Store.open(sys.argv[1])
        store.save(record(str(os.getpid())))
        print(store.set_aside)
    """
    processes = [script(code, path) for _ in range(8)]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()

    assert [result(process) for process in processes] == ["None\n"] * 8
    with closing(Store.open(path)) as store:
        assert store.count(Query()) == 8


def test_several_processes_set_a_corrupt_file_aside_once(script, path):
    path.parent.mkdir()
    path.write_bytes(b"garbage " * 5000)
    code = """
        sys.stdin.readline()
        store = Store.open(sys.argv[1])
        store.save(record(str(os.getpid())))
        print(store.set_aside is not None)
    """
    processes = [script(code, path) for _ in range(6)]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()

    assert sorted(result(process) for process in processes) == ["False\n"] * 5 + ["True\n"]
    with closing(Store.open(path)) as store:
        assert store.count(Query()) == 6
    assert len(list(path.parent.glob("*.corrupt-*"))) == 1


@posix_only
def test_a_process_killed_while_it_writes_loses_nothing_it_was_told_is_kept(script, path):
    code = """
        store = Store.open(sys.argv[1])
        for number in range(10**9):
            store.save(record(f"p{number}"))
            print(number, flush=True)
    """
    for after_lines in (1, 37, 300):
        process = script(code, path)
        for _ in range(after_lines):
            process.stdout.readline()
        process.kill()
        kept = [*range(after_lines), *map(int, process.communicate()[0].split())]
        assert path.with_name("history.db-wal").exists()
        with closing(Store.open(path)) as store:
            assert store.set_aside is None
            assert {f"p{number}" for number in kept} <= set(store.columns(Query())["id"])
        assert is_intact(path)


@posix_only
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_both_sides_of_a_fork_go_on_writing(store, path):
    store.save(record("before"))
    children = []
    for number in range(3):
        if (child := os.fork()) == 0:
            try:
                for round_ in range(20):
                    store.save(record(f"child-{number}-{round_}"))
                os._exit(1 - store.count(Query(ids=["before"])))
            finally:
                os._exit(2)
        children.append(child)
    for number in range(20):
        store.save(record(f"parent-{number}"))

    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]
    assert store.count(Query()) == 81
    store.close()
    assert is_intact(path)


@posix_only
def test_a_child_has_its_own_copy_of_a_history_in_memory():
    store = Store.in_memory()
    store.save(record("before"))
    if (child := os.fork()) == 0:
        try:
            store.save(record("child"))
            os._exit(2 - store.count(Query()))
        finally:
            os._exit(3)

    assert os.waitpid(child, 0)[1] == 0
    assert store.count(Query()) == 1


@posix_only
@pytest.mark.parametrize("kind", ["a file", "memory"])
def test_a_fork_does_not_wait_for_a_history_that_was_closed(path, kind):
    store = Store.open(path) if kind == "a file" else Store.in_memory()
    store.save(record("a"))
    store.close()
    began_s = time.monotonic()
    if (child := os.fork()) == 0:
        try:
            store.count(Query())
        except HistoryError:
            os._exit(0)
        finally:
            os._exit(1)

    assert os.waitpid(child, 0)[1] == 0
    assert time.monotonic() - began_s < 4  # it would wait for 5 s
    with pytest.raises(HistoryError, match="was closed"):
        store.count(Query())


@posix_only
def test_a_fork_waits_for_a_thread_that_writes(script, path):
    code = """
        import threading
        store = Store.open(sys.argv[1])
        stop = threading.Event()
        def write():
            number = 0
            while not stop.is_set():
                store.save(record(f"t{number}"))
                number += 1
        thread = threading.Thread(target=write)
        thread.start()
        for number in range(20):
            if (child := os.fork()) == 0:
                store.save(record(f"child-{number}"))
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
        stop.set()
        thread.join()
        print(len([name for name in store.columns(Query())["id"] if name.startswith("child")]))
    """
    assert result(script(code, path)) == "20\n"
    assert is_intact(path)


def test_recording_a_prediction_takes_under_a_millisecond(store):
    def seconds(number):
        began = time.perf_counter()
        store.save(record(f"p{number}", **FULL))
        return time.perf_counter() - began

    assert sorted(seconds(number) for number in range(400))[200] < 0.001
