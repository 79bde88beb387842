"""Owns the value that text or an object becomes by an input's type; must not judge that value.

Text is read by the type that the schema names. A Python object keeps its own type, but for what
JSON writes in one way only: 3.0 for an integer is 3, a set is a list, a date is its ISO text.
"""

from __future__ import annotations

import datetime as dt
import enum
import json
import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from replicate_magic.cell.check import expected, fits, is_same, refusal
from replicate_magic.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replicate_magic.cell.schema import InputField

_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on", "y", "1"), True),
    **dict.fromkeys(("false", "no", "off", "n", "0"), False),
}
_NULLS = {"null", "none"}
_NUMBER = re.compile(r"[+-]?(?:(?P<whole>[0-9]+)|[0-9]+\.[0-9]*|\.[0-9]+)(?P<power>e[+-]?[0-9]+)?")
_EXACT = 2**53  # up to here a float is the whole number that it looks like
_NEXT_URL = re.compile(r"[,\s]+(?=https?://)")
_NONE_FITS = object()


# -- from text --------------------------------------------------------------------------------


def typed(text: str, field: InputField | None) -> Any:
    """The value that was written as `key=text`.

    Without a schema, JSON numbers, booleans and null are taken as such, anything else is text. A
    list is JSON, or one item a line (as in a header block), or separated by commas where no item
    can hold one: numbers, booleans, choices, web addresses. One item alone is a list of it.

    Raises:
        InputError: the text is no value of the input's type.
    """
    if field is None or not (field.types or field.choices or field.is_file):
        return _guessed(text)
    value = next(_readings(text, field), _NONE_FITS)
    if value is _NONE_FITS:
        raise refusal(field, text, f"{expected(field)}{_advice(field)}")
    return value


def _readings(text: str, field: InputField) -> Iterator[Any]:
    """What the text may be, the most likely first."""
    word = text.strip().lower()
    if "null" in field.types and word in _NULLS and not field.is_free_text:
        yield None
    if field.choices:
        yield _choice(text, field)
    if "array" in field.types:
        yield from _lists(text, field)
    if "object" in field.types:
        yield from _json_of(text, dict)
    if field.is_file:
        yield text.strip()
    if "string" in field.types:
        yield text
    for name in field.types:
        if name == "boolean" and word in _BOOLEANS:
            yield _BOOLEANS[word]
        if name in {"integer", "number"}:
            yield from _numbers(word, is_whole=name == "integer")


def _choice(text: str, field: InputField) -> Any:
    """The choice that is written so; else the text, for the check to tell what there is."""
    if text in field.choices:
        return text
    word = text.strip()
    values = [*_numbers(word.lower(), is_whole=False), _BOOLEANS.get(word.lower(), word), word]
    found = (c for c in field.choices if any(is_same(c, value) for value in values))
    return next(found, text)


def _numbers(word: str, *, is_whole: bool) -> Iterator[float]:
    match = _NUMBER.fullmatch(word)
    if match is None:
        return
    try:
        number: float = float(word) if match["power"] or not match["whole"] else int(word)
    except ValueError:  # more digits than Python reads
        return
    if is_whole:
        number = _whole(number)
    if isinstance(number, int) or (not is_whole and math.isfinite(number)):
        yield number


def _whole(number: float) -> float:
    """3 for 3.0; anything else as it is."""
    is_whole = isinstance(number, float) and abs(number) <= _EXACT and number.is_integer()
    return int(number) if is_whole else number


def _lists(text: str, field: InputField) -> Iterator[list[Any]]:
    yield from _json_of(text, list)
    pieces = None if "string" in field.types else _pieces(text, field.item)
    if pieces is None:
        return
    try:
        yield [typed(piece, field.item) for piece in pieces]
    except InputError:  # then it is no list of these, and the whole of it is told
        return


def _pieces(text: str, item: InputField | None) -> list[str] | None:
    """The items of a list that is not written as JSON; `None` where that is not to be known."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if not lines:
        return []
    if lines[0].startswith("[") or (item and {"array", "object"} & {*item.types}):
        return None
    if len(lines) > 1:
        is_yaml = all(line.startswith("- ") for line in lines)
        return [line[2:].strip() for line in lines] if is_yaml else lines
    [line] = lines
    if item and item.is_file:
        return _NEXT_URL.split(line)
    if item is None or item.is_free_text or not item.types:
        return None if "," in line else [line]
    return [line] if line in item.choices else [piece.strip() for piece in line.split(",")]


def _json_of(text: str, kind: type) -> Iterator[Any]:
    try:
        value = read_json(text)
    except ValueError:
        return
    if isinstance(value, kind):
        yield value


def _guessed(text: str) -> Any:
    try:
        value = read_json(text)
    except ValueError:
        return text
    return text if isinstance(value, str) else value


def _advice(field: InputField) -> str:
    if "array" in field.types:
        return f' A list is written {field.name}:=["a", "b"].' if _holds_text(field) else ""
    return f' An object is written {field.name}:={{"a": 1}}.' if "object" in field.types else ""


def _holds_text(field: InputField) -> bool:
    return field.item is None or not field.item.types or "string" in field.item.types


def read_json(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is none, as `NaN` is none, or is nested too deeply to be read.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"JSON has no {name}")


# -- from objects -----------------------------------------------------------------------------


def unwrapped(value: Any, field: InputField | None) -> Any:
    """A Python object as what JSON has for it, where nothing is lost; any other as it is.

    NumPy's and pandas' own are known by what they can do, not by importing either.
    """
    types = field.types if field else ()
    if isinstance(value, enum.Enum):
        value = value.value
    if hasattr(value, "dtype") and hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    match value:
        case Decimal() if {"number", "integer"} & {*types}:
            return _from_decimal(value)
        case dt.date() | dt.time() if "string" in types and value == value:  # noqa: PLR0124 (NaT)
            return value.isoformat()
        case set() | frozenset() if "array" in types:
            return _sorted(value)
    if "array" in types and hasattr(value, "dtype") and hasattr(value, "tolist"):
        return value.tolist()
    return value


def _from_decimal(value: Decimal) -> Any:
    if not value.is_finite() or not -_EXACT <= value <= _EXACT:
        return value
    number = _whole(float(value))
    return number if Decimal(repr(number)) == value else value


def _sorted(value: set[Any] | frozenset[Any]) -> Any:
    """A set has no order; the same set is to be the same input each time."""
    try:
        return sorted(value)
    except TypeError:
        return value


def fitted(value: Any, field: InputField) -> Any:
    """A JSON value as the input takes it, where nothing is lost; one that it takes as it is."""
    if fits(field, value):
        return value
    if field.choices and not isinstance(value, list):
        return _choice_like(value, field)
    if isinstance(value, float) and "integer" in field.types and "number" not in field.types:
        return _whole(value)
    if isinstance(value, list) and field.item:
        return [fitted(item, field.item) for item in value]
    is_list_of_files = "array" in field.types and field.item is not None and field.item.is_file
    if is_list_of_files and isinstance(value, str):
        return [value]
    return value


def _choice_like(value: Any, field: InputField) -> Any:
    """Such as "5" for 5, or 5 for "5", where the other is no choice."""
    if isinstance(value, str):
        return _choice(value, field)
    if isinstance(value, int | float) and not isinstance(value, bool):
        written = str(_whole(value))
        return written if written in field.choices else value
    return value
