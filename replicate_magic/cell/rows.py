"""Owns `row` in `{{…}}`: what it is, who mentions it, and evaluating that for each row.

It must not know a DataFrame, or what the values are for.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Mapping, Sized
from datetime import date, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from replicate_magic.cell.check import listed, nearest
from replicate_magic.cell.coerce import unwrapped
from replicate_magic.cell.once import kept
from replicate_magic.cell.template import expressions
from replicate_magic.errors import CellError, TemplateError
from replicate_magic.plain import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType

    from replicate_magic.cell.template import Evaluate

ROW = "row"
"""The name that a row has in expressions."""

PLAIN = (str, int, float, type(None), date, time, timedelta, Decimal)
"""The types of what stands in a table as it is."""
_MISSING_TYPES = {"NAType", "NaTType"}  # pandas' own, which is not imported here


# -- one row ----------------------------------------------------------------------------------


class NoColumn(CellError, AttributeError):
    """A row has no such column."""


class Row(dict[Any, Any]):
    """A row that is a mapping: `row.text` and `row["my column"]`.

    A column comes before a method of `dict` that has its name, such as `items`.
    """

    def __getattribute__(self, name: str) -> Any:
        return self[name] if name in self else super().__getattribute__(name)

    def __getattr__(self, name: str) -> Any:
        return self[name]

    def __missing__(self, name: Any) -> Any:
        known = [str(column) for column in self]
        raise NoColumn(
            f"There is no column {one_line(str(name), limit=80)}.{nearest(str(name), known)} "
            f"The columns: {listed(known)}."
        )


def as_row(given: Any) -> Any:
    """A mapping as a `Row`; anything else is the row itself."""
    return Row(given) if isinstance(given, Mapping) else given


def plain_columns(given: Any) -> dict[str, Any]:
    """The columns of a row that are texts, numbers, truth values or times; `None` where missing."""
    if isinstance(given, tuple) and hasattr(given, "_asdict"):
        given = given._asdict()  # a namedtuple, as `DataFrame.itertuples` gives
    if not isinstance(given, Mapping):
        return {}
    columns = {str(name): plain(value) for name, value in given.items()}
    return {name: value for name, value in columns.items() if isinstance(value, PLAIN)}


def plain(value: Any) -> Any:
    """NumPy's numbers as Python's, and `None` for what is missing."""
    return None if is_missing(value) else unwrapped(value, None)


def is_missing(value: Any) -> bool:
    """Whether a value is none: `None`, NaN, or what pandas has for it."""
    if isinstance(value, float):
        return math.isnan(value)
    if isinstance(value, Decimal):
        return value.is_nan()
    return value is None or type(value).__name__ in _MISSING_TYPES


# -- which expressions mention it -------------------------------------------------------------


def mentions_row(source: str) -> bool:
    """Whether an expression refers to a `row` that is not its own."""
    tree = ast.parse(source, mode="eval")
    if not any(isinstance(node, ast.Name) and node.id == ROW for node in ast.walk(tree)):
        return False  # `table.row` is another's
    try:
        return ROW in _names(compile(tree, "{{…}}", "eval"))
    except SyntaxError:  # such as `await` where none can be; evaluating it tells
        return False


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if hasattr(constant, "co_names"):
            yield from _names(constant)


def text_mentions_row(text: str) -> bool:
    """Whether any `{{expression}}` of a text refers to `row`."""
    return any(mentions_row(found.source) for found in expressions(text))


# -- evaluating for each row ------------------------------------------------------------------


class Expressions:
    """Evaluates the expressions of a cell, over and over, for one row after the other.

    One that mentions `row` is evaluated for each row, any other for the first one only. Each is
    known by its place in the order of evaluation, which has to be the same for all rows.

    Args:
        evaluate: from a source to its value; a `lambda` in the source must see the same names.
        has_rows: whether `row` is a row; without rows it is a name as any other.
        hint: said beside an error in an expression that mentions no row, which is then raised
            anew; without a hint it is raised as it came.

    Attributes:
        source: the expression that was evaluated last.
    """

    def __init__(self, evaluate: Evaluate, *, has_rows: bool, hint: str = "") -> None:
        self.source = ""
        self._has_rows = has_rows
        self._evaluate = evaluate
        self._hint = hint
        self._found: list[Callable[[Any], Any]] = []
        self._place = 0
        self._row: Any = None

    def begin(self, row: Any) -> None:
        """Have `row` be this one from now on."""
        self._row = row
        self._place = 0

    def __call__(self, source: str) -> Any:
        """The value of an expression; `Missing` where it is the row's, and the row has none."""
        self.source = source
        if self._place == len(self._found):
            self._found.append(self._function_of(source))
        self._place += 1
        return self._found[self._place - 1](self._row)

    def _function_of(self, source: str) -> Callable[[Any], Any]:
        if self._has_rows and mentions_row(source):
            function = self._evaluate(f"lambda {ROW}: (\n{source}\n)")
            return lambda row: _of_row(function(row))
        value = kept(self._evaluate(source))
        return lambda _: value

    def told(self, error: CellError, number: int) -> CellError:
        """An error as it is told of the row with this number."""
        if not self._has_rows:
            return error
        is_template = isinstance(error, TemplateError)
        if is_template and not mentions_row(self.source):
            return TemplateError(f"{self._what(error)} {self._hint}") if self._hint else error
        what = self._what(error) if is_template else str(error)
        return type(error)(f"Row {number} (counted from 0): {what}")

    def _what(self, error: CellError) -> str:
        shown, cause = f"{{{{{one_line(self.source, limit=80)}}}}}", error.__cause__
        match cause:
            case _IsMissing():
                return f"{shown} is missing."
            case NoColumn():
                return f"{shown}: {cause}"
        return f"{shown}: {type(cause).__name__}: {one_line(str(cause)).rstrip('.')}."


class _IsMissing(Exception):
    """A text was to be made of a value that is missing."""


class Missing:
    """What an expression gives where the row has no value: a text cannot be made of it."""

    def __str__(self) -> str:
        raise _IsMissing


def _of_row(value: Any) -> Any:
    if is_missing(value):
        return Missing()
    return kept(dict(value) if isinstance(value, Row) else value)


# -- where rows come from ---------------------------------------------------------------------


def rows_in(given: Any, name: str = "rows") -> Iterable[Any]:
    """What is given for rows, if one row after the other can be taken from it.

    Args:
        given: a list, a generator, any other iterable; not a DataFrame.
        name: what it is called in messages.

    Raises:
        CellError: it is no such thing, or is known to be empty.
    """
    kind = type(given)
    shown = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    if isinstance(given, str | bytes):
        raise CellError(f"{name} is a text: give a DataFrame, or a list with an item for each row.")
    if isinstance(given, Mapping):
        raise CellError(
            f"{name} is one {shown}: rows are a list of such. pandas.DataFrame(…) makes rows of "
            "columns."
        )
    if hasattr(given, "columns") or not isinstance(given, Iterable):
        raise CellError(
            f"{name} is of type {shown}: give a pandas DataFrame, or a list or a generator of "
            "dicts or texts."
        )
    if isinstance(given, Sized) and not len(given):
        raise CellError(f"{name} has no rows.")
    return given
