"""Owns carrying the history over in a file: JSON lines out and in."""

from __future__ import annotations

import os
from pathlib import Path

from replicate_magic.errors import HistoryError
from replicate_magic.runs.history import the_history


def export_runs(path: str | os.PathLike[str], *, overwrite: bool = False) -> int:
    """Write the whole history as JSON lines, in a file of mode 0600.

    A line has `origin`, `model`, `prompt`, `output`, `local` and `raw`, the API's JSON as it came.

    Args:
        path: the file; it is there whole, or not at all.
        overwrite: whether it may exist.

    Returns:
        How many runs there were.

    Raises:
        HistoryError: it exists, or could not be written.
    """
    target = Path(path).expanduser()
    if target.exists() and not overwrite:
        raise HistoryError(f"{target} exists; --yes (in Python overwrite=True) replaces it.")
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    count = 0
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with os.fdopen(os.open(beside, flags, 0o600), "w", encoding="utf-8") as file:
            for line in the_history().export_lines():
                file.write(f"{line}\n")
                count += 1
        beside.replace(target)
    except OSError as error:
        raise HistoryError(f"{target} could not be written: {error.strerror}.") from error
    finally:
        beside.unlink(missing_ok=True)
    return count


def import_runs(path: str | os.PathLike[str]) -> int:
    """Add the lines of `export_runs` to the history; what is stored already stays.

    Returns:
        How many runs there were in the file.

    Raises:
        HistoryError: it cannot be read, or a line is not one of an export; those before it are
            kept.
    """
    source, count = Path(path).expanduser(), 0
    try:
        with source.open(encoding="utf-8") as file:
            for line in file:
                if line.strip():
                    the_history().import_line(line)
                    count += 1
    except OSError as error:
        raise HistoryError(f"{source} could not be read: {error.strerror}.") from error
    except ValueError as error:
        raise HistoryError(
            f"{source}, run {count + 1:,}: {error}. Those before it are in the history."
        ) from error
    return count
