"""Owns that faults of the history's file harm no prediction: what it does not take waits in memory.

It must not know what is kept.
"""

from __future__ import annotations

import time
from contextlib import suppress
from threading import RLock
from typing import TYPE_CHECKING

from replicate_magic.errors import HistoryError
from replicate_magic.plain import one_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from replicate_magic.runs.store import Store

BUSY_S = 30.0
REST_S = 30.0  # after a fault the file is left alone for so long: waiting for a lock takes as long
_IN_MEMORY = (
    "{error}. Runs are kept in memory, and written as soon as that works again; %replicate export "
    "PATH saves them elsewhere."
)


class Keeping:
    """A file, and a memory for what it does not take.

    Args:
        path: the file; opened on first use.
        busy_s: seconds to wait for another process that writes.
        rest_s: seconds for which a file that failed is not written again.
    """

    def __init__(self, path: Path, *, busy_s: float = BUSY_S, rest_s: float = REST_S) -> None:
        self.path = path
        self._busy_s = busy_s
        self._rest_s = rest_s
        self._changing = RLock()  # held while it opens, and while rows go to or from the memory
        self._file: Store | None = None
        self._spare: Store | None = None  # holds what the file did not take
        self._resting_until_s = 0.0
        self._news: list[str] = []
        self._told: list[str] = []

    @property
    def is_open(self) -> bool:
        """Whether the file is open."""
        return self._file is not None

    @property
    def is_begun(self) -> bool:
        """Whether anything was ever kept; reading begins a file where there is none."""
        return self.is_open or self._spare is not None or self.path.exists()

    def open(self) -> None:
        """Opens the file, if it is not open: it may take a while to find it locked."""
        self._store()

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

    # -- what went wrong ----------------------------------------------------------------------

    @property
    def trouble(self) -> str:
        """Why runs are kept in memory, if they are."""
        return self._told[-1] if self._told and (self._file is None or self._spare) else ""

    def news(self) -> str:
        """What went wrong and was not told yet, in a line or two; empty where nothing did."""
        news, self._news = self._news, []
        return "\n".join(news)

    def _trouble(self, error: Exception) -> None:
        self._resting_until_s = time.monotonic() + self._rest_s
        self._tell(_IN_MEMORY.format(error=one_line(str(error), limit=500)))

    def _tell(self, message: str) -> None:
        if message not in self._told:
            self._told.append(message)
            self._news.append(message)

    # -- the file and the memory ---------------------------------------------------------------

    def _write(self, write: Callable[[Store], object]) -> None:
        """Writes to the file, or else to the memory; raises nothing of either.

        Args:
            write: called once more where the file fails: writing twice must be as once.
        """
        if not self._is_written(write):
            with self._changing:
                try:
                    write(self._in_memory())
                except HistoryError as error:  # such as JSON that Python cannot write
                    self._trouble(error)

    def _is_written(self, write: Callable[[Store], object]) -> bool:
        """Whether the file has taken it; one that failed is not asked again for a while."""
        if time.monotonic() < self._resting_until_s:
            return False
        file = self._store()
        if file is None:
            return False
        try:
            if self._spare is not None:
                with self._changing:
                    self._empty_spare(file)
            write(file)
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
            file.batches.take(spare.batches)
            self._spare = None
            spare.close()

    def _tell_of_damage(self, file: Store) -> None:
        if file.set_aside:
            self._tell(
                f"the history in {self.path} was damaged. It is kept as {file.set_aside.name}, "
                "and a new one was begun."
            )
