"""Owns the few things by which a person knows a run again, and the runs to choose from.

It must read no document, and no more rows than are asked for: it is asked while somebody types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from replicate_magic.runs.record import plain_text

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

_SELECT = """
    SELECT id, origin, model, status, coalesce(created_us, 0), coalesce(tag, ''), metrics,
        substr(prompt, 1, 120)
    FROM prediction JOIN text USING (key)
"""


class Glance(NamedTuple):
    """A run at a glance.

    Attributes:
        created_us: microseconds since 1970, UTC, or 0.
        metrics: a JSON object of flat names.
        prompt: its beginning.
    """

    id: str
    origin: str
    model: str
    status: str
    created_us: int
    tag: str
    metrics: str
    prompt: str


def glances(connection: sqlite3.Connection, *, prefix: str, limit: int) -> list[Glance]:
    """The newest runs; with a prefix runs whose ids begin so, the first ones by their ids."""
    if not prefix:
        sql = f"{_SELECT} ORDER BY created_us DESC, key DESC LIMIT ?"
        return [Glance(*row) for row in connection.execute(sql, (limit,))]
    prefix = plain_text(prefix)
    sql = f"{_SELECT} WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"
    rows = connection.execute(sql, (prefix, f"{prefix}\U0010ffff", limit))
    return newest_first(Glance(*row) for row in rows)


def newest_first(several: Iterable[Glance]) -> list[Glance]:
    """Each run once, as it was told last, the newest first."""
    runs = {(one.id, one.origin): one for one in several}
    return sorted(runs.values(), key=lambda one: one.created_us, reverse=True)
