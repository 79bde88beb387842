"""Owns history: every prediction kept, and found again; must not know how a table of it looks.

Narrow columns, the texts that are searched, and the documents lie in tables of their own, so that a
table of 100,000 runs reads no document.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replicate_magic.errors import HistoryError
from replicate_magic.plain import one_line
from replicate_magic.prediction import FINAL
from replicate_magic.runs.batches import Batches, forget
from replicate_magic.runs.database import open_file, open_memory
from replicate_magic.runs.glance import Glance, glances
from replicate_magic.runs.lines import line_of, read_lines
from replicate_magic.runs.query import OF_BATCH, OF_ITEM, OF_REQUEST, Query, selection
from replicate_magic.runs.record import (
    Record,
    after_import,
    after_save,
    columns_of,
    plain_text,
    to_json,
)
from replicate_magic.runs.sent import SentRequests

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator

    from replicate_magic.runs.connections import Connections

__all__ = ["COLUMNS", "Query", "Record", "Store"]

COLUMNS = (
    "id", "origin", "model", "version", "status", "prompt", "output", "error",
    "created_us", "started_us", "completed_us", "tag", "metrics", "local",
)  # fmt: skip
"""What `Store.columns` gives. `metrics` and `local` are JSON objects of flat names."""

_REPEATED = frozenset({"origin", "model", "version", "status", "tag"})
_ROWS = 2_000
_DOCUMENTS = 500
_EXPORTED = 100
_IMPORTED = 500

_READ = """
    SELECT key, origin, model, prompt, output, raw, raw_local, document.local
    FROM prediction JOIN text USING (key) JOIN document USING (key)
"""
_FILES = """
    SELECT json_extract(file.value, '$.path')
    FROM document, json_each(document.local, '$.files') AS file
"""
_NEWEST_FIRST = " ORDER BY created_us DESC, key DESC"


class Store:
    """History in one file, for several threads and processes at once.

    All methods raise `HistoryError`, and nothing of SQLite's, where the file cannot be read or
    written. A generator holds no connection between two of its values.

    Attributes:
        path: the file, or `None` in memory.
        set_aside: where a corrupt file went that lay there before, if one did.
        batches: the batches in it.
        sent: the requests in it that have no id yet.
    """

    def __init__(self, connections: Connections, *, set_aside: Path | None = None) -> None:
        self.path = connections.path
        self.set_aside = set_aside
        self.batches = Batches(connections)
        self.sent = SentRequests(connections)
        self._connections = connections

    @classmethod
    def open(cls, path: str | Path, *, busy_s: float = 30.0) -> Store:
        """Opens a history file, or begins one.

        Its folder is made with mode 0700 where there is none, and the file has mode 0600. What is
        not a database, or a corrupt one, is set aside as `NAME.corrupt-YYYYmmdd-HHMMSS`.

        Args:
            path: the file.
            busy_s: seconds to wait for another process that writes.

        Raises:
            HistoryError: the file cannot be written, or a newer version of this package made it.
        """
        connections, set_aside = open_file(Path(path).absolute(), busy_s=busy_s)
        return cls(connections, set_aside=set_aside)

    @classmethod
    def in_memory(cls) -> Store:
        """Begins a history that ends with the process."""
        return cls(open_memory())

    def close(self) -> None:
        """Closes the file and empties its write-ahead log, which a read-only disk could not."""
        self._connections.close()

    @property
    def size_bytes(self) -> int:
        """How much the file takes, with its write-ahead log."""
        if self.path is None:
            return 0
        files = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    # -- writing ------------------------------------------------------------------------------

    def save(self, record: Record) -> None:
        """Keeps a prediction, or what is new about one.

        What is stored stays where the new answer is emptier: Replicate deletes input, output and
        logs after an hour. A final status stays final.
        """
        self._keep([record], after_save)

    def save_all(self, records: Iterable[Record]) -> None:
        """Keeps predictions in one transaction: all of them, or none."""
        self._keep(records, after_save)

    def import_lines(self, texts: Iterable[str]) -> int:
        """Adds lines of `export_lines`. What is stored already is only added to, or ended.

        Returns:
            How many there were.

        Raises:
            ValueError: a line is not one of an export, and says which; those before it are kept.
            HistoryError: they could not be written.
        """
        count, lines = 0, iter(texts)
        while some := list(islice(lines, _IMPORTED)):
            records, wrong = read_lines(some, count)
            self._keep(records, after_import)
            count += len(records)
            if wrong:
                raise wrong
        return count

    def _keep(self, records: Iterable[Record], joined: Callable[[Record, Record], Record]) -> None:
        with self._connections.lent(write=True) as connection:
            for record in records:
                if not record.id:
                    raise HistoryError("a prediction without an id cannot be kept")
                with _writable(record.id):
                    _keep_one(connection, record, joined)

    def delete(self, query: Query, *, apply: bool = False) -> int:
        """Counts the rows that are meant, and with `apply` deletes them.

        The requests of batches that they answered go too, and a batch with its last row.

        Returns:
            How many rows were, or would be, deleted.
        """
        if not apply:
            return self.count(query)
        keys, values = selection(query, "key")
        meant = f"FROM prediction WHERE key IN ({keys})"
        batches = f"SELECT {OF_BATCH}, {OF_ITEM} {meant} AND {OF_BATCH} IS NOT NULL"
        with self._connections.lent(write=True) as connection:
            of_batches = connection.execute(batches, values).fetchall()
            deleted = connection.execute(f"DELETE {meant}", values).rowcount
            forget(connection, of_batches)
            return deleted

    def files(self, query: Query) -> list[str]:
        """The paths of the files that rows name as saved: `local.files[].path`."""
        keys, values = selection(query, "key")
        sql = f"{_FILES} WHERE document.key IN ({keys})"
        with self._connections.lent() as connection:
            return [path for [path] in connection.execute(sql, values) if isinstance(path, str)]

    # -- reading ------------------------------------------------------------------------------

    def count(self, query: Query) -> int:
        """How many rows are meant."""
        keys, values = selection(query, "key")
        sql = f"SELECT count(*) FROM ({keys})"  # noqa: S608  (constants)
        with self._connections.lent() as connection:
            [found] = connection.execute(sql, values).fetchone()
        return int(found)

    def columns(self, query: Query) -> dict[str, list[Any]]:
        """The rows that are meant, newest first, a list for each of `COLUMNS`.

        Times are microseconds since 1970, UTC, or `None`. No document is read.
        """
        columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        known: dict[Any, Any] = {}  # one string for each model, not one for each row
        with self._connections.lent() as connection:
            cursor = connection.execute(*selection(query, ", ".join(COLUMNS)))
            while rows := cursor.fetchmany(_ROWS):
                for (name, column), values in zip(
                    columns.items(), zip(*rows, strict=True), strict=True
                ):
                    column.extend(
                        map(known.setdefault, values, values) if name in _REPEATED else values
                    )
        return columns

    def documents(self, pairs: Iterable[tuple[str, str]]) -> Iterator[str | None]:
        """The JSON texts of predictions in the order asked: the API's, with ours as `local`.

        Args:
            pairs: ids with their origins; without an origin, the newest row of this id is meant.

        Returns:
            `None` for a prediction that is not here.
        """
        wanted = [(plain_text(name), plain_text(at)) for name, at in pairs]
        for start in range(0, len(wanted), _DOCUMENTS):
            some = wanted[start : start + _DOCUMENTS]
            found = self._raw_and_local(sorted({name for name, _ in some}))
            for pair in some:
                raw, local = found.get(pair, ("", ""))
                yield f'{raw[:-1]},"local":{local}}}' if raw else None

    def _raw_and_local(self, ids: list[str]) -> dict[tuple[str, str], tuple[str, str]]:
        marks = ",".join("?" * len(ids))
        sql = (
            f"SELECT id, origin, raw, document.local FROM prediction "  # noqa: S608  (marks)
            f"JOIN document USING (key) WHERE id IN ({marks}) ORDER BY key"
        )
        found: dict[tuple[str, str], tuple[str, str]] = {}
        with self._connections.lent() as connection:
            for name, origin, raw, local in connection.execute(sql, ids):
                found[name, origin] = found[name, ""] = (raw, _with_origin(local, origin))
        return found

    def has(self, prediction_id: str) -> bool:
        """Whether there is a row of this id."""
        with self._connections.lent() as connection:
            sql = "SELECT 1 FROM prediction WHERE id = ?"
            return connection.execute(sql, (plain_text(prediction_id),)).fetchone() is not None

    def find(self, prefix: str) -> list[Record]:
        """The predictions whose id begins so, newest first; only those with this very id, if any.

        One id may stand for several rows, of several origins. An empty prefix finds nothing.
        """
        prefix = plain_text(prefix)
        if not prefix:
            return []
        end = f"{prefix}\U0010ffff"
        return self._records("id = ?", prefix) or self._records("id >= ? AND id < ?", prefix, end)

    def glances(self, *, prefix: str = "", limit: int) -> list[Glance]:
        """The newest runs at a glance; with a prefix some of those whose ids begin so."""
        with self._connections.lent() as connection:
            return glances(connection, prefix=prefix, limit=limit)

    def answers(
        self, request_sha256: str, *, nth: int = 1, limit: int | None = None
    ) -> list[Record]:
        """The predictions that answered a request like this one, newest first.

        Those count that succeeded and whose output is here, wherever they ran. Whether the files
        that they name are still there is not looked at.

        Args:
            request_sha256: as `cell.fingerprint` makes it.
            nth: from which on, 1 being the newest.
            limit: only so many.
        """
        sql = f"{_READ} WHERE {OF_REQUEST} = ? AND status = 'succeeded'{_NEWEST_FIRST}"
        with self._connections.lent() as connection:
            rows = connection.execute(sql, (plain_text(request_sha256),))
            found = (record for record in map(_record, rows) if record.is_answer)
            return list(islice(found, nth - 1, None if limit is None else nth - 1 + limit))

    def batch_runs(self, batch_id: str) -> list[Record]:
        """The predictions of a batch, newest first."""
        return self._records(f"{OF_BATCH} = ?", plain_text(batch_id))

    def find_all(self) -> list[Record]:
        """All predictions, newest first: of a store that is known to be small."""
        return self._records("1")

    def unfinished(self) -> list[Record]:
        """The predictions whose end is not known here, newest first."""
        marks = ", ".join("?" * len(FINAL))
        found = self._records(f"status NOT IN ({marks})", *sorted(FINAL))
        return [record for record in found if not record.final]

    def _records(self, condition: str, *values: str) -> list[Record]:
        with self._connections.lent() as connection:
            rows = connection.execute(f"{_READ} WHERE {condition}{_NEWEST_FIRST}", values)
            return [_record(row) for row in rows]

    def export_lines(self) -> Iterator[str]:
        """A line of JSON for each row, in the order in which they were first kept.

        The keys are origin, model, prompt, output, local and raw, the API's JSON. Batches are not
        among them; a run of one still names it.
        """
        after, sql = 0, f"{_READ} WHERE key > ? ORDER BY key LIMIT ?"
        while True:
            with self._connections.lent() as connection:
                rows = connection.execute(sql, (after, _EXPORTED)).fetchall()
            if not rows:
                return
            yield from (line_of(_record(row)) for row in rows)
            after = rows[-1][0]


def _keep_one(
    connection: sqlite3.Connection, record: Record, joined: Callable[[Record, Record], Record]
) -> None:
    found = connection.execute(
        f"{_READ} WHERE id = ? AND origin = ?",
        (plain_text(record.id), plain_text(record.origin)),
    ).fetchone()
    if found is None:
        _write(connection, None, record)
    else:
        _write(connection, found[0], joined(_record(found), record))


def _with_origin(local: str, origin: str) -> str:
    """What we add to a document: with where it was made."""
    rest = local[1:]
    return f'{{"origin":{_quoted(origin)}{rest if rest == "}" else f",{rest}"}'


@cache
def _quoted(origin: str) -> str:
    return to_json(origin)


@contextmanager
def _writable(name: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, RecursionError) as error:
        raise HistoryError(
            one_line(f"prediction {name} cannot be written as JSON: {error}")
        ) from error


def _write(connection: sqlite3.Connection, key: int | None, record: Record) -> None:
    narrow = columns_of(record)
    raw = {name: value for name, value in record.raw.items() if name != "local"}
    raw_local = to_json(record.raw["local"]) if "local" in record.raw else None
    if key is None:
        names, marks = ", ".join(narrow), ", ".join("?" * len(narrow))
        sql = f"INSERT INTO prediction ({names}) VALUES ({marks})"  # noqa: S608  (constants)
        key = connection.execute(sql, tuple(narrow.values())).lastrowid
    else:
        names = ", ".join(f"{name} = ?" for name in narrow)
        sql = f"UPDATE prediction SET {names} WHERE key = ?"  # noqa: S608  (constants)
        connection.execute(sql, (*narrow.values(), key))
    texts = (key, plain_text(record.prompt), plain_text(record.output))
    documents = (key, to_json(raw), raw_local, to_json(record.local))
    connection.execute("REPLACE INTO text VALUES (?, ?, ?)", texts)
    connection.execute("REPLACE INTO document VALUES (?, ?, ?, ?)", documents)


def _record(row: tuple[Any, ...]) -> Record:
    """A row of `_READ`."""
    _key, origin, model, prompt, output, raw, raw_local, local = row
    theirs = {} if raw_local is None else {"local": json.loads(raw_local)}
    return Record(
        raw={**json.loads(raw), **theirs},
        model=model,
        origin=origin,
        local=json.loads(local),
        prompt=prompt,
        output=output,
    )
