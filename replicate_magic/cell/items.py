"""Owns one request after the other of those that are asked for at once, from row to row.

It must not know whether a cell or a call asks. The order is the one in which they are compared: for
each row each combination of the grid, for each of these each model, and each repeat of it. Of the
rows only one is held at a time.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replicate_magic.cell import words
from replicate_magic.cell.grammar import Given
from replicate_magic.cell.grid import Written, evaluated
from replicate_magic.cell.rows import PLAIN, Missing, as_row, plain, plain_columns
from replicate_magic.errors import CellError
from replicate_magic.plain import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replicate_magic.cell.plan import Draft, Target
    from replicate_magic.cell.rows import Expressions
    from replicate_magic.cell.template import Evaluate

SEED = "seed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One of several requests.

    Attributes:
        number: its place in the order asked, from 0.
        target: what is to run.
        draft: its inputs and its prompt, evaluated.
        params: what differs between the requests, as a reader would write it: the inputs of the
            grid, those that come from the row (`None` where it has none), and `repeat`, from 1,
            where there are several. Neither the model, nor a prompt that comes from the row.
        row: the plain columns of the row, or empty.
        repeat: which repeat it is, from 0.
        seeds: whether its seed may be counted up: it is repeated, and neither grid nor row give
            the seed.
    """

    number: int
    target: Target
    draft: Draft
    params: Mapping[str, Any] = field(default_factory=dict)
    row: Mapping[str, Any] = field(default_factory=dict)
    repeat: int = 0
    seeds: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Many:
    """What is asked for, before it is taken apart.

    Attributes:
        targets: the models, side by side.
        grid: by input its values: `Given` from a cell, else objects. A value that is given twice
            runs twice.
        rows: dicts, or whatever else a row may be; `None` where there are no rows.
        repeat: how often each request is made.
    """

    targets: tuple[Target, ...]
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    rows: Iterable[Any] | None = None
    repeat: int = 1

    @property
    def total(self) -> int | None:
        """How many requests that is; `None` where the rows are not counted, as of a generator."""
        rows = 1 if self.rows is None else len(self.rows) if isinstance(self.rows, Sized) else None
        if rows is None:
            return None
        return len(self.targets) * rows * math.prod(map(len, self.grid.values())) * self.repeat


def items_of(
    many: Many,
    draft_of: Callable[[Evaluate], tuple[Draft, Sequence[str]]],
    expressions: Expressions,
    prompt_key: str,
) -> Iterator[Item]:
    """The requests, the first of which is made at once.

    Args:
        many: what is asked for; values of its grid may be `Written`.
        draft_of: makes the draft of a row, and says which of its inputs come from that row.
        expressions: evaluates for each row.
        prompt_key: the input that must not be missing.

    Raises:
        CellError: a row cannot be taken, or there is none; of a later row the iterator raises it.
    """
    items = _items(many, _rows(many, draft_of, expressions, prompt_key))
    return itertools.chain([*itertools.islice(items, 1)], items)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """What one row makes of a cell.

    Attributes:
        draft: with the inputs that all combinations have.
        grid: by input its values.
        params: the inputs that come from the row.
        columns: of the row.
        has_seed: whether the row gives the seed.
    """

    draft: Draft
    grid: Mapping[str, Sequence[Any]]
    params: Mapping[str, Any]
    columns: Mapping[str, Any]
    has_seed: bool


def _items(many: Many, rows: Iterator[_Row]) -> Iterator[Item]:
    numbers = itertools.count()
    for row in rows:
        for values in itertools.product(*row.grid.values()):
            combination = dict(zip(row.grid, values, strict=True))
            draft = replace(row.draft, inputs={**row.draft.inputs, **_present(combination)})
            params = {**{name: _shown(one) for name, one in combination.items()}, **row.params}
            seeds = many.repeat > 1 and not row.has_seed and SEED not in combination
            for target, repeat in itertools.product(many.targets, range(many.repeat)):
                yield Item(
                    number=next(numbers),
                    target=target,
                    draft=draft,
                    params=_with_repeat(params, repeat) if many.repeat > 1 else params,
                    row=row.columns,
                    repeat=repeat,
                    seeds=seeds,
                )


def _with_repeat(params: Mapping[str, Any], repeat: int) -> dict[str, Any]:
    return {**params, "repeat": params.get("repeat", repeat + 1)}  # an input may be named so


def _rows(
    many: Many,
    draft_of: Callable[[Evaluate], tuple[Draft, Sequence[str]]],
    expressions: Expressions,
    prompt_key: str,
) -> Iterator[_Row]:
    """What each row makes of a cell, given how its draft is made, and which inputs come from it.

    Raises:
        CellError: the row cannot be taken, or there is none.
    """
    number = None
    for number, given in enumerate([None] if many.rows is None else many.rows):
        expressions.begin(as_row(given))
        try:
            draft, of_row = draft_of(expressions)
            grid = _grid_of_row(many.grid, expressions)
            _refuse_missing(prompt_key, [draft.inputs.get(prompt_key), *grid.get(prompt_key, ())])
        except CellError as error:
            raise expressions.told(error, number) from error.__cause__
        inputs = _present(draft.inputs)
        yield _Row(
            draft=replace(draft, inputs=inputs),
            grid=grid,
            params={n: _shown(draft.inputs.get(n)) for n in of_row if n != prompt_key},
            columns=plain_columns(given),
            has_seed=SEED in of_row and SEED in inputs,
        )
    if number is None:
        raise CellError("There was no row: nothing was sent.")


def _grid_of_row(
    grid: Mapping[str, Sequence[Any]], expressions: Expressions
) -> Mapping[str, Sequence[Any]]:
    return {
        name: [evaluated(one, expressions) for one in values]
        if any(isinstance(one, Written) for one in values)
        else values
        for name, values in grid.items()
    }


def _refuse_missing(name: str, values: Iterable[Any]) -> None:
    """A prompt that a row has not would be the model's default, which nobody asked for."""
    if any(isinstance(value, Missing) for value in values):
        raise CellError(f"{name} is missing.")


def _present(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in inputs.items() if not isinstance(one, Missing)}


def _shown(value: Any) -> Any:
    """A value as a reader would write it: plain, or a short text."""
    match value:
        case Missing():
            return None
        case Given(kind="file"):
            return f"@{value.text}"
        case Given():
            return value.text
        case Path():
            return str(value)
    value = plain(value)
    if isinstance(value, PLAIN):
        return value
    name = getattr(value, "name", "") if hasattr(value, "read") else ""
    return one_line(str(name)) or words.value(value)
