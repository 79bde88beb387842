"""Owns which process is at something, such as a batch: a locked file each, named in its row.

Whether a process still lives is known to the operating system alone: it holds the lock as long as
the process does, and lets go of it however that ends. A heartbeat would take a machine that slept
for a dead process, and a number of a process may be another's by now. SQLite's own locks do not
serve here, since they must not be carried across a fork (see `connections`), and a batch may run
meanwhile. These belong to the process that took them: a forked child has none of them.

Closing any descriptor of a file drops the locks that its process has on it
(https://man7.org/linux/man-pages/man2/fcntl_locking.2.html): so no process opens its own twice.
It must not know what that something is.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from replicate_magic.runs.record import to_json

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """A process that is at something, such as a batch.

    Attributes:
        file: the name of the file that it has locked; never another's.
        pid: its number.
        host: the machine.
        since: since when (UTC).
    """

    file: str = field(default_factory=lambda: f"{secrets.token_hex(8)}.lock")
    pid: int = field(default_factory=os.getpid)
    host: str = field(default_factory=platform.node)
    since: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __str__(self) -> str:
        since = self.since.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        return f"process {self.pid} on {self.host or 'this machine'}, since {since}"

    def told(self) -> str:
        """It as a row has it."""
        return to_json({
            "file": self.file, "pid": self.pid, "host": self.host, "since": self.since.isoformat(),
        })  # fmt: skip


def driver_of(told: str) -> Driver:
    """What `Driver.told` told."""
    found = json.loads(told)
    return Driver(**{**found, "since": datetime.fromisoformat(found["since"])})


class Locks:
    """The files that this process has locked.

    Args:
        folder: where they lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, int] = {}

    def take(self) -> Driver:
        """A file more.

        Raises:
            OSError: it cannot be written, or nothing can be locked there.
        """
        driver = Driver()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._folder / driver.file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            _lock(descriptor)
        except BaseException:
            os.close(descriptor)
            self._remove(driver)
            raise
        self._held[driver.file] = descriptor
        return driver

    def leave(self, driver: Driver) -> None:
        """That file is needed no longer."""
        descriptor = self._held.pop(driver.file, None)
        if descriptor is not None:
            os.close(descriptor)
            self._remove(driver)

    def is_another(self, driver: Driver) -> bool:
        """Whether another process, which lives, has that file; one that is left behind goes.

        Asking locks it for a moment: those who ask take turns.
        """
        if driver.file in self._held:
            return False
        try:
            descriptor = os.open(self._folder / driver.file, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            _lock(descriptor)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        self._remove(driver)
        return False

    def _remove(self, driver: Driver) -> None:
        with suppress(OSError):  # somebody else may have done it
            (self._folder / driver.file).unlink()
