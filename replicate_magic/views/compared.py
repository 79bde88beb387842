"""Owns which requests of a batch stand in one row, and which rows are shown; must not draw them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

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
    alike: dict[Hashable, list[dict[str, Entry]]] = {}
    seen: Counter[Hashable] = Counter()
    for entry in known:
        asked = _asked(entry)
        rows, place = alike.setdefault(asked, []), seen[asked, entry.model]
        if place == len(rows):  # what is asked twice runs twice
            rows.append({})
        rows[place][entry.model] = entry
        seen[asked, entry.model] += 1
    found = (Row(first=next(iter(row.values())), by_model=row) for row in chain(*alike.values()))
    return sorted(found, key=_place)


def chosen(rows: Sequence[Row], most: int = MOST_ROWS) -> list[Row]:
    """Those that are shown: where there are too many, those that went wrong are among them."""
    if len(rows) <= most:
        return list(rows)
    bad, good = ([row for row in rows if row.ok is ok] for ok in (False, True))
    few = bad[: max(most // 2, most - len(good))]
    return sorted([*few, *good[: most - len(few)]], key=_place)


def _asked(entry: Entry) -> Hashable:
    """What makes requests alike; texts, which may be long, are not copied."""
    params = sorted(entry.params.items(), key=lambda one: one[0])
    return entry.prompt, *((n, v if isinstance(v, str) else repr(v)) for n, v in params)


def _place(row: Row) -> int:
    return row.first.number
