"""Owns lending one database to several threads, and to both sides of a fork; must not know queries.

SQLite forbids two things: to share a connection between threads without a lock, and to carry an
open one across a fork (https://www.sqlite.org/howtocorrupt.html, 2.6). Its table of open files is
copied by a fork while the locks are not, so that even a fresh connection of the child would believe
that it holds them. So each connection is lent to one thread at a time, and closed before a fork.
"""

from __future__ import annotations

import os
import queue
import sqlite3
import time
import weakref
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING

from replicate_magic.errors import HistoryError
from replicate_magic.plain import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    _Slots = queue.LifoQueue[sqlite3.Connection | None]

BUSY_S = 30.0
_TRY_AGAIN_S = 0.001
_CLOSE_S = 1.0
_FORK_S = 5.0
_LENT_AT_ONCE = 4


@contextmanager
def telling(path: Path | None) -> Iterator[None]:
    """Turns what SQLite and the file system raise into a `HistoryError`."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        where = path or "memory"
        raise HistoryError(one_line(f"the history in {where}: {error}", limit=500)) from error


class Connections:
    """Connections to one database, each lent to one thread at a time."""

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection] | None,
        first: sqlite3.Connection,
        *,
        path: Path | None,
        busy_s: float = BUSY_S,
    ) -> None:
        self.path = path
        self._busy_s = busy_s
        self._connect = connect
        self._closed = False
        self._parking: _Slots | None = None
        self._parked: list[sqlite3.Connection | None] = []
        self._size = 1 if connect is None else _LENT_AT_ONCE
        self._slots = _filled([*[None] * (self._size - 1), first])
        self._turns = _filled([None])
        _OPEN.add(self)

    @contextmanager
    def lent(self, *, write: bool = False) -> Iterator[sqlite3.Connection]:
        """Lends a connection; with `write`, within a transaction that ends with the block.

        Raises:
            HistoryError: instead of whatever SQLite raises, here or in the block.
        """
        with telling(self.path), self._turn() if write else nullcontext():
            connection = self._taken()
            try:
                with transaction(connection, busy_s=self._busy_s) if write else nullcontext():
                    yield connection
            finally:
                self._give_back(connection)

    def close(self) -> None:
        """Closes what is not lent, the rest when it comes back; empties the write-ahead log."""
        self._closed = True
        slots = self._drained(self._slots, 0)
        idle = [slot for slot in slots if slot is not None]
        try:
            with telling(self.path):
                if idle and self.path is not None:
                    idle[0].execute(f"PRAGMA busy_timeout = {_CLOSE_S * 1000:.0f}")
                    with suppress(sqlite3.OperationalError):  # read-only by now, or used elsewhere
                        idle[0].execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                for connection in idle:
                    connection.close()
        finally:
            for _ in slots:  # a fork waits until all slots are there
                self._slots.put(None)

    def park(self) -> None:
        """Closes all files, and lends nothing until `unpark`: the process is about to fork.

        Waits a little for what is lent. It comes back to a queue of its own, since a thread that
        writes without a pause would take it again at once.
        """
        self._parking = _filled(())
        parked = self._drained(self._slots, 0)
        parked += self._drained(self._parking, _FORK_S, wanted=self._size - len(parked))
        self._parked = parked if self._connect is None else [None] * len(parked)
        if self._connect is not None:
            for connection in filter(None, parked):
                with suppress(sqlite3.Error):
                    connection.close()

    def unpark(self, *, child: bool) -> None:
        """Lends again, after a fork. A child waits for no thread of its parent's."""
        late, self._parking = self._parking, None
        if child:
            self._turns = _filled([None])
            full = [None] * self._size
            self._slots = _filled(self._parked if self._connect is None else full)
            return
        for slot in (*self._parked, *self._drained(late or _filled(()), 0)):
            self._slots.put(slot)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One writer at a time: SQLite takes one, and those that wait would hold up readers."""
        turns = self._turns  # a forked child has others
        try:
            turn = turns.get(timeout=self._busy_s)
        except queue.Empty as error:
            raise HistoryError(f"the history in {self.path or 'memory'} is in use") from error
        try:
            yield
        finally:
            turns.put(turn)

    def _taken(self) -> sqlite3.Connection:
        try:
            slot = self._slots.get(timeout=0 if self._closed else self._busy_s)
        except queue.Empty as error:
            why = "was closed" if self._closed else "is in use"
            raise HistoryError(f"the history in {self.path or 'memory'} {why}") from error
        if self._closed:
            self._give_back(slot)
            raise HistoryError(f"the history in {self.path or 'memory'} was closed")
        if slot is not None:
            return slot
        try:
            return self._connect()  # type: ignore[misc]  # a memory's one slot is never empty
        except BaseException:
            self._slots.put(None)
            raise

    def _give_back(self, connection: sqlite3.Connection | None) -> None:
        if self._closed and connection is not None:
            connection.close()
            connection = None
        (self._slots if self._parking is None else self._parking).put(connection)

    def _drained(
        self, slots: _Slots, deadline_s: float, *, wanted: int = _LENT_AT_ONCE
    ) -> list[sqlite3.Connection | None]:
        """What a queue holds, waiting that long until it is as much as is wanted."""
        until = time.monotonic() + deadline_s
        drained: list[sqlite3.Connection | None] = []
        with suppress(queue.Empty):
            while len(drained) < wanted:
                drained.append(slots.get(timeout=max(0.0, until - time.monotonic())))
        return drained


def _filled(slots: Sequence[sqlite3.Connection | None]) -> _Slots:
    """A queue that hands out the slot used last, whose cache is warm."""
    filled: _Slots = queue.LifoQueue()
    for slot in slots:
        filled.put(slot)
    return filled


@contextmanager
def transaction(connection: sqlite3.Connection, *, busy_s: float = BUSY_S) -> Iterator[None]:
    """A transaction that takes the lock at once: one that reads first may find itself locked out.

    https://www.sqlite.org/lang_transaction.html
    """
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        when_free(lambda: connection.execute("BEGIN IMMEDIATE"), busy_s=busy_s)
    finally:
        connection.execute(f"PRAGMA busy_timeout = {busy_s * 1000:.0f}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # a full disk has ended the transaction already
            connection.execute("ROLLBACK")
        raise


def when_free(change: Callable[[], object], *, busy_s: float = BUSY_S) -> None:
    """Tries again while the file is locked.

    SQLite's own waiting sleeps longer and longer, so that among many writers the one that has
    waited longest is served last; and it does not wait at all to change the journal.
    """
    until = time.monotonic() + busy_s
    while True:
        try:
            change()
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > until:
                raise
            time.sleep(_TRY_AGAIN_S)
        else:
            return


# -- forks ------------------------------------------------------------------------------------

_OPEN: weakref.WeakSet[Connections] = weakref.WeakSet()


def _before_fork() -> None:
    for connections in list(_OPEN):
        connections.park()


def _after_fork(*, child: bool) -> None:
    for connections in list(_OPEN):
        connections.unpark(child=child)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=lambda: _after_fork(child=False),
        after_in_child=lambda: _after_fork(child=True),
    )
