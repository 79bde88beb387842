"""Owns what is asked for where many runs are, as values; must not run them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from replicate_magic.errors import CellError, InputError
from replicate_magic.plain import count, one_line
from replicate_magic.runs.batch_items import BatchItem
from replicate_magic.sending import secrets_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from replicate_magic.cell.many import Item
    from replicate_magic.cell.plan import Request, Target
    from replicate_magic.endpoint import Endpoint
    from replicate_magic.order import Conditions
    from replicate_magic.runs.driving import Driver

_MOST_TOLD = 5
_LONGEST = 1_000  # characters of an input in a table


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOrder:
    """What is asked for.

    Attributes:
        batch_id: what it is called in history.
        items: the requests.
        total: how many; `None` where they are read as they are needed.
        endpoints: where each target runs.
        conditions: how; the time is each request's own, from when it is taken up.
        concurrency: how many run at a time.
        settings: what history keeps of it beside.
        resumed: what history has of it, where it is resumed.
    """

    batch_id: str
    items: Iterable[Item]
    total: int | None
    endpoints: Mapping[Target, Endpoint]
    conditions: Conditions
    concurrency: int
    settings: Mapping[str, Any]
    resumed: Resumed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """What history has of a batch that is resumed.

    Attributes:
        since: when it began.
        lost: why requests cannot be sent again, by number.
    """

    since: datetime
    lost: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the frame of a batch has of a request beside its prediction.

    Attributes:
        origin: where it ran.
        inputs: what was sent; what is too long for a table is cut, secrets are hidden.
        row: the row that it came from.
        local: what history keeps of it beside the API's JSON.
    """

    origin: str
    inputs: Mapping[str, Any]
    row: Mapping[str, Any]
    local: Mapping[str, Any]


def told_inputs(request: Request) -> dict[str, Any]:
    """The inputs as a table has them: without the prompt, which has its own column."""
    inputs = secrets_in(request).input(request.input)
    return {
        name: _short(value)
        for name, value in inputs.items()
        if not (value and value is request.prompt)
    }


def _short(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _LONGEST:
        return f"{value[:60]}… ({len(value):,} characters)"
    return value


def kept_item(item: Item, request: Request) -> BatchItem:
    """The request as history keeps it."""
    return BatchItem(
        number=item.number,
        target=str(item.target),
        input=request.input,
        secrets=secrets_in(request),
        prompt=request.prompt,
        params=item.params,
        row=item.row,
        repeat=item.repeat,
    )


def refusal(item: Item, error: Exception) -> str:
    """What is wrong with a request, and with which."""
    where = ", ".join(f"{name}={one_line(str(it), limit=40)}" for name, it in item.params.items())
    return f"Request {item.number + 1}{f' ({where})' if where else ''}: {error}"


def runs_here(batch_id: str) -> CellError:
    """Why a batch that this process runs is not run beside itself."""
    return CellError(f"Batch {batch_id} runs in this process now: %replicate wait waits for it.")


def runs_elsewhere(batch_id: str, driver: Driver) -> CellError:
    """Why a batch that another process runs is not run here, too."""
    return CellError(
        f"Batch {batch_id} is run by {driver}. Run here as well, what is missing would be paid "
        f"twice. Wait until it has ended there, or end it there: %replicate resume {batch_id} then "
        "runs what is missing."
    )


def never_sent(batch_id: str) -> CellError:
    """Why a batch whose process ended at its very beginning cannot be resumed."""
    return CellError(
        f"Batch {batch_id} has nothing to resume: its process ended before its requests were kept, "
        "and nothing was sent. Run its cell again."
    )


def refuse(refusals: Sequence[str]) -> None:
    """Raise what is wrong with requests, if anything is.

    Raises:
        InputError: it is; nothing was sent.
    """
    lines = list(refusals[:_MOST_TOLD])
    if len(refusals) > _MOST_TOLD:
        lines.append(f"… and {count(len(refusals) - _MOST_TOLD, 'more request')}.")
    if lines:
        raise InputError("\n".join(lines))
