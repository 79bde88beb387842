"""Owns small text files that are read at every call: by a stat, and parsed once as they change.

It must not know what stands in them.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_MOST_BYTES = 1_000_000
_MOST_FILES = 50


class Filed(Generic[T]):
    """What files say; one that is missing, damaged, foreign or too large says what none does.

    Args:
        parse: from a file's text to what it says; may raise ValueError.
        nothing: what a file says that is none.
    """

    def __init__(self, parse: Callable[[str], T], nothing: T) -> None:
        self._parse = parse
        self._nothing = nothing
        self._known: dict[Path, tuple[tuple[int, ...], T]] = {}

    def read(self, path: Path) -> T:
        """What a file says now."""
        try:
            found = path.stat()
        except (OSError, ValueError):
            self._known.pop(path, None)
            return self._nothing
        state = found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns
        known = self._known.get(path)
        if known and known[0] == state:
            return known[1]
        says = self._parsed(path) if _is_ours(found) else self._nothing
        if len(self._known) >= _MOST_FILES:
            self._known.clear()
        self._known[path] = state, says
        return says

    def _parsed(self, path: Path) -> T:
        try:
            return self._parse(path.read_text(encoding="utf-8-sig", errors="replace"))
        except (OSError, ValueError, RecursionError):
            return self._nothing


def replace_file(path: Path, text: str) -> None:
    """Write a file, for its owner alone; whoever reads meanwhile sees the old one or the new.

    Raises:
        OSError: it cannot be written.
    """
    import tempfile

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(prefix=f"{path.stem}-", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(beside).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(beside).unlink(missing_ok=True)
        raise


def _is_ours(found: os.stat_result) -> bool:
    """Whether it is a file of this user's: in a folder that all may write, another's may lie."""
    if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST_BYTES:
        return False
    if not hasattr(os, "geteuid"):
        return True
    return os.geteuid() in {0, found.st_uid} or found.st_uid == 0
