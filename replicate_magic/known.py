"""Owns what is to be followed of history, as a value; must not follow it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from replicate_magic.cell.plan import Draft, read_target
from replicate_magic.lookups import is_hash
from replicate_magic.order import Conditions, Order

if TYPE_CHECKING:
    from replicate_magic.endpoint import Endpoint
    from replicate_magic.runs.record import Record


class Known(NamedTuple):
    """A prediction of history, and how it is to be followed."""

    record: Record
    endpoint: Endpoint
    conditions: Conditions

    def order(self) -> Order:
        """What it was that ran.

        Raises:
            CellError: its row names no model.
        """
        target = read_target(self.record.model)
        version = self.record.raw.get("version")
        if target.kind == "model" and is_hash(version):
            target = replace(target, kind="version", version=str(version))
        return Order(self.endpoint, target, Draft(inputs={}), self.conditions)
