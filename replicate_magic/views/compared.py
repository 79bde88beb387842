"""Owns which requests of a batch stand in one row, and which rows are shown; must not draw them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replicate_magic.tally import Entry

MOST_ROWS = 24
"""How many rows are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is compared in one row.

    Attributes:
        first: the request that tells what is asked; where models are compared, one of several.
        by_model: the requests by model.
    """

    first: Entry
    by_model: Mapping[str, Entry]

    @property
    def ok(self) -> bool:
        """Whether all of it succeeded."""
        return all(entry.ok for entry in self.by_model.values())


def rows_of(known: Sequence[Entry]) -> list[Row]:
    """A row a request; where models are compared, one for all that were asked the same."""
    if len({entry.model for entry in known}) <= 1:
        return [Row(first=entry, by_model={entry.model: entry}) for entry in known]
    alike: dict[tuple[str, str], list[dict[str, Entry]]] = {}
    for entry in known:
        rows = alike.setdefault((entry.prompt, repr(sorted(entry.params.items()))), [])
        row = next((one for one in rows if entry.model not in one), None)
        if row is None:  # a value of a grid that is given twice runs twice
            rows.append(row := {})
        row[entry.model] = entry
    found = (Row(first=next(iter(row.values())), by_model=row) for row in chain(*alike.values()))
    return sorted(found, key=_place)


def chosen(rows: Sequence[Row], most: int = MOST_ROWS) -> list[Row]:
    """Those that are shown: where there are too many, those that went wrong are among them."""
    if len(rows) <= most:
        return list(rows)
    bad = [row for row in rows if not row.ok][: most // 2]
    good = [row for row in rows if row.ok][: most - len(bad)]
    return sorted([*bad, *good], key=_place)


def _place(row: Row) -> int:
    return row.first.number
