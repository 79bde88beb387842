"""Owns one row of history as plain values: what is kept, how answers merge; must do no I/O.

An hour after a run Replicate deletes its input, output and logs, and answers with nulls from then
on. Two answers about one prediction are therefore merged, and an empty value never replaces a full
one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from replicate_magic.cell.hiding import is_hidden
from replicate_magic.prediction import is_final

_US_PER_S = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_REMOVED = ("input", "output", "logs")
"""What Replicate deletes (https://replicate.com/docs/topics/predictions/data-retention)."""

_BY_NAME = ("input", "metrics", "urls")
_OWN_COLUMN = frozenset({"tag", "template", "prompt"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One prediction as history keeps it. `origin` and `raw["id"]` together are its key.

    Attributes:
        raw: the API's JSON as it came.
        model: the model as it was asked for; `raw["model"]` may be an internal name.
        origin: the base URL of the API that it came from.
        local: what we add, as JSON values: tag, notebook, template, timings, retries.
        prompt: the prompt as it was sent.
        output: the answer's text.
    """

    raw: Mapping[str, Any]
    model: str
    origin: str
    local: Mapping[str, Any] = field(default_factory=dict)
    prompt: str = ""
    output: str = ""

    @property
    def id(self) -> str:
        """Replicate's id, or an empty string where there is none."""
        return str(self.raw.get("id") or "")

    @property
    def final(self) -> bool:
        """Whether the prediction has ended."""
        return is_final(self.raw)

    @property
    def is_answer(self) -> bool:
        """Whether it can stand for another run of the same: it succeeded, and its output is here.

        Where Replicate has deleted the output before it was seen, it is null or empty.
        """
        output = self.raw.get("output")
        is_here = output is not None and not (_is_empty(output) and self.raw.get("data_removed"))
        return self.raw.get("status") == "succeeded" and is_here


# -- two answers about one prediction ---------------------------------------------------------


def after_save(stored: Record, new: Record) -> Record:
    """What history holds once `new` has come in: the newer answer wins, unless it is emptier.

    An answer from before the end, that comes in after it, only fills what is missing.
    """
    late = stored.final and not new.final
    return _merged(new, stored) if late else _merged(stored, new)


def after_import(stored: Record, imported: Record) -> Record:
    """What history holds once a row of an export has come in: it only adds, or ends a row."""
    ends = imported.final and not stored.final
    return _merged(stored, imported) if ends else _merged(imported, stored)


def _merged(older: Record, newer: Record) -> Record:
    keeps_output = _keeps(older.raw, newer.raw, "output")
    same = older.raw.get("output") == newer.raw.get("output")  # whose text is known the better
    first, second = (older, newer) if keeps_output or same else (newer, older)
    return replace(
        newer,
        raw=_merged_raw(older.raw, newer.raw),
        model=older.model or newer.model,
        local=_merged_local(older, newer),
        prompt=older.prompt or newer.prompt,
        output=first.output or second.output,
    )


def _merged_local(older: Record, newer: Record) -> dict[str, Any]:
    """Ours; a row of our own stays one, and one that was found again is lost no more."""
    merged = dict(_fuller(older.local, newer.local))
    if "remote" not in older.local:
        merged.pop("remote", None)
    if newer.final:
        merged.pop("lost", None)
    return merged


def _merged_raw(older: Mapping[str, Any], newer: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**older, **newer}
    for key in older:
        if _keeps(older, newer, key):
            merged[key] = older[key]
        elif key in _BY_NAME:
            merged[key] = _fuller(older[key], merged[key])
    if is_final(newer) and "status" in merged:
        merged["status"] = newer.get("status")
    return merged


def _keeps(older: Mapping[str, Any], newer: Mapping[str, Any], key: str) -> bool:
    """Whether the older value of a key stays."""
    if _is_empty(older.get(key)):
        return False
    removed = key in _REMOVED and bool(newer.get("data_removed"))
    return removed or _is_empty(newer.get(key))


def _fuller(older: Any, newer: Any) -> Any:
    """The newer value, with the older one's where it is empty; objects name by name.

    A secret that was hidden stays so: a list of the account's predictions may have it.
    """
    if _is_empty(newer):
        return newer if _is_empty(older) else older
    if not (isinstance(older, Mapping) and isinstance(newer, Mapping)):
        return older if is_hidden(older) else newer
    return {**newer, **{name: _fuller(older[name], newer.get(name)) for name in older}}


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | list | Mapping) and not value)


# -- the narrow columns -----------------------------------------------------------------------


def columns_of(record: Record) -> dict[str, str | int | None]:
    """The narrow columns of a row, by name; times are microseconds since 1970, UTC."""
    raw = record.raw
    return {
        "id": plain_text(record.id),
        "origin": plain_text(record.origin),
        "model": plain_text(record.model),
        "version": _text_or_none(raw.get("version")),
        "status": plain_text(str(raw.get("status") or "starting")),
        "created_us": microseconds(raw.get("created_at")),
        "started_us": microseconds(raw.get("started_at")),
        "completed_us": microseconds(raw.get("completed_at")),
        "error": _text_or_none(raw.get("error")),
        "tag": _text_or_none(record.local.get("tag")),
        "metrics": to_json(flattened(raw.get("metrics"))),
        "local": to_json(_flat_local(record.local)),
    }


def microseconds(value: datetime | Any) -> int | None:
    """A time in microseconds since 1970, UTC; `None` for what is not one.

    Args:
        value: a datetime, or a time stamp of the API with 0 to 9 digits of a second. Without a
            zone it is UTC; digits after the sixth are cut off.
    """
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        aware = time.replace(tzinfo=UTC) if time.tzinfo is None else time
        since = aware - _EPOCH
    except (TypeError, ValueError, OverflowError):
        return None
    return (since.days * 86_400 + since.seconds) * _US_PER_S + since.microseconds


def moment_of(at_us: int) -> datetime:
    """The time that is so many microseconds after 1970, UTC."""
    return _EPOCH + timedelta(microseconds=at_us)


def flattened(value: Any) -> dict[str, Any]:
    """A JSON object with the names of nested ones joined by `.`; other values as they are.

    Example:
        `{"a": {"b": 1}, "c": [2]}` gives `{"a.b": 1, "c": [2]}`.
    """
    if not isinstance(value, Mapping):
        return {}
    flat: dict[str, Any] = {}
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            flat |= {f"{name}.{below}": found for below, found in flattened(inner).items()}
        else:
            flat[str(name)] = inner
    return flat


def _flat_local(local: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers and short names among what we add; texts have columns of their own."""
    return {
        name: value
        for name, value in flattened(local).items()
        if name not in _OWN_COLUMN and isinstance(value, str | int | float)
    }


def _text_or_none(value: Any) -> str | None:
    if value is None:
        return None
    return plain_text(value if isinstance(value, str) else to_json(value))


# -- text and JSON that SQLite takes ----------------------------------------------------------


def plain_text(text: str) -> str:
    """The text as UTF-8 can hold it: two halves of a character joined, a lone one U+FFFD."""
    if _is_utf8(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def to_json(value: Any) -> str:
    """One line of JSON text. Lone surrogates are escaped, NaN and infinities become null.

    Values that are not JSON's become their text.

    Raises:
        ValueError: it holds itself, or a number too long for Python to write.
        RecursionError: it is nested too deeply.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=_COMPACT)
    except (TypeError, ValueError):
        text = json.dumps(_jsonable(value), ensure_ascii=False, separators=_COMPACT)
    return text if _is_utf8(text) else json.dumps(json.loads(text), separators=_COMPACT)


_COMPACT = (",", ":")


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _jsonable(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
