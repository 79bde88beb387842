"""Owns the history of this machine's user: where it is, and that its faults harm no prediction.

It must not know who asks.
"""

from __future__ import annotations

import os
import time
import warnings
from contextlib import suppress
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from replicate_magic.errors import HistoryError, NotFound
from replicate_magic.plain import one_line
from replicate_magic.runs.query import Query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from replicate_magic.runs.frame import RunsFrame
    from replicate_magic.runs.record import Record
    from replicate_magic.runs.store import Store

_NAME = "history.db"
_OUTPUTS = "outputs"
_REST_S = 30.0  # after a fault the file is left alone for so long: waiting for a lock takes as long
_IN_MEMORY = (
    "{error}. Runs are kept in memory, and written as soon as that works again; %replicate export "
    "PATH saves them elsewhere."
)


def home() -> Path:
    """The folder of history, saved outputs and weights: `REPLICATE_MAGIC_HOME`, or the user's."""
    if named := os.environ.get("REPLICATE_MAGIC_HOME", "").strip().strip("'\""):
        path = Path(named)
        with suppress(RuntimeError):  # no such user: a shell leaves `~nobody` as it is, too
            path = path.expanduser()
        return path.absolute()
    from platformdirs import user_data_path

    return user_data_path("replicate_magic", appauthor=False)


def outputs() -> Path:
    """The folder of saved outputs."""
    return home() / _OUTPUTS


class History:
    """All runs, in a file; those that the file does not take, in memory until it does.

    Saving raises nothing, since a prediction that was paid for is worth more than its row: what
    goes wrong is told once, as `news`. All else raises `HistoryError` where the file fails.

    Args:
        path: the file; opened on first use.
        busy_s: seconds to wait for another process that writes.
        rest_s: seconds for which a file that failed is not written again.
    """

    def __init__(self, path: Path, *, busy_s: float = 30.0, rest_s: float = _REST_S) -> None:
        self.path = path
        self._busy_s = busy_s
        self._rest_s = rest_s
        self._changing = RLock()  # held while it opens, and while rows go to or from the memory
        self._file: Store | None = None
        self._spare: Store | None = None  # holds what the file did not take
        self._resting_until_s = 0.0
        self._news: list[str] = []
        self._told: list[str] = []

    # -- writing ------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether the file is open."""
        return self._file is not None

    def open(self) -> None:
        """Opens the file, if it is not open: it may take a while to find it locked."""
        self._store()

    def save(self, record: Record) -> None:
        """Keeps a prediction, or what is new about one."""
        self.save_all([record])

    def save_all(self, records: Sequence[Record]) -> None:
        """Keeps predictions."""
        if not self._is_saved(records):
            with self._changing:
                try:
                    self._in_memory().save_all(records)
                except HistoryError as error:  # such as JSON that Python cannot write
                    self._trouble(error)

    def import_lines(self, lines: Iterable[str]) -> int:
        """Adds lines of `export_lines`; how many there were.

        Raises:
            ValueError: a line is not one, and says which; those before it are kept.
        """
        return (self._store() or self._in_memory()).import_lines(lines)

    def delete(self, pairs: Sequence[tuple[str, str]]) -> tuple[int, int]:
        """Deletes rows, and those saved files that no other row names.

        Args:
            pairs: the ids with their origins.

        Returns:
            How many rows, and how many files.
        """
        query, stores = Query(pairs=pairs), self._stores()
        theirs = {path for store in stores for path in map(self._saved_file, store.files(query))}
        rows = sum(store.delete(query, apply=True) for store in stores)
        named = theirs - {None}
        if named:
            named -= {file for one in stores for file in map(self._saved_file, one.files(Query()))}
        return rows, sum(_is_removed(path) for path in named if path is not None)

    def _saved_file(self, path: str) -> Path | None:
        """The file that a row names, if it lies in our own folder of outputs."""
        folder = (self.path.parent / _OUTPUTS).resolve()
        named = Path(path)
        file = named.resolve() if named.is_absolute() else folder
        return file if file != folder and file.is_relative_to(folder) else None

    # -- reading ------------------------------------------------------------------------------

    def frame(self, query: Query) -> RunsFrame:
        """One row a prediction, newest first; the columns are those of `runs_frame`."""
        from replicate_magic.runs.frame import runs_frame

        return runs_frame(self._columns(query))

    def documents(self, pairs: Iterable[tuple[str, str]]) -> Iterator[str | None]:
        """The JSON texts of predictions in the order of the ids; `None` for those not here.

        Args:
            pairs: ids with their origins; without an origin the newest row is meant.
        """
        *file, newest = self._stores()
        if not file:
            return newest.documents(pairs)
        wanted = list(pairs)
        both = zip(newest.documents(wanted), file[0].documents(wanted), strict=True)
        return (ours or stored for ours, stored in both)

    def find(self, prefix: str) -> list[Record]:
        """The predictions whose id begins so, newest first."""
        return self._records(lambda store: store.find(prefix))

    def unfinished(self) -> list[Record]:
        """The predictions whose end is not known here, newest first."""
        waiting = self._spare.find_all() if self._spare is not None else []
        ended = {(one.id, one.origin) for one in waiting if one.final}
        found = self._records(lambda store: store.unfinished())
        return [one for one in found if (one.id, one.origin) not in ended]

    def has(self, prediction_id: str) -> bool:
        """Whether there is a row of this id; `False` where that cannot be found out."""
        with suppress(HistoryError):
            return any(store.has(prediction_id) for store in self._stores())
        return False

    def export_lines(self) -> Iterator[str]:
        """A line of JSON for each row, in the order in which they were first kept."""
        for store in self._stores():
            yield from store.export_lines()

    @property
    def size_bytes(self) -> int:
        """How much the file takes."""
        return sum(store.size_bytes for store in self._stores())

    def count(self) -> int:
        """How many rows there are."""
        *file, newest = self._stores()
        if not file:
            return newest.count(Query())
        return len(self._columns(Query())["id"])

    # -- what went wrong ----------------------------------------------------------------------

    @property
    def trouble(self) -> str:
        """Why runs are kept in memory, if they are."""
        return self._told[-1] if self._told and (self._file is None or self._spare) else ""

    def news(self) -> str:
        """What went wrong and was not told yet, in a line or two; empty where nothing did."""
        news, self._news = self._news, []
        return "\n".join(news)

    def close(self) -> None:
        """Closes the file; the next use opens it again. What only the memory has stays there."""
        with self._changing:
            if self._file is not None and self._spare is not None:
                with suppress(HistoryError):
                    self._empty_spare(self._file)
            file, self._file = self._file, None
            if file is not None:
                with suppress(HistoryError):
                    file.close()

    # -- the file and the memory ---------------------------------------------------------------

    def _is_saved(self, records: Sequence[Record]) -> bool:
        """Whether the file has taken them; one that failed is not asked again for a while."""
        if time.monotonic() < self._resting_until_s:
            return False
        file = self._store()
        if file is None:
            return False
        try:
            if self._spare is not None:
                with self._changing:
                    self._empty_spare(file)
            file.save_all(records)
        except HistoryError as error:
            self._trouble(error)
            return False
        return True

    def _store(self) -> Store | None:
        from replicate_magic.runs.store import (
            Store,  # here, on a thread: a run does not wait for it
        )

        with self._changing:
            if self._file is None and time.monotonic() >= self._resting_until_s:
                try:
                    self._file = Store.open(self.path, busy_s=self._busy_s)
                except HistoryError as error:
                    self._trouble(error)
                else:
                    self._tell_of_damage(self._file)
            return self._file

    def _stores(self) -> list[Store]:
        """Those there are; where both have a row, the last one's is newer."""
        found = [store for store in (self._store(), self._spare) if store is not None]
        return found or [self._in_memory()]

    def _in_memory(self) -> Store:
        from replicate_magic.runs.store import Store

        with self._changing:
            if self._spare is None:
                self._spare = Store.in_memory()
            return self._spare

    def _empty_spare(self, file: Store) -> None:
        """The file takes rows again: those that wait in memory go first."""
        spare = self._spare
        if spare is not None:
            file.save_all(spare.find_all())
            self._spare = None
            spare.close()

    def _columns(self, query: Query) -> dict[str, list[Any]]:
        """The columns of both as one."""
        *file, newest = (store.columns(query) for store in self._stores())
        if not file:
            return newest
        names = list(newest)
        of_pair, of_time = (names.index("id"), names.index("origin")), names.index("created_us")
        rows = {
            (row[of_pair[0]], row[of_pair[1]]): row
            for columns in (*file, newest)
            for row in zip(*columns.values(), strict=True)
        }
        ordered = sorted(rows.values(), key=lambda row: row[of_time] or 0, reverse=True)
        kept = ordered[: query.limit]
        return {name: [row[place] for row in kept] for place, name in enumerate(names)}

    def _records(self, found: Callable[[Store], list[Record]]) -> list[Record]:
        """What both have as one."""
        records = {
            (record.id, record.origin): record
            for store in self._stores()
            for record in found(store)
        }
        return list(records.values())

    def _tell_of_damage(self, file: Store) -> None:
        if file.set_aside:
            self._tell(
                f"the history in {self.path} was damaged. It is kept as {file.set_aside.name}, "
                "and a new one was begun."
            )

    def _trouble(self, error: Exception) -> None:
        self._resting_until_s = time.monotonic() + self._rest_s
        self._tell(_IN_MEMORY.format(error=one_line(str(error), limit=500)))

    def _tell(self, message: str) -> None:
        if message not in self._told:
            self._told.append(message)
            self._news.append(message)


def _is_removed(path: Path) -> bool:
    """Deletes a file; whether it was there."""
    try:
        path.unlink()
    except OSError:
        return False
    return True


# -- the one that is used -----------------------------------------------------------------------

_HISTORIES: dict[Path, History] = {}


def the_history() -> History:
    """The history in the present home; it is not opened by that."""
    path = home() / _NAME
    return _HISTORIES.get(path) or _HISTORIES.setdefault(path, History(path))


def found(prefix: str) -> Record:
    """The one prediction whose id begins so.

    Raises:
        NotFound: there is none, or several.
    """
    records = the_history().find(prefix)
    if len(records) == 1:
        return records[0]
    shown = one_line(prefix, limit=60)
    if not records:
        raise NotFound(
            f"No run of the history has an id that begins with {shown}. "
            "%replicate runs --remote fetches the account's predictions.",
            status=404,
        )
    listed = ", ".join(f"{record.id} ({record.origin})" for record in records[:5])
    raise NotFound(f"{shown} begins several ids: {listed}.", status=404)


def warn_of_history() -> None:
    """Warns of what went wrong with the history, once."""
    if news := the_history().news():
        warnings.warn(news, HistoryWarning, stacklevel=3)


class HistoryWarning(UserWarning):
    """The history could not be read or written; predictions are not harmed by that."""


def close() -> None:
    """Closes every history that was used; the next use opens it again."""
    for history in list(_HISTORIES.values()):
        history.close()


if hasattr(os, "register_at_fork"):  # a lock may be held at that moment, by a thread left behind
    os.register_at_fork(after_in_child=_HISTORIES.clear)
