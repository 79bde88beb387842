"""Owns the values of a grid: from what was written or given to a list for each input.

It must not combine them, or know a model's schema: values are typed as inputs are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from replicate_magic.cell.coerce import read_json
from replicate_magic.cell.grammar import Given
from replicate_magic.cell.once import kept
from replicate_magic.cell.plan import expanded
from replicate_magic.cell.rows import Missing, mentions_row, text_mentions_row
from replicate_magic.cell.template import expand, expressions, value_of, whole_expression
from replicate_magic.errors import CellError
from replicate_magic.plain import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replicate_magic.cell.template import Evaluate

_MOST_VALUES = 100_000
_ONE = (str, bytes, Mapping)


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A text whose expressions are evaluated; one expression alone gives its object."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A value with expressions in it: a `Given`, or an object that holds `Template`s."""

    value: Any


def written(value: Any, is_template: Callable[[str], bool]) -> Any:
    """The value as `Written` where texts in it, at any depth, are templates; else as it is."""
    match value:
        case Given():
            return Written(value=value) if is_template(value.text) else value
        case str():
            return Written(value=Template(text=value)) if is_template(value) else value
        case list() | tuple():
            inner = [written(one, is_template) for one in value]
            if any(isinstance(one, Written) for one in inner):
                return Written(value=[_inside(one) for one in inner])
        case dict():
            parts = {key: written(one, is_template) for key, one in value.items()}
            if any(isinstance(one, Written) for one in parts.values()):
                return Written(value={key: _inside(one) for key, one in parts.items()})
    return value


def _inside(value: Any) -> Any:
    return value.value if isinstance(value, Written) else value


def has_expression(text: str) -> bool:
    """Whether any `{{expression}}` stands in a text."""
    return next(expressions(text), None) is not None


def value_mentions_row(value: Any) -> bool:
    """Whether an expression in a value, at any depth, refers to `row`."""
    match value:
        case Written(value=inner):
            return value_mentions_row(inner)
        case Given(text=text) | Template(text=text):
            return text_mentions_row(text)
        case list():
            return any(map(value_mentions_row, value))
        case dict():
            return any(map(value_mentions_row, value.values()))
    return False


def evaluated(value: Any, evaluate: Evaluate) -> Any:
    """A value with the expressions that are in it evaluated.

    Raises:
        TemplateError: one of them could not be.
    """
    return _filled(value.value, evaluate) if isinstance(value, Written) else value


def _filled(value: Any, evaluate: Evaluate) -> Any:
    match value:
        case Given():
            return expanded(value, evaluate)
        case Template(text=text):
            whole = whole_expression(text)
            return value_of(whole.source, evaluate) if whole else expand(text, evaluate)
        case list():
            return [_or_null(_filled(one, evaluate)) for one in value]
        case dict():
            return {key: _or_null(_filled(one, evaluate)) for key, one in value.items()}
    return value


def _or_null(value: Any) -> Any:
    """What a row has not, and which is no input by itself, is null."""
    return None if isinstance(value, Missing) else value


# -- from a cell ------------------------------------------------------------------------------


def cell_grid(
    given: Mapping[str, Given], evaluate: Evaluate, *, raw: bool, has_rows: bool
) -> dict[str, tuple[Any, ...]]:
    """The values of each `--grid`.

    `key=a,b` is separated by commas, and each value is typed by the schema as `key=a` is; `@path`
    is a file. `key:=[…]` is a JSON list. `key={{expr}}` is what the expression gives, one value
    after the other; `{{…}}` beside others, or within a value, stands for itself.

    Args:
        given: as it was written, by input.
        evaluate: from an expression to its value.
        raw: whether expressions are texts.
        has_rows: whether `row` is a row's name, in which no list of values can be.

    Raises:
        CellError: there are no values, or they make no list.
    """

    def values(name: str, one: Given) -> Iterable[Any]:
        if one.kind == "json":
            return _json_values(name, one.text, raw=raw)
        whole = None if raw or one.kind == "file" else whole_expression(one.text)
        if whole is None:
            return _pieces(name, one)
        if has_rows and mentions_row(whole.source):
            raise CellError(
                f"--grid {name}={one_line(one.text, limit=80)}: a grid is the same for all rows. "
                f"For a value of the row write {name}={one_line(one.text, limit=80)} alone."
            )
        return values_of(f"--grid {name}", value_of(whole.source, evaluate))

    return {name: tuple(values(name, one)) for name, one in given.items()}


def _json_values(name: str, text: str, *, raw: bool) -> Iterator[Any]:
    try:
        found = read_json(text)
    except ValueError as error:
        raise CellError(
            f"--grid {name}:={one_line(text, limit=60)} is not JSON: {error}. A blank stands "
            f'before the key: --grid {name}:=["a, b", "c"].'
        ) from error
    if not isinstance(found, list):
        raise CellError(
            f'--grid {name}:={one_line(text, limit=60)} is no list: write :=["a", "b"].'
        )
    for value in values_of(f"--grid {name}", found):
        yield value if raw else written(value, has_expression)


def _pieces(name: str, given: Given) -> Iterator[Given]:
    text = f"@{given.text}" if given.kind == "file" else given.text
    inside = [range(found.start, found.end) for found in expressions(text)]
    commas = [
        found.start()
        for found in re.finditer(",", text)
        if not any(found.start() in part for part in inside)
    ]
    ends = zip([-1, *commas], [*commas, len(text)], strict=True)
    for piece in (text[start + 1 : end].strip() for start, end in ends):
        if not piece:
            raise CellError(
                f"--grid {name}={one_line(text, limit=60)}: a value is empty. No blanks stand "
                f'beside the commas; an empty text is written in JSON: --grid {name}:=["", "a"].'
            )
        yield Given(text=piece[1:], kind="file") if piece[0] == "@" else Given(text=piece)


# -- from Python ------------------------------------------------------------------------------


def call_grid(given: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    """The values of each input, from `{"temperature": [0.1, 0.9]}`.

    Raises:
        CellError: they make no list, or there are none.
    """
    return {name: values_of(f"grid: {name}", values) for name, values in given.items()}


def values_of(name: str, given: Any) -> tuple[Any, ...]:
    """The values that an object stands for: any iterable but a text, a dict or a set.

    Args:
        given: the object; NumPy's and pandas' own give Python's numbers.
        name: what it is called in messages.

    Raises:
        CellError: it stands for no values, or for more than a hundred thousand.
    """
    if hasattr(given, "tolist"):
        given = given.tolist()
    if isinstance(given, set | frozenset):
        raise CellError(f"{name} is a set, which has no order: sorted(…) gives it one.")
    if isinstance(given, _ONE) or _is_table_or_file(given) or not isinstance(given, Iterable):
        shown = one_line(repr(given), limit=60)
        raise CellError(f"{name} is {shown}: write a list of values, [{shown}] for this one alone.")
    values = tuple(kept(one) for one in islice(given, _MOST_VALUES + 1))
    if not values:
        raise CellError(f"{name} has no values.")
    if len(values) > _MOST_VALUES:
        raise CellError(f"{name} has more than {_MOST_VALUES:,} values.")
    return values


def _is_table_or_file(given: Any) -> bool:
    return hasattr(given, "columns") or hasattr(given, "read")
