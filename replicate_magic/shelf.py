"""Owns the files in which descriptions of models lie; must not know when one is too old.

What cannot be kept is looked up again, so nothing here raises: a file that is damaged, foreign, too
large or out of reach is as none.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from replicate_magic.api.models import Described
from replicate_magic.filed import replace_file
from replicate_magic.runs.history import home

_FOLDER = "schemas"
_FORMAT = 1
_MOST_BYTES = 1_000_000  # read in ten milliseconds; the largest schemas there are have a tenth
_MOST_FILES = 300
_HEAD_BYTES = 1_000  # of a file, in which it says what it is about
_FIELDS = tuple(one.name for one in fields(Described))
_FAULTS = (OSError, ValueError, TypeError, RecursionError)  # of the disk, and of what stands there


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A description, and when the API gave it (UTC)."""

    described: Described
    fetched_at: datetime


def read(base: str, target: str) -> Kept | None:
    """What lies there of a target, if anything does.

    Args:
        base: the API's address.
        target: what runs, as it is written for MODEL.
    """
    with suppress(*_FAULTS):
        path = _path(base, target)
        found = path.stat()
        if stat.S_ISREG(found.st_mode) and found.st_size <= _MOST_BYTES:
            return _kept(json.loads(path.read_bytes()), base, target)
    return None


def targets(base: str) -> list[str]:
    """Of which targets of an API there is a description, the newest first."""
    heads: list[tuple[float, str]] = []
    with suppress(*_FAULTS), os.scandir(home() / _FOLDER) as entries:
        for entry in entries:
            if entry.name.endswith(".json") and entry.is_file(follow_symlinks=False):
                at_s = entry.stat(follow_symlinks=False).st_mtime
                heads.append((at_s, _target_in(Path(entry.path), base)))
    return [target for _, target in sorted(heads, reverse=True) if target]


def _target_in(path: Path, base: str) -> str:
    """Which target of an API a file is about, by its beginning; empty where it is none."""
    with suppress(*_FAULTS), path.open("rb") as file:
        head, cut, _ = file.read(_HEAD_BYTES).partition(b', "fetched_at"')
        about = json.loads(head + b"}") if cut else {}
        if about.get("format") == _FORMAT and about.get("base") == base:
            return str(about.get("target") or "")
    return ""


def write(base: str, target: str, kept: Kept) -> None:
    """Put a description there, in place of the one that lies there; the oldest of many go."""
    with suppress(*_FAULTS):
        path = _path(base, target)
        text = _written(base, target, kept)
        if text is None:
            path.unlink(missing_ok=True)
            return
        home().mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(path, text)
        _prune(path.parent)


def remove(base: str, target: str) -> None:
    """Take a description away."""
    with suppress(*_FAULTS):
        _path(base, target).unlink(missing_ok=True)


def _path(base: str, target: str) -> Path:
    digest = hashlib.sha256(f"{base}\n{target}".encode()).hexdigest()
    return home() / _FOLDER / f"{digest[:32]}.json"


def _kept(found: Any, base: str, target: str) -> Kept | None:
    """What a file says, if it is one of ours and of this target."""
    if not isinstance(found, dict):
        return None
    if (found.get("format"), found.get("base"), found.get("target")) != (_FORMAT, base, target):
        return None
    described = Described(**{name: found.get(name) for name in _FIELDS})
    fetched_at = datetime.fromisoformat(found["fetched_at"]) if "fetched_at" in found else None
    if fetched_at is None or fetched_at.tzinfo is None or not _is_sound(described):
        return None
    return Kept(described=described, fetched_at=fetched_at)


def _written(base: str, target: str, kept: Kept) -> str | None:
    """The text of a description; `None` where it is none worth keeping."""
    if not _is_sound(kept.described):
        return None
    values = {name: getattr(kept.described, name) for name in _FIELDS}
    about = {"format": _FORMAT, "base": base, "target": target}
    when = {"fetched_at": kept.fetched_at.isoformat()}
    text = json.dumps({**about, **when, **values})  # ASCII: as many bytes as characters
    return text if len(text) <= _MOST_BYTES else None


def _is_sound(described: Described) -> bool:
    """Whether it has a schema, and its values are of the kinds that they should be."""
    return (
        isinstance(described.openapi, dict)
        and isinstance(described.version, str | None)
        and isinstance(described.latest, str | None)
        and isinstance(described.official, bool | None)
        and isinstance(described.raw, dict | None)
    )


def _prune(folder: Path) -> None:
    """Delete the oldest files of many, also those that a process left half written."""
    with os.scandir(folder) as entries:
        ours = [entry for entry in entries if entry.name.endswith((".json", ".tmp"))]
    ours.sort(key=lambda entry: entry.stat(follow_symlinks=False).st_mtime, reverse=True)
    for entry in ours[_MOST_FILES:]:
        Path(entry.path).unlink(missing_ok=True)
