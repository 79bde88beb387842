"""Owns what of a batch is missing, by what history has of it; must not run it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicate_magic.cell.many import Item
from replicate_magic.cell.plan import Draft, read_target

if TYPE_CHECKING:
    from collections.abc import Iterable

    from replicate_magic.runs.batch_items import BatchItem
    from replicate_magic.runs.record import Record

_NOT_KEPT = (
    "Not sent: its input {names} was {what}, which history does not keep. Running its cell again "
    "sends it."
)


def item_again(kept: BatchItem) -> Item:
    """The request as it was sent, to be sent again."""
    return Item(
        number=kept.number,
        target=read_target(kept.target),
        draft=Draft(inputs=kept.input, force=True),
        params=kept.params,
        row=kept.row,
        repeat=kept.repeat,
        seeds=False,
    )


def why_lost(kept: BatchItem) -> str:
    """Why a request cannot be sent again; an empty string where it can."""
    if kept.secrets.names:
        return _NOT_KEPT.format(names=", ".join(sorted(kept.secrets.names)), what="a secret")
    if kept.unkept:
        return _NOT_KEPT.format(names=", ".join(kept.unkept), what="a file without a path")
    return ""


def best_runs(records: Iterable[Record]) -> dict[int, Record]:
    """The prediction that tells most of each request, by number: its answer, else one that runs.

    Requests whose predictions have all ended without an answer are missing.

    Args:
        records: those of one batch, newest first.
    """
    found: dict[int, Record] = {}
    for record in records:
        number, ok = record.local.get("batch_item"), record.raw.get("status") == "succeeded"
        is_worth = ok or (not record.final and not record.local.get("lost"))
        if isinstance(number, int) and is_worth and (ok or number not in found):
            found[number] = record
    return found
