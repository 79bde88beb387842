"""Owns the file that history lies in: opening, migrating, setting aside; must not know queries."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

from replicate_magic.errors import HistoryError
from replicate_magic.runs.connections import (
    BUSY_S,
    Connections,
    telling,
    transaction,
    when_free,
)
from replicate_magic.runs.schema import STEPS

_CORRUPT = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_BESIDE = ("-wal", "-shm", "-journal")
_SMALLEST_BYTES = 512


def open_file(path: Path, *, busy_s: float) -> tuple[Connections, Path | None]:
    """Opens a history file, or begins one; brings its schema up to date.

    The folder is made with mode 0700 where there is none, the file is given mode 0600. A file that
    is not a database, or a corrupt one, is set aside under another name.

    Returns:
        The connections, and where a corrupt file was set aside, if one was.

    Raises:
        HistoryError: the file cannot be written, or a newer version of this package made it.
    """
    with telling(path):
        _make_private(path)
        set_aside = _set_aside(path) if _is_corrupt(path) else None
        _make_private(path)
        wal = _has_wal(path.parent)
        first = _prepared(path, wal=wal)
    return Connections(
        lambda: _connected(path, wal=wal), first, path=path, busy_s=busy_s
    ), set_aside


def open_memory() -> Connections:
    """Begins a history that ends with the process."""
    with telling(None):
        connection = _connected(None, wal=False)
        _migrate(connection, None)
    return Connections(None, connection, path=None)


def _make_private(path: Path) -> None:
    if not path.parent.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    with suppress(OSError):  # somebody else's file that we may write
        path.chmod(0o600)


def _has_wal(folder: Path) -> bool:
    """Whether a write-ahead log works in a folder, found out by a real write.

    Some network and foreign file systems say yes to the pragma and fail at the first write.
    """
    with tempfile.TemporaryDirectory(prefix=".probe-", dir=folder) as probe:
        try:
            with closing(sqlite3.connect(Path(probe) / "probe.db", isolation_level=None)) as found:
                found.execute("PRAGMA synchronous = OFF")  # it is thrown away: nothing to wait for
                [mode] = found.execute("PRAGMA journal_mode = WAL").fetchone()
                found.execute("CREATE TABLE probe (written)")
                found.execute("INSERT INTO probe VALUES (1)")
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorname.startswith("SQLITE_FULL"):
                raise
            return False
    return str(mode) == "wal"


def _prepared(path: Path, *, wal: bool) -> sqlite3.Connection:
    """The first connection: it sets what the file keeps, and brings the schema up to date."""
    connection = _connected(path, wal=wal)
    try:
        connection.execute("PRAGMA page_size = 16384")
        mode = "WAL" if wal else "DELETE"
        when_free(lambda: connection.execute(f"PRAGMA journal_mode = {mode}").fetchall())
        _migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _connected(path: Path | None, *, wal: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path or ":memory:", timeout=BUSY_S, isolation_level=None, check_same_thread=False
    )
    # Without WAL an unsynced commit can corrupt the file; with it, only lose the newest rows.
    connection.execute(f"PRAGMA synchronous = {'NORMAL' if wal else 'FULL'}")
    connection.execute("PRAGMA wal_autocheckpoint = 256")  # pages: the log stays near 4 MB
    connection.create_function("holds", 2, _holds, deterministic=True)
    return connection


def _holds(text: str, part: str) -> bool:
    return part in text.casefold()


def _migrate(connection: sqlite3.Connection, path: Path | None) -> None:
    """Takes the steps of the schema that are missing, all or none."""
    if _version(connection, path) == len(STEPS):
        return
    with transaction(connection):
        for step in STEPS[_version(connection, path) :]:
            for statement in step.statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(STEPS)}")


def _version(connection: sqlite3.Connection, path: Path | None) -> int:
    [version] = connection.execute("PRAGMA user_version").fetchone()
    if version > len(STEPS):
        raise HistoryError(
            f"the history in {path} was written by a newer replicate_magic (schema {version}, this "
            f"one knows {len(STEPS)}): update it with pip install -U replicate-magic"
        )
    return int(version)


# -- a corrupt file ---------------------------------------------------------------------------


def _is_corrupt(path: Path) -> bool:
    """Whether a file is not a database, or is cut short.

    It is opened by SQLite only, and to read: closing a file of ours would drop the locks that this
    process holds on it (https://www.sqlite.org/howtocorrupt.html, 2.2), and SQLite would overwrite
    what is shorter than a page, and delete the log beside what is no database.
    """
    if not path.exists():
        return False
    if 0 < path.stat().st_size < _SMALLEST_BYTES:
        return True
    uri = f"{path.as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_S)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        return error.sqlite_errorname.startswith(_CORRUPT)
    return False


def _set_aside(path: Path) -> Path | None:
    """Renames a corrupt file and what lies beside it; `None` where another process just did.

    The lock is SQLite's own, on an empty file: the one kind there is on every platform. The file
    stays, since another process may be waiting for it.
    """
    lock = path.with_name(f"{path.name}.lock")
    with closing(sqlite3.connect(lock, timeout=BUSY_S, isolation_level=None)) as held:
        held.execute("BEGIN EXCLUSIVE")
        return _renamed(path) if _is_corrupt(path) else None


def _renamed(path: Path) -> Path:
    """The log goes first: beside a new file it would be taken for the new file's."""
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    while aside.exists():
        aside = aside.with_name(f"{aside.name}+")
    for suffix in (*_BESIDE, ""):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + suffix))
    return aside
