"""Owns the history of this machine's user: where it is, and that its faults harm no prediction.

It must not know who asks.
"""

from __future__ import annotations

import os
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from replicate_magic.errors import HistoryError, NotFound
from replicate_magic.plain import one_line
from replicate_magic.runs.store import Query, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from replicate_magic.runs.frame import RunsFrame
    from replicate_magic.runs.record import Record

_NAME = "history.db"
_IN_MEMORY = (
    "{error}. Runs are kept in memory until this process ends; %replicate export PATH saves them."
)


def home() -> Path:
    """The folder of history, saved outputs and weights: `REPLICATE_MAGIC_HOME`, or the user's."""
    if named := os.environ.get("REPLICATE_MAGIC_HOME", "").strip().strip("'\""):
        return Path(named).expanduser().absolute()
    from platformdirs import user_data_path

    return user_data_path("replicate_magic", appauthor=False)


class History:
    """All runs, in a file; those that the file does not take, in memory.

    Saving raises nothing, since a prediction that was paid for is worth more than its row: what
    goes wrong is told once, as `news`. All else raises `HistoryError` where the file fails.

    Args:
        path: the file; opened on first use.
        busy_s: seconds to wait for another process that writes.
    """

    def __init__(self, path: Path, *, busy_s: float = 30.0) -> None:
        self.path = path
        self._busy_s = busy_s
        self._opening = Lock()
        self._file: Store | None = None
        self._opened = False
        self._spare: Store | None = None  # holds what the file did not take
        self._news = ""
        self._told: list[str] = []

    # -- writing ------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether the file was opened, or found to be none that can be."""
        return self._opened

    def open(self) -> None:
        """Opens the file, if it is not open: it may take a while to find it locked."""
        self._store()

    def save(self, record: Record) -> None:
        """Keeps a prediction, or what is new about one."""
        file = self._store()
        if file is not None:
            try:
                file.save(record)
            except HistoryError as error:
                self._trouble(error)
            else:
                self._empty_spare(file)
                return
        try:
            self._spared().save(record)
        except HistoryError as error:
            self._trouble(error)

    def import_line(self, line: str) -> None:
        """Adds a line of `export_lines`.

        Raises:
            ValueError: it is not one.
        """
        (self._store() or self._spared()).import_line(line)

    def delete(self, ids: Sequence[str]) -> int:
        """Deletes rows, and those files in `home()` that no other row names.

        Returns:
            How many files.
        """
        query, stores = Query(ids=ids), self._stores()
        theirs = {path for store in stores for path in store.files(query)}
        for store in stores:
            store.delete(query, apply=True)
        if not theirs:
            return 0
        kept = {path for store in stores for path in store.files(Query())}
        return sum(map(self._remove, theirs - kept))

    def _remove(self, path: str) -> bool:
        """Deletes a file that lies in our folder; whether it was there."""
        file = Path(path).resolve()
        if not file.is_relative_to(self.path.parent.resolve()):
            return False
        try:
            file.unlink()
        except OSError:
            return False
        return True

    # -- reading ------------------------------------------------------------------------------

    def frame(self, query: Query) -> RunsFrame:
        """One row a prediction, newest first; the columns are those of `runs_frame`."""
        from replicate_magic.runs.frame import runs_frame

        return runs_frame(self._columns(query))

    def documents(self, ids: Iterable[str]) -> Iterator[str | None]:
        """The JSON texts of predictions in the order of the ids; `None` for those not here."""
        stores = self._stores()
        if len(stores) == 1:
            return stores[0].documents(ids)
        wanted = list(ids)
        both = (store.documents(wanted) for store in stores)
        return (first or second for first, second in zip(*both, strict=True))

    def find(self, prefix: str) -> list[Record]:
        """The predictions whose id begins so, newest first."""
        return [record for store in self._stores() for record in store.find(prefix)]

    def unfinished(self) -> list[Record]:
        """The predictions whose end is not known here, newest first."""
        return [record for store in self._stores() for record in store.unfinished()]

    def knows(self, prediction_id: str) -> bool:
        """Whether there is a row of this id; `False` where that cannot be found out."""
        try:
            return any(record.id == prediction_id for record in self.find(prediction_id))
        except HistoryError as error:
            self._trouble(error)
            return False

    def export_lines(self) -> Iterator[str]:
        """A line of JSON for each row, in the order in which they were first kept."""
        for store in self._stores():
            yield from store.export_lines()

    @property
    def size_bytes(self) -> int:
        """How much the file takes."""
        return sum(store.size_bytes for store in self._stores())

    def count(self, query: Query | None = None) -> int:
        """How many rows are meant; all of them unless told."""
        return sum(store.count(query or Query()) for store in self._stores())

    # -- what went wrong ----------------------------------------------------------------------

    @property
    def trouble(self) -> str:
        """Why runs are kept in memory, if they are."""
        return self._told[-1] if self._told and (self._file is None or self._spare) else ""

    def news(self) -> str:
        """What went wrong and was not told yet, in a line or two; empty where nothing did."""
        news, self._news = self._news, ""
        return news

    def close(self) -> None:
        """Closes the file; the next use opens it again."""
        for store in (self._file, self._spare):
            if store is not None:
                store.close()
        self._file = self._spare = None
        self._opened = False

    def _columns(self, query: Query) -> dict[str, list[Any]]:
        """The columns of both stores, as one."""
        [columns, *others] = [store.columns(query) for store in self._stores()]
        for other in others:
            rows = [*zip(*columns.values(), strict=True), *zip(*other.values(), strict=True)]
            created = list(columns).index("created_us")
            rows.sort(key=lambda row: row[created] or 0, reverse=True)
            values = zip(*rows[: query.limit], strict=True) if rows else ([] for _ in columns)
            columns = dict(zip(columns, map(list, values), strict=True))
        return columns

    def _stores(self) -> list[Store]:
        file = self._store()
        found = [store for store in (file, self._spare) if store is not None]
        return found or [self._spared()]

    def _store(self) -> Store | None:
        with self._opening:
            if not self._opened:
                self._file = self._try(lambda: Store.open(self.path, busy_s=self._busy_s))
                self._opened = True
                if self._file and self._file.set_aside:
                    self._tell(
                        f"the history in {self.path} was damaged. It is kept as "
                        f"{self._file.set_aside.name}, and a new one was begun."
                    )
            return self._file

    def _spared(self) -> Store:
        with self._opening:
            if self._spare is None:
                self._spare = Store.in_memory()
            return self._spare

    def _empty_spare(self, file: Store) -> None:
        """The file takes rows again: those that wait in memory go first."""
        spare = self._spare
        if spare is None:
            return
        try:
            for line in spare.export_lines():
                file.import_line(line)
        except HistoryError as error:
            self._trouble(error)
        else:
            self._spare = None
            spare.close()

    def _try(self, work: Callable[[], Store]) -> Store | None:
        try:
            return work()
        except HistoryError as error:
            self._trouble(error)
            return None

    def _trouble(self, error: Exception) -> None:
        self._tell(_IN_MEMORY.format(error=one_line(str(error), limit=500)))

    def _tell(self, message: str) -> None:
        if message not in self._told:
            self._told.append(message)
            self._news = "\n".join(filter(None, (self._news, message)))


_HISTORIES: dict[Path, History] = {}
_MAKING = Lock()


def the_history() -> History:
    """The history in the present home; it is not opened by that."""
    path = home() / _NAME
    with _MAKING:
        return _HISTORIES.setdefault(path, History(path))


def found(prefix: str) -> Record:
    """The one prediction whose id begins so.

    Raises:
        NotFound: there is none, or several.
    """
    records = the_history().find(prefix)
    if len(records) == 1:
        return records[0]
    if not records:
        raise NotFound(
            f"No run of the history has an id that begins with {one_line(prefix, limit=60)}. "
            "%replicate runs --remote fetches the account's predictions.",
            status=404,
        )
    ids = ", ".join(record.id for record in records[:5])
    raise NotFound(f"{one_line(prefix, limit=60)} begins several ids: {ids}.", status=404)


def close() -> None:
    """Closes every history that was used; the next use opens it again."""
    for history in list(_HISTORIES.values()):
        history.close()
