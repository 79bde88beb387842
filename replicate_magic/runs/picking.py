"""Owns which run of the history an id means, or its beginning; must not ask anybody else."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from replicate_magic.errors import NotFound
from replicate_magic.plain import one_line
from replicate_magic.runs.history import the_history

if TYPE_CHECKING:
    from replicate_magic.runs.glance import Glance
    from replicate_magic.runs.record import Record

_MOST_COMPARED = 2_000  # ids, the newest
_NEAREST = 3
_NEAR = 0.6


def found(prefix: str) -> Record:
    """The one prediction whose id begins so, or is this.

    Raises:
        NotFound: there is none, or several; the nearest ids are named.
    """
    record = found_or_none(prefix)
    if record is None:
        raise not_found(prefix, "%replicate runs --remote fetches the account's predictions.")
    return record


def found_or_none(prefix: str) -> Record | None:
    """The same, where there may be none.

    Raises:
        NotFound: there are several.
    """
    records = the_history().find(prefix)
    whole = [record for record in records if record.id == prefix]
    if len(records) == 1 or len(whole) == 1:
        return (whole or records)[0]
    if not records:
        return None
    shown = one_line(prefix, limit=60)
    listed = ", ".join(f"{record.id} ({record.origin})" for record in records[:5])
    raise NotFound(f"{shown} begins several ids: {listed}.", status=404)


def not_found(prefix: str, *said: str) -> NotFound:
    """The error for an id that the history has not: the nearest ids, and how to list them all.

    Args:
        prefix: what was asked for.
        *said: what else is to be said, in sentences.
    """
    told = [
        f"No run of the history has an id that begins with {one_line(prefix, limit=60)}.",
        *_nearest(prefix),
        "%replicate runs lists them.",
        *said,
    ]
    return NotFound(" ".join(told), status=404)


def _nearest(prefix: str) -> list[str]:
    """A slip in an id's beginning is looked for in as much of each id."""
    known: dict[str, Glance] = {}
    for one in the_history().glances(limit=_MOST_COMPARED):
        known.setdefault(one.id[: len(prefix)], one)
    near = difflib.get_close_matches(prefix[:100], list(known), n=_NEAREST, cutoff=_NEAR)
    named = [f"{one_line(known[key].id)} ({one_line(known[key].model)})" for key in near]
    return [f"Did you mean {' or '.join(named)}?"] if named else []
