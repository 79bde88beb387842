"""Owns what a cell or a call means where it means many requests; must not send them.

`cell_many` and `call_many` read what is asked for, `cell_items` and `call_items` take it apart.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from replicate_magic.cell.grammar import Given, split_header
from replicate_magic.cell.grid import (
    Written,
    call_grid,
    cell_grid,
    evaluated,
    has_expression,
    value_mentions_row,
    written,
)
from replicate_magic.cell.items import Item, Many, items_of
from replicate_magic.cell.once import kept
from replicate_magic.cell.options import MOST_REPEATS, whole_number
from replicate_magic.cell.plan import Draft, read_cell
from replicate_magic.cell.rows import ROW, Expressions, Missing, is_missing, text_mentions_row
from replicate_magic.cell.seed import with_seed
from replicate_magic.errors import CellError
from replicate_magic.plain import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from replicate_magic.cell.grammar import Line
    from replicate_magic.cell.plan import Target
    from replicate_magic.cell.template import Evaluate

__all__ = [
    "Item",
    "Many",
    "call_items",
    "call_many",
    "cell_items",
    "cell_many",
    "with_seed",
]

_PROMPT = "prompt"
_UNUSED_IN_A_CELL = (
    "--rows: nothing mentions row, so that all requests would be the same. Write {{row.column}} in "
    "the body or in key={{row.column}}, or --input-from row for all columns; --repeat N runs the "
    "same N times."
)
_UNUSED_IN_A_CALL = (
    "rows: no text mentions row, so that all requests would be the same. Write "
    'prompt="{{row.column}}"; repeat=N runs the same N times.'
)


# -- what is asked for ------------------------------------------------------------------------


def cell_many(
    targets: Sequence[Target],
    line: Line,
    evaluate: Evaluate,
    rows_from: Callable[[Any, str], Iterable[Any]],
) -> Many:
    """What a cell's line asks for.

    Args:
        targets: its models.
        line: the line.
        evaluate: from an expression's source to its value.
        rows_from: from the value of `--rows`, and what to call it, to its rows.

    Raises:
        CellError: a model is named twice, or what stands behind `--grid` or `--rows` makes no
            values.
    """
    options = line.options
    rows = None
    if options.rows is not None:
        name = f"--rows {one_line(options.rows, limit=60)}"
        try:
            found = evaluate(options.rows)
        except Exception as error:
            raise CellError(f"{name}: {type(error).__name__}: {one_line(str(error))}.") from error
        rows = rows_from(found, name)
    return Many(
        targets=_once_each(targets),
        grid=cell_grid(options.grid, evaluate, raw=options.raw, has_rows=rows is not None),
        rows=rows,
        repeat=options.repeat or 1,
    )


def call_many(
    targets: Sequence[Target],
    *,
    grid: Mapping[str, Any] | None = None,
    rows: Iterable[Any] | None = None,
    repeat: int = 1,
) -> Many:
    """What a call from Python asks for.

    Args:
        targets: the models.
        grid: by input an iterable of values.
        rows: as `runs.frame.rows_from` gives them.
        repeat: how often each request is made.

    Raises:
        CellError: a model is named twice, the grid makes no values, or the repeats no number.
    """
    return Many(
        targets=_once_each(targets),
        grid=call_grid(grid or {}),
        rows=rows,
        repeat=whole_number("repeat", repeat, most=MOST_REPEATS),
    )


def _once_each(targets: Sequence[Target]) -> tuple[Target, ...]:
    if not targets:
        raise CellError("No model is named.")
    for number, target in enumerate(targets):
        if target in targets[:number]:
            raise CellError(f"{target} is named twice: --repeat 2 (repeat=2) runs it twice.")
    return tuple(targets)


# -- taken apart ------------------------------------------------------------------------------


def cell_items(many: Many, line: Line, body: str | None, evaluate: Evaluate) -> Iterator[Item]:
    """The requests of a cell.

    An expression that mentions `row` is evaluated once a row, any other once. The first row is
    taken before this returns, so that what is wrong with all of them is raised here.

    Args:
        many: what the line asks for.
        line: the line, whose inputs they all have.
        body: the body, if there is one.
        evaluate: from an expression's source to its value; a `lambda` in the source must see the
            same names.

    Raises:
        CellError: an input is given twice, nothing mentions `row`, or an expression could not be
            evaluated. Of a later row the iterator raises it, with the row's number from 0: a
            column is not there, or a value is missing within a text. A whole input whose value is
            missing is left out, unless it is the prompt.
    """
    options = line.options
    header, text = split_header(body) if body and not options.raw else ({}, body or "")
    inputs = {**header, **line.inputs}
    prompt_key = options.prompt_key or _PROMPT
    _refuse_twice(many, inputs, prompt_key if text.strip() else None)
    grid = many.grid
    if not options.raw:
        grid = {name: [_cell_value(one) for one in values] for name, values in grid.items()}
    is_template = _none_is if many.rows is None or options.raw else text_mentions_row
    of_row = tuple(name for name, given in inputs.items() if is_template(given.text))
    takes_row = many.rows is not None and options.input_from == ROW
    if not (of_row or takes_row or is_template(text)):
        _refuse_unused(many, grid, _UNUSED_IN_A_CELL)

    def draft(evaluate: Evaluate) -> tuple[Draft, Sequence[str]]:
        made = read_cell(line, body, evaluate)
        if not takes_row:
            return made, of_row
        columns = {n: one for n, one in made.inputs.items() if n not in inputs}
        missing = {n: Missing() for n, one in columns.items() if is_missing(one)}
        return replace(made, inputs={**made.inputs, **missing}), (*of_row, *columns)

    expressions = Expressions(evaluate, has_rows=many.rows is not None)
    return items_of(replace(many, grid=grid), draft, expressions, prompt_key)


def call_items(many: Many, inputs: Mapping[str, Any], *, force: bool = False) -> Iterator[Item]:
    """The requests of a call from Python.

    Where there are rows, a text that has `{{row.column}}` in it is a template, also within lists
    and dicts; it sees `row` and Python's own functions. Anything else is sent as it is.

    Args:
        many: what is asked for.
        inputs: the inputs that all requests have.
        force: send what the schema refuses all the same.

    Raises:
        CellError: as `cell_items` says.
    """
    _refuse_twice(many, inputs, None)
    is_template = _none_is if many.rows is None else text_mentions_row
    given = {name: written(kept(value), is_template) for name, value in inputs.items()}
    grid = {
        name: [written(kept(one), is_template) for one in values]
        for name, values in many.grid.items()
    }
    of_row = tuple(name for name, value in given.items() if isinstance(value, Written))
    if not of_row:
        _refuse_unused(many, grid, _UNUSED_IN_A_CALL)

    def draft(evaluate: Evaluate) -> tuple[Draft, Sequence[str]]:
        filled = {name: evaluated(value, evaluate) for name, value in given.items()}
        return Draft(inputs=filled, force=force), of_row

    expressions = Expressions(
        lambda source: eval(source, {}),  # noqa: S307  (the caller's own text)
        has_rows=many.rows is not None,
        hint="A text that is given from Python sees `row` alone.",
    )
    return items_of(replace(many, grid=grid), draft, expressions, _PROMPT)


def _cell_value(value: Any) -> Any:
    return written(value, has_expression) if isinstance(value, Given) else value


def _none_is(_: str) -> bool:
    return False


def _refuse_twice(many: Many, inputs: Iterable[str], prompt_key: str | None) -> None:
    for name in inputs:
        if name in many.grid:
            raise CellError(f"{name} is given twice: in the grid and as an input.")
    if prompt_key in many.grid:
        raise CellError(f"{prompt_key} is given twice: in the grid and as the body.")


def _refuse_unused(many: Many, grid: Mapping[str, Sequence[Any]], message: str) -> None:
    values = chain.from_iterable(grid.values())
    if many.rows is not None and not any(map(value_mentions_row, values)):
        raise CellError(message)
