"""Owns which calls of the API want a yes, and what is told of them then; must not send one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicate_magic.api import operations
from replicate_magic.errors import CellError
from replicate_magic.plain import dollars, one_line
from replicate_magic.runs.history import the_history
from replicate_magic.runs.prices import expected_usd, is_free
from replicate_magic.settings import the_settings

if TYPE_CHECKING:
    from replicate_magic.api.composed import Composed
    from replicate_magic.api.operations import Operation
    from replicate_magic.runs.prices import Earlier

_YES = "--yes (in Python yes=True) does it. Nothing was sent."
_UNKNOWN = (
    "The API's description of {} has no such operation, and it may change, delete or cost "
    "something."
)


def require(made: Composed) -> None:
    """Refuse what deletes or costs something, and tell what it would do.

    Raises:
        CellError: it does.
    """
    if why := why_not(made):
        raise CellError(f"{made}: {why} {_YES}")


def why_not(made: Composed) -> str:
    """What a call would delete or cost, in a sentence or two; empty where it does neither."""
    operation = made.operation
    if operation is None:
        return "" if made.reads else _UNKNOWN.format(operations.as_of())
    if operation.effect == "deletes":
        return f"{operation.summary}. That is for good."
    if kept := made.keeps_running:
        given = ", ".join(f"{name}={one_line(str(one))}" for name, one in kept.items())
        return f"{operation.summary}. With {given} it may cost money for as long as it stands."
    return _price(made, operation) if operation.effect == "pays" else ""


def _price(made: Composed, operation: Operation) -> str:
    """What a run, or a training, would cost; on this machine nothing."""
    if made.creation is None:
        return f"{operation.summary}. That costs money."
    model = str(made.creation.target)
    if is_free(model):
        return ""
    cost = expected_usd([model], _earlier, the_settings().prices)
    told = "money" if cost is None else f"about {dollars(cost)}, by earlier runs"
    return f"{operation.summary}. {model} runs, which costs {told}."


def _earlier(model: str) -> list[Earlier]:
    return [earlier for _, earlier in the_history().last_runs(model)]
