"""A history that an earlier version wrote is brought up to date, and loses nothing.

`history_1.sql` is what the first released schema holds, `history_1.jsonl` the export of the same by
the code that wrote it.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from replicate_magic.cell.hiding import Secrets
from replicate_magic.errors import HistoryError
from replicate_magic.runs import store as store_module
from replicate_magic.runs.batches import BatchItem, BatchRecord
from replicate_magic.runs.history import History
from replicate_magic.runs.query import Query
from replicate_magic.runs.schema import STEPS
from replicate_magic.runs.store import Store

HERE = Path(__file__).parent
ROOT = Path(store_module.__file__).parents[2]
LINES = (HERE / "history_1.jsonl").read_text("utf-8").splitlines()
OLD_INSERT = """
    INSERT INTO prediction (id, origin, model, status, created_us, metrics, local)
    VALUES (?, 'https://x/v1', 'o/n', 'succeeded', 1, '{}', ?)
"""


@pytest.fixture
def path(tmp_path):
    """The file as the first version left it."""
    path = tmp_path / "history.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA page_size = 16384")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript((HERE / "history_1.sql").read_text("utf-8"))
        connection.execute("PRAGMA user_version = 1")
    return path


@pytest.fixture
def other(path):
    """A connection such as another process has, which knows the first schema only."""
    with closing(
        sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    ) as connection:
        assert connection.execute("SELECT count(*) FROM prediction").fetchone() == (len(LINES),)
        yield connection


def version(path):
    with closing(sqlite3.connect(path)) as connection:
        [found] = connection.execute("PRAGMA user_version").fetchone()
    return found


def is_intact(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_every_row_of_the_first_version_is_there_afterwards(path):
    with closing(Store.open(path)) as store:
        assert list(store.export_lines()) == LINES
        assert store.set_aside is None
    assert version(path) == len(STEPS) > 1
    assert is_intact(path)


def test_a_file_brought_up_to_date_has_the_tables_of_a_new_one(path, tmp_path):
    Store.open(path).close()
    Store.open(tmp_path / "new.db").close()
    schemas = []
    for one in (path, tmp_path / "new.db"):
        with closing(sqlite3.connect(one)) as connection:
            rows = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
        schemas.append(
            {(kind, name): " ".join(sql.split()) if sql else "" for kind, name, sql in rows}
        )

    assert schemas[0] == schemas[1]


def test_what_is_new_works_on_an_old_file(path):
    history = History(path)
    history.import_lines([LINES[0].replace('"tag":"t"', '"request_sha256":"a"', 1)])
    history.begin_batch(BatchRecord(id="b1"))
    history.add_items(
        "b1", [BatchItem(number=0, target="a/b", input={"prompt": "x"}, secrets=Secrets())]
    )

    assert history.answers("a") == history.find("told")
    assert history.find("told")[0].local["tag"] == "t"
    assert [item.input for item in history.batch_items("b1")] == [{"prompt": "x"}]
    assert history.delete([("told", "https://api.replicate.com/v1")]) == (1, 0)
    history.close()


def test_requests_of_batches_that_had_a_digest_are_kept_without_it(tmp_path):
    path = tmp_path / "history.db"
    with closing(sqlite3.connect(path)) as connection:
        for step in STEPS[:2]:
            for statement in step.statements:
                connection.execute(statement)
        connection.execute("PRAGMA user_version = 2")
        connection.execute("INSERT INTO batch VALUES ('b1', 1, 1, '{}', 'ended', 2)")
        connection.execute(
            """INSERT INTO batch_item VALUES ('b1', 0, 'a/b', '', '{"input":{"prompt":"x"}}')"""
        )
        connection.commit()
    history = History(path)

    assert [(one.target, one.input) for one in history.batch_items("b1")] == [
        ("a/b", {"prompt": "x"})
    ]
    assert history.batch("b1").ended_at is not None
    history.drop_batch("b1")
    assert list(history.batch_items("b1")) == []
    history.close()


def test_a_process_that_reads_it_meanwhile_goes_on_reading_what_it_saw(path, other):
    other.execute("BEGIN")
    before = other.execute("SELECT * FROM prediction").fetchall()
    with closing(Store.open(path)) as store:
        store.delete(Query(), apply=True)
        assert other.execute("SELECT * FROM prediction").fetchall() == before
        other.execute("COMMIT")
        assert other.execute("SELECT count(*) FROM prediction").fetchone() == (0,)


def test_a_process_that_writes_it_is_waited_for_and_goes_on_writing(path, other):
    other.execute("BEGIN IMMEDIATE")
    other.execute(OLD_INSERT, ("before", '{"request_sha256":"a"}'))
    freed_s = []

    def free():
        time.sleep(0.3)
        freed_s.append(time.monotonic())
        other.execute("COMMIT")

    freeing = threading.Thread(target=free)
    freeing.start()
    with closing(Store.open(path)) as store:
        assert time.monotonic() > freed_s[0]
        freeing.join()
        other.execute(OLD_INSERT, ("after", '{"request_sha256":"a"}'))
        other.execute("DELETE FROM prediction WHERE id = 'failed'")
        asked = "json_extract(local, '$.request_sha256') = 'a' ORDER BY key"
        with store._connections.lent() as connection:
            found = connection.execute(f"SELECT id FROM prediction WHERE {asked}").fetchall()
        assert found == [("before",), ("after",)]
        assert store.find("failed") == []
    assert is_intact(path)


def test_several_processes_bring_it_up_to_date_at_once(path):
    code = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from replicate_magic.runs.store import Query, Store
print("ready", flush=True)
sys.stdin.readline()
store = Store.open(sys.argv[1])
print(store.count(Query()), flush=True)
"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate(timeout=60)[0] for process in processes]

    assert told == [f"{len(LINES)}\n"] * 6
    assert version(path) == len(STEPS)
    assert is_intact(path)


def test_a_step_that_cannot_be_taken_is_told_and_leaves_the_file_as_it_was(path, other):
    other.execute(OLD_INSERT, ("broken", "no JSON"))
    with pytest.raises(HistoryError, match="malformed JSON"):
        Store.open(path)

    assert version(path) == 1
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        assert {name for [name] in names} == {"prediction", "text", "document"}
    other.execute("DELETE FROM prediction WHERE id = 'broken'")
    with closing(Store.open(path)) as store:
        assert list(store.export_lines()) == LINES
