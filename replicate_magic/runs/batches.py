"""Owns batches in one file of history: their rows, and what each request asks for; no run of them.

Exports and imports of runs carry no batches; the runs still name theirs, as `local.batch`.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from replicate_magic.errors import HistoryError
from replicate_magic.plain import one_line
from replicate_magic.runs.batch_items import (
    BatchItem,
    BatchRecord,
    State,
    packed,
    references,
    unpacked,
)
from replicate_magic.runs.driving import driver_of
from replicate_magic.runs.query import OF_BATCH, OF_ITEM
from replicate_magic.runs.record import microseconds, moment_of, plain_text, to_json

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from replicate_magic.runs.connections import Connections
    from replicate_magic.runs.driving import Driver

__all__ = ["BatchItem", "BatchRecord", "Batches", "State"]

_WRITTEN = 1_000  # items a transaction
_READ = 100  # items at a time: their texts may be long

_PUT = """
    INSERT INTO batch (id, created_us, total, settings, state, ended_us)
    VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET
        created_us = coalesce(created_us, excluded.created_us),
        total = coalesce(excluded.total, total),
        settings = coalesce(excluded.settings, settings),
        state = coalesce(excluded.state, state),
        ended_us = CASE WHEN excluded.state IS NULL THEN ended_us ELSE excluded.ended_us END
"""
_PUT_ITEM = "REPLACE INTO batch_item (batch, number, target, item) VALUES (?, ?, ?, ?)"
_ROWS = """
    SELECT id, created_us, total, settings, state, ended_us FROM batch
    ORDER BY created_us DESC, rowid DESC
"""
_ITEMS = """
    SELECT number, target, item FROM batch_item
    WHERE batch = ? AND number > ? ORDER BY number LIMIT ?
"""
_TEXTS = """
    SELECT sha256, text FROM batch_text
    WHERE batch = ? AND sha256 IN (SELECT value FROM json_each(?))
"""


class Row(NamedTuple):
    """A batch as a file has it; what is `None`, another file may know."""

    id: str
    created_us: int | None = None
    total: int | None = None
    settings: str | None = None
    state: State | None = None
    ended_us: int | None = None

    def then(self, newer: Row) -> Row:
        """What is known of it by both, the same that a file makes of them."""
        return Row(
            self.id,
            newer.created_us if self.created_us is None else self.created_us,
            self.total if newer.total is None else newer.total,
            self.settings if newer.settings is None else newer.settings,
            self.state if newer.state is None else newer.state,
            self.ended_us if newer.state is None else newer.ended_us,
        )


class Batches:
    """The batches of one file; all methods raise `HistoryError` where it fails."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    # -- writing ------------------------------------------------------------------------------

    def begin(self, record: BatchRecord) -> None:
        """Keeps a batch, or what is new about one: it may be begun again."""
        try:
            settings = to_json(record.settings)
        except (ValueError, RecursionError) as error:
            raise _unwritable(record.id, error) from error
        created_us, ended_us = microseconds(record.created_at), microseconds(record.ended_at)
        batch_id = plain_text(record.id)
        self._put(Row(batch_id, created_us, record.total, settings, record.state, ended_us))

    def end(self, batch_id: str, state: State, ended_at: datetime | None) -> None:
        """Keeps that a batch has ended, or goes on."""
        self._put(Row(plain_text(batch_id), state=state, ended_us=microseconds(ended_at)))

    def add(self, batch_id: str, items: Iterable[BatchItem]) -> None:
        """Keeps requests of a batch, many in one transaction; one of the same number goes."""
        batch_id, left = plain_text(batch_id), iter(items)
        while some := list(islice(left, _WRITTEN)):
            texts: dict[str, str] = {}
            rows = [_row_of(batch_id, item, texts) for item in some]
            referred = [(batch_id, sha256, text) for text, sha256 in texts.items()]
            with self._connections.lent(write=True) as connection:
                connection.execute("INSERT OR IGNORE INTO batch (id) VALUES (?)", (batch_id,))
                connection.executemany(
                    "INSERT OR IGNORE INTO batch_text (batch, sha256, text) VALUES (?, ?, ?)",
                    referred,
                )
                connection.executemany(_PUT_ITEM, rows)

    def take(self, other: Batches) -> None:
        """Adds all that another file has, which is newer."""
        for row in other.rows():
            self._put(row)
            self.add(row.id, other.items(row.id))

    def drop(self, batch_id: str) -> None:
        """Deletes a batch and its requests; runs of it stay."""
        with self._connections.lent(write=True) as connection:
            connection.execute("DELETE FROM batch WHERE id = ?", (plain_text(batch_id),))

    def drive(
        self, batch_id: str, driver: Driver | None, is_another: Callable[[Driver], bool]
    ) -> Driver | None:
        """Keeps who drives a batch, unless another does; nobody else changes that meanwhile.

        Args:
            batch_id: which.
            driver: who is to drive it; `None` to ask only.
            is_another: whether the one that is kept is another, and lives.

        Returns:
            That other one, where there is one.
        """
        with self._connections.lent(write=True) as connection:
            asked = "SELECT driver FROM batch WHERE id = ? AND driver IS NOT NULL"
            for [told] in connection.execute(asked, (plain_text(batch_id),)).fetchall():
                if is_another(kept := driver_of(told)):
                    return kept
            if driver:
                change = "UPDATE batch SET driver = ? WHERE id = ?"
                connection.execute(change, (driver.told(), plain_text(batch_id)))
        return None

    def leave(self, batch_id: str, driver: Driver) -> None:
        """Keeps that somebody drives a batch no longer."""
        with self._connections.lent(write=True) as connection:
            change = "UPDATE batch SET driver = NULL WHERE id = ? AND driver = ?"
            connection.execute(change, (plain_text(batch_id), driver.told()))

    def _put(self, row: Row) -> None:
        with self._connections.lent(write=True) as connection:
            connection.execute(_PUT, row)

    # -- reading ------------------------------------------------------------------------------

    def rows(self) -> list[Row]:
        """All batches, newest first."""
        with self._connections.lent() as connection:
            return [Row(*row) for row in connection.execute(_ROWS)]

    def items(self, batch_id: str) -> Iterator[BatchItem]:
        """The requests of a batch, in the order of their numbers."""
        batch_id, after = plain_text(batch_id), -1
        while True:
            with self._connections.lent() as connection:
                rows = connection.execute(_ITEMS, (batch_id, after, _READ)).fetchall()
                wanted = _all(references(told) for *_, told in rows)
                texts = dict(connection.execute(_TEXTS, (batch_id, to_json([*wanted]))))
            if not rows:
                return
            for row in rows:
                yield _item_of(batch_id, row, texts)
            after = rows[-1][0]


def records_of(stores: Iterable[Batches]) -> list[BatchRecord]:
    """The batches of several files as one, newest first.

    Args:
        stores: those that know better come later.
    """
    known: dict[str, Row] = {}
    for row in (row for store in stores for row in store.rows()):
        known[row.id] = known[row.id].then(row) if row.id in known else row
    rows = sorted(known.values(), key=lambda row: row.created_us or 0, reverse=True)
    return [_record_of(row) for row in rows if row.created_us is not None]


def forget(connection: sqlite3.Connection, runs: Iterable[tuple[str, int | None]]) -> None:
    """Deletes the requests of runs that are deleted, and a batch with its last run.

    A request that has another run stays. Nobody runs again what was deleted on purpose.

    Args:
        connection: within a transaction that has deleted the runs.
        runs: the batch of each of them, and the number of its request.
    """
    numbers: dict[str, set[int | None]] = {}
    for batch_id, number in runs:
        numbers.setdefault(batch_id, set()).add(number)
    left_of = f"SELECT DISTINCT {OF_ITEM} FROM prediction WHERE {OF_BATCH} = ?"  # noqa: S608  (constants)
    for batch_id, deleted in numbers.items():
        left = {number for [number] in connection.execute(left_of, (batch_id,))}
        if not left:
            connection.execute("DELETE FROM batch WHERE id = ?", (batch_id,))
            continue
        connection.executemany(
            "DELETE FROM batch_item WHERE batch = ? AND number = ?",
            [(batch_id, number) for number in deleted - left],
        )
        _forget_texts(connection, batch_id)


def _forget_texts(connection: sqlite3.Connection, batch_id: str) -> None:
    """Deletes the texts that no request refers to any more."""
    items = connection.execute("SELECT item FROM batch_item WHERE batch = ?", (batch_id,))
    used = _all(references(told) for [told] in items)
    connection.execute(
        "DELETE FROM batch_text WHERE batch = ? AND sha256 NOT IN (SELECT value FROM json_each(?))",
        (batch_id, to_json([*used])),
    )


def _all(several: Iterable[set[str]]) -> set[str]:
    return set[str]().union(*several)


def _row_of(batch_id: str, item: BatchItem, texts: dict[str, str]) -> tuple[Any, ...]:
    try:
        told = packed(item, texts)
    except (ValueError, TypeError, RecursionError) as error:
        raise _unwritable(batch_id, error) from error
    return batch_id, item.number, plain_text(item.target), told


def _unwritable(batch_id: str, error: Exception) -> HistoryError:
    return HistoryError(one_line(f"batch {batch_id} cannot be written as JSON: {error}"))


def _item_of(batch_id: str, row: tuple[Any, ...], texts: dict[str, str]) -> BatchItem:
    number, target, told = row
    try:
        return unpacked(number, target, told, texts)
    except (KeyError, ValueError, TypeError) as error:
        raise HistoryError(f"request {number} of batch {batch_id} is damaged") from error


def _record_of(row: Row) -> BatchRecord:
    return BatchRecord(
        id=row.id,
        created_at=moment_of(row.created_us or 0),
        total=row.total,
        settings=json.loads(row.settings or "{}"),
        state=row.state or "ended",
        ended_at=None if row.ended_us is None else moment_of(row.ended_us),
    )
