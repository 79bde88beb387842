"""Owns which rows of history are meant, and their SQL; must not run it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from replicate_magic.cell.options import duration
from replicate_magic.errors import CellError
from replicate_magic.plain import one_line
from replicate_magic.runs.record import microseconds, plain_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LIKE_CHARACTERS = 1000
"""Longer patterns may pass a limit of SQLite's (https://www.sqlite.org/limits.html, 8)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which rows are meant: those for which everything holds that is given.

    Attributes:
        model: as it was asked for; without a version it means all versions.
        status: such as `succeeded`.
        since: created then or later; without a zone it is UTC.
        until: created before then.
        tag: exactly this one.
        text: stands in the prompt or the output, in capitals or not.
        ids: one of these ids.
        limit: only so many, the newest.
    """

    model: str | None = None
    status: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    tag: str | None = None
    text: str | None = None
    ids: Sequence[str] | None = None
    limit: int | None = None


def moment(value: datetime | str | None, *, now: datetime | None = None) -> datetime | None:
    """A moment as people write it: a datetime, ISO 8601, or how long ago: `90m`, `12h`, `7d`.

    Without a zone it is UTC.

    Raises:
        CellError: it is none.
    """
    if not isinstance(value, str):
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)
    text = value.strip()
    try:
        written = datetime.fromisoformat(text)
    except ValueError:
        try:
            return (now or datetime.now(UTC)) - timedelta(seconds=duration(text))
        except (CellError, OverflowError) as error:
            raise CellError(
                f"{one_line(text, limit=60)} is no moment: write 2026-01-31, 2026-01-31T12:00, or "
                "how long ago: 90m, 12h, 7d."
            ) from error
    return written if written.tzinfo else written.replace(tzinfo=UTC)


def selection(query: Query, columns: str) -> tuple[str, list[str | int]]:
    """The SELECT of these columns for the rows that are meant, newest first, and its values."""
    conditions = list(_conditions(query))
    where = " AND ".join(condition for condition, _ in conditions) or "1"
    values = [value for _, bound in conditions for value in bound]
    sql = (
        f"SELECT {columns} FROM prediction JOIN text USING (key) WHERE {where} "  # noqa: S608  (constants)
        "ORDER BY created_us DESC, key DESC LIMIT ?"
    )
    return sql, [*values, -1 if query.limit is None else max(0, query.limit)]


def _conditions(query: Query) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    for column in ("status", "tag"):
        if (wanted := getattr(query, column)) is not None:
            yield f"{column} = ?", (plain_text(wanted),)
    if query.model is not None:
        model = plain_text(query.model)
        yield "(model = ? OR substr(model, 1, ?) = ?)", (model, len(model) + 1, f"{model}:")
    for sign, time in ((">=", query.since), ("<", query.until)):
        if (at_us := microseconds(time)) is not None:
            yield f"created_us {sign} ?", (at_us,)
    if query.ids is not None:
        ids = json.dumps([plain_text(wanted) for wanted in query.ids])
        yield "id IN (SELECT value FROM json_each(?))", (ids,)
    if query.text:
        yield _holding(plain_text(query.text))


def _holding(text: str) -> tuple[str, tuple[str, str]]:
    """LIKE ignores capitals only in ASCII, so that other letters take the slower function."""
    if not text.isascii() or len(text) > _LIKE_CHARACTERS or "\0" in text:
        part = text.casefold()
        return "(holds(prompt, ?) OR holds(output, ?))", (part, part)
    escaped = text.translate({ord(wild): f"\\{wild}" for wild in "\\%_"})
    pattern = f"%{escaped}%"
    return r"(prompt LIKE ? ESCAPE '\' OR output LIKE ? ESCAPE '\')", (pattern, pattern)
