"""Owns which rows of history are meant, and their SQL; must not run it."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from replicate_magic.cell.options import duration
from replicate_magic.errors import CellError
from replicate_magic.plain import one_line
from replicate_magic.runs.record import microseconds, plain_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OF_REQUEST = "json_extract(prediction.local, '$.request_sha256')"
OF_BATCH = "json_extract(prediction.local, '$.batch')"
OF_ITEM = "json_extract(prediction.local, '$.batch_item')"
"""What a row says of itself; the first two as the indexes have them."""

_MOST = 2**63 - 1
_LIKE_CHARACTERS = 1000
"""Longer patterns may pass a limit of SQLite's (https://www.sqlite.org/limits.html, 8)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which rows are meant: those for which everything holds that is given.

    Attributes:
        model: as it was asked for; without a version it means all versions.
        pairs: one of these ids, each with its origin.
        status: such as `succeeded`.
        since: created then or later; without a zone it is UTC.
        until: created before then.
        tag: exactly this one.
        batch: of the batch with exactly this id.
        text: stands in the prompt or the output, in capitals or not.
        ids: one of these ids.
        limit: only so many, the newest.
    """

    model: str | None = None
    status: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    tag: str | None = None
    batch: str | None = None
    text: str | None = None
    ids: Sequence[str] | None = None
    pairs: Sequence[tuple[str, str]] | None = None
    limit: int | None = None


def moment(value: date | str | None, *, now: datetime | None = None) -> datetime | None:
    """A moment as people write it: a datetime or date, ISO 8601, or how long ago: `90m`, `7d`.

    Without a zone it is UTC.

    Raises:
        CellError: it is none.
    """
    match value:
        case None:
            return None
        case str():
            found = _written(value.strip(), now or datetime.now(UTC))
        case datetime():
            found = value
        case _:
            found = datetime(value.year, value.month, value.day, tzinfo=UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _written(text: str, now: datetime) -> datetime:
    with suppress(ValueError):
        return datetime.fromisoformat(text)
    if not text.isdecimal():  # such as a year, which would be so many seconds ago
        with suppress(CellError, OverflowError):
            return now - timedelta(seconds=duration(text))
    raise CellError(
        f"{one_line(text, limit=60)} is no moment: write 2026-01-31, 2026-01-31T12:00, or how long "
        "ago: 90m, 12h, 7d."
    )


def selection(query: Query, columns: str) -> tuple[str, list[str | int]]:
    """The SELECT of these columns for the rows that are meant, newest first, and its values."""
    conditions = list(_conditions(query))
    where = " AND ".join(condition for condition, _ in conditions) or "1"
    values = [value for _, bound in conditions for value in bound]
    sql = (
        f"SELECT {columns} FROM prediction JOIN text USING (key) WHERE {where} "  # noqa: S608  (constants)
        "ORDER BY created_us DESC, key DESC LIMIT ?"
    )
    return sql, [*values, -1 if query.limit is None else min(max(0, query.limit), _MOST)]


def _conditions(query: Query) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    for column in ("status", "tag"):
        if (wanted := getattr(query, column)) is not None:
            yield f"{column} = ?", (plain_text(wanted),)
    if query.batch is not None:
        yield f"{OF_BATCH} = ?", (plain_text(query.batch),)
    if query.model is not None:
        yield _of_model(plain_text(query.model))
    for sign, time in ((">=", query.since), ("<", query.until)):
        if (at_us := microseconds(time)) is not None:
            yield f"created_us {sign} ?", (at_us,)
    if query.ids is not None:
        ids = json.dumps([plain_text(wanted) for wanted in query.ids])
        yield "id IN (SELECT value FROM json_each(?))", (ids,)
    if query.pairs is not None:
        pairs = json.dumps([[plain_text(name), plain_text(at)] for name, at in query.pairs])
        of_pairs = "SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]')"
        yield f"(id, origin) IN ({of_pairs} FROM json_each(?))", (pairs,)
    if query.text:
        yield _holding(plain_text(query.text))


def _of_model(model: str) -> tuple[str, tuple[str | int, ...]]:
    """A model of all versions, or of the one that is named behind its last colon."""
    if "://" in model:  # a Cog server's address
        return "model = ?", (model,)
    name, colon, version = model.rpartition(":")
    if colon and name != "deployment":
        return "(model = ? OR (model = ? AND version = ?))", (model, name, version)
    return "(model = ? OR substr(model, 1, ?) = ?)", (model, len(model) + 1, f"{model}:")


def _holding(text: str) -> tuple[str, tuple[str, str]]:
    """LIKE ignores capitals only in ASCII, so that other letters take the slower function."""
    if not text.isascii() or len(text) > _LIKE_CHARACTERS or "\0" in text:
        part = text.casefold()
        return "(holds(prompt, ?) OR holds(output, ?))", (part, part)
    escaped = text.translate({ord(wild): f"\\{wild}" for wild in "\\%_"})
    pattern = f"%{escaped}%"
    return r"(prompt LIKE ? ESCAPE '\' OR output LIKE ? ESCAPE '\')", (pattern, pattern)
