"""Owns the history of this machine's user: where it is, and what it is asked; not by whom."""

from __future__ import annotations

import json
import os
import warnings
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replicate_magic.errors import HistoryError
from replicate_magic.runs.driving import Locks
from replicate_magic.runs.keeping import BUSY_S, REST_S, Keeping
from replicate_magic.runs.prices import Earlier
from replicate_magic.runs.query import Query
from replicate_magic.runs.record import microseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from replicate_magic.runs.batch_items import BatchItem, BatchRecord, State
    from replicate_magic.runs.driving import Driver
    from replicate_magic.runs.frame import RunsFrame
    from replicate_magic.runs.glance import Glance
    from replicate_magic.runs.record import Record
    from replicate_magic.runs.sent import SentRequest
    from replicate_magic.runs.store import Store

_NAME = "history.db"
_OUTPUTS = "outputs"
_DRIVING = "driving"
_LAST_RUNS = 30


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


class History(Keeping):
    """All runs, in a file; those that the file does not take, in memory until it does.

    Saving raises nothing, since a prediction that was paid for is worth more than its row: what
    goes wrong is told once, as `news`. All else raises `HistoryError` where the file fails.
    """

    def __init__(self, path: Path, *, busy_s: float = BUSY_S, rest_s: float = REST_S) -> None:
        super().__init__(path, busy_s=busy_s, rest_s=rest_s)
        self._locks = Locks(path.parent / _DRIVING)
        self._driven: dict[str, Driver] = {}  # by the batch's id
        self._sending: dict[str, Driver] = {}  # by the request's key

    # -- writing ------------------------------------------------------------------------------

    def save(self, record: Record) -> None:
        """Keeps a prediction, or what is new about one."""
        self.save_all([record])

    def save_all(self, records: Sequence[Record]) -> None:
        """Keeps predictions."""
        self._write(lambda store: store.save_all(records))

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

    def answers(
        self, request_sha256: str, *, nth: int = 1, limit: int | None = None
    ) -> list[Record]:
        """The predictions that answered a request like this one, newest first: `Store.answers`."""
        last = None if limit is None else nth - 1 + limit
        found = self._records(lambda store: store.answers(request_sha256, limit=last))
        return found[nth - 1 : last]

    def glances(self, *, prefix: str = "", limit: int) -> list[Glance]:
        """The newest runs at a glance; with a prefix some of those whose ids begin so."""
        from replicate_magic.runs.glance import newest_first

        stores = self._stores()
        found = [one for store in stores for one in store.glances(prefix=prefix, limit=limit)]
        return newest_first(found)[:limit]

    def unfinished(self) -> list[Record]:
        """The predictions whose end is not known here, newest first."""
        waiting = self._spare.find_all() if self._spare is not None else []
        ended = {(one.id, one.origin) for one in waiting if one.final}
        found = self._records(lambda store: store.unfinished())
        return [one for one in found if (one.id, one.origin) not in ended]

    def last_runs(self, model: str) -> list[tuple[float | None, Earlier]]:
        """How long a model's last runs took from creation to end, in seconds, and what they took.

        Only those that succeeded, newest first; nothing where that cannot be found out.
        """
        with suppress(HistoryError):
            found = self._columns(Query(model=model, status="succeeded", limit=_LAST_RUNS))
            times = zip(found["created_us"], found["completed_us"], strict=True)
            lasted = [(end - begin) / 1e6 if begin and end else None for begin, end in times]
            return list(zip(lasted, map(_earlier, found["metrics"], found["local"]), strict=True))
        return []

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

    # -- batches ------------------------------------------------------------------------------
    # Writing raises nothing, as for runs.

    def begin_batch(self, record: BatchRecord) -> None:
        """Keeps a batch, or what is new about one: it may be begun again."""
        self._write(lambda store: store.batches.begin(record))

    def add_items(self, batch_id: str, items: Iterable[BatchItem]) -> None:
        """Keeps requests of a batch; one of the same number is replaced."""
        every = list(items)
        self._write(lambda store: store.batches.add(batch_id, every))

    def end_batch(self, batch_id: str, state: State) -> None:
        """Keeps that a batch has `ended`, or is `running` again."""
        ended_at = datetime.now(UTC) if state == "ended" else None
        self._write(lambda store: store.batches.end(batch_id, state, ended_at))

    def drop_batch(self, batch_id: str) -> None:
        """Deletes a batch with its requests, but no run of it."""
        self._write(lambda store: store.batches.drop(batch_id))

    def drive_batch(self, batch_id: str) -> Driver | None:
        """Keeps that this process drives a batch; another one, which lives, where that does.

        Where nothing can be locked nobody is kept from anything.
        """
        file = self._store()
        if file is None:
            return None
        try:
            driver = self._locks.take()
        except OSError:
            return None
        try:
            other = file.batches.drive(batch_id, driver, self._locks.is_another)
        except HistoryError as error:
            self._trouble(error)
            self._locks.leave(driver)
            return None
        if other:
            self._locks.leave(driver)
            return other
        self._driven[batch_id] = driver
        return None

    def leave_batch(self, batch_id: str) -> None:
        """Keeps that this process drives a batch no longer, if it did."""
        driver, file = self._driven.pop(batch_id, None), self._file
        if driver is None:
            return
        if file is not None:
            with suppress(HistoryError):  # nobody has its file from now on, which says the same
                file.batches.leave(batch_id, driver)
        self._locks.leave(driver)

    def batch_driver(self, batch_id: str) -> Driver | None:
        """Another process that drives a batch, and lives, if that can be found out."""
        file = self._store()
        with suppress(HistoryError):
            return file.batches.drive(batch_id, None, self._locks.is_another) if file else None
        return None

    def batches(self) -> list[BatchRecord]:
        """All batches, newest first."""
        from replicate_magic.runs.batches import records_of

        return records_of(store.batches for store in self._stores())

    def batch(self, prefix: str | None = None) -> BatchRecord:
        """The one batch whose id begins so, or the newest.

        Raises:
            NotFound: there is none, or several.
        """
        from replicate_magic.runs.batch_items import chosen

        return chosen(self.batches(), prefix)

    def batch_items(self, batch_id: str) -> Iterator[BatchItem]:
        """The requests of a batch in the order asked, read as they are needed."""
        from replicate_magic.runs.batch_items import joined

        *file, newest = (store.batches for store in self._stores())
        items = newest.items(batch_id)
        return joined(file[0].items(batch_id), list(items)) if file else items

    def batch_runs(self, batch_id: str) -> list[Record]:
        """The predictions of a batch, newest first: those that say so as `local.batch`."""
        return self._records(lambda store: store.batch_runs(batch_id))

    # -- requests without an id -----------------------------------------------------------------
    # They are worth nothing in memory: what they are for is the end of the process.

    def note_sent(self, sent: SentRequest) -> list[SentRequest]:
        """Keeps that a request is being sent, where that can be.

        Returns:
            Those like it, the oldest first, that were being sent by a process which has ended.
        """
        left: list[SentRequest] = []

        def note(file: Store) -> None:
            left[:] = file.sent.left(self._is_sending, sent)
            driver = self._sending[sent.key] = self._locks.take()
            file.sent.put(sent, driver)

        with suppress(OSError):  # nothing can be locked there
            return left if self._is_written(note) else []
        return []

    def forget_sent(self, keys: Iterable[str]) -> None:
        """Deletes requests: what became of them is known, or was told."""
        every, file = list(keys), self._file
        with suppress(HistoryError):
            if file is not None:
                file.sent.forget(every)
        for key in every:
            if driver := self._sending.pop(key, None):
                self._locks.leave(driver)

    def left_sent(self) -> list[SentRequest]:
        """The requests, the oldest first, that were being sent by a process which has ended."""
        file = self._store()
        return file.sent.left(self._is_sending) if file else []

    def _is_sending(self, key: str, driver: Driver) -> bool:
        return key in self._sending or self._locks.is_another(driver)

    # -- the file and the memory as one ----------------------------------------------------------

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
        """What both have as one, newest first."""
        *file, newest = (found(store) for store in self._stores())
        if not file:
            return newest
        records = {(one.id, one.origin): one for one in (*file[0], *newest)}
        return sorted(records.values(), key=_created_us, reverse=True)


def _earlier(metrics: str, local: str) -> Earlier:
    cost = json.loads(local).get("cost_estimate_usd")
    return Earlier(json.loads(metrics), cost if isinstance(cost, int | float) else None)


def _created_us(record: Record) -> int:
    return microseconds(record.raw.get("created_at")) or 0


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
