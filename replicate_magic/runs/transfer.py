"""Owns carrying the history over in a file: JSON lines out and in."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from replicate_magic.errors import HistoryError
from replicate_magic.runs.history import the_history


def export_runs(path: str | os.PathLike[str], *, overwrite: bool = False) -> int:
    """Write the whole history as JSON lines, in a file of mode 0600.

    A line has `origin`, `model`, `prompt`, `output`, `local` and `raw`, the API's JSON as it came.
    What batches have not run yet is not in it.

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
    count, beside = 0, None
    try:
        handle, beside = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            for line in the_history().export_lines():
                file.write(f"{line}\n")
                count += 1
        Path(beside).replace(target)
    except OSError as error:
        raise HistoryError(f"{target} could not be written: {error.strerror}.") from error
    finally:
        if beside is not None:
            Path(beside).unlink(missing_ok=True)
    return count


def import_runs(path: str | os.PathLike[str]) -> int:
    """Add the lines of `export_runs` to the history; what is stored already stays.

    Returns:
        How many runs there were in the file.

    Raises:
        HistoryError: it cannot be read, or a line is not one of an export; those before it are
            kept.
    """
    source = Path(path).expanduser()
    try:
        with source.open(encoding="utf-8") as file:
            return the_history().import_lines(line for line in file if line.strip())
    except OSError as error:
        raise HistoryError(f"{source} could not be read: {error.strerror}.") from error
    except ValueError as error:
        raise HistoryError(f"{source}: {error}. Those before it are in the history.") from error
