"""Owns what is told of inputs that a model's schema refuses; must not change a value."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any

from replicate_magic.cell.schema import JSON_TYPES
from replicate_magic.errors import InputError
from replicate_magic.plain import count, did_you_mean, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from replicate_magic.cell.schema import InputField, Schema

_END = "Nothing was sent."
_MOST_NAMES = 50  # in a message
_MOST_PROBLEMS = 20
_MOST_COMPARED = 1_000  # names, to find the nearest
_LONGEST_COMPARED = 100
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # one letter is a drive of Windows


def check(
    inputs: Mapping[str, Any],
    schema: Schema,
    model: str,
    failed: Mapping[str, InputError] | None = None,
) -> None:
    """Compare typed inputs with the schema, before anything is sent and paid for.

    Args:
        inputs: by name, as they would be sent.
        schema: the model's; one without fields takes everything.
        model: its name, for people.
        failed: inputs that were given, and could not be typed.

    Raises:
        InputError: all problems, one a line: the input's name, what was given, what is allowed.
    """
    failed = failed or {}
    problems = [_without_end(error) for error in failed.values()]
    if schema.fields is not None:
        found = _problems(inputs, schema.fields, model, failed)
        problems += islice(found, _MOST_PROBLEMS + 1)
    if not problems:
        return
    cause = next((error.__cause__ for error in failed.values()), None)
    raise InputError(_together(problems)) from cause


def _problems(
    inputs: Mapping[str, Any],
    fields: Mapping[str, InputField],
    model: str,
    failed: Iterable[str],
) -> Iterator[str]:
    given = {*inputs, *failed}
    unknown = [name for name in [*inputs, *failed] if name not in fields]
    for name, value in inputs.items():
        if name in fields and (told := problem(fields[name], value)):
            yield told
    for name in unknown:
        told = f"{model} has no input {one_line(name, limit=80)}.{nearest(name, fields)}"
        yield f"{told} Its inputs: {listed(fields)}." if name == unknown[-1] else told
    missing = [f.name for f in fields.values() if f.required and f.name not in given]
    if missing:
        yield f"{model} requires {listed(missing)}."


def refusal(field: InputField, value: Any, reason: str) -> InputError:
    """The error for one value alone."""
    return InputError(f"{_line(field, field.name, value, reason)} {_END}")


def _without_end(error: InputError) -> str:
    return str(error).removesuffix(_END).rstrip()


def _together(problems: Sequence[str]) -> str:
    if len(problems) == 1:
        return f"{problems[0]} {_END}"
    more = ["There are more."] if len(problems) > _MOST_PROBLEMS else []
    return "\n".join([*problems[:_MOST_PROBLEMS], *more, _END])


# -- one value --------------------------------------------------------------------------------


def problem(field: InputField, value: Any) -> str:
    """What is wrong with a value, as a line for people; empty where nothing is."""
    name, wrong, at = _wrong_part(field, value)
    return _line(at, name, wrong, _reason(at, wrong)) if at else ""


def fits(field: InputField, value: Any) -> bool:
    """Whether the schema takes a value as it is."""
    return _wrong_part(field, value)[2] is None


def _wrong_part(field: InputField, value: Any) -> tuple[str, Any, InputField | None]:
    """The value, or the first of its items, that is wrong: its name, itself, and what it is of."""
    if _broken(field, value):
        return field.name, value, field
    if field.item and isinstance(value, list) and not is_same(value, field.default):
        for number, item in enumerate(value):
            name, wrong, at = _wrong_part(field.item, item)
            if at:
                return f"{field.name}[{number}]{name.removeprefix(field.name)}", wrong, at
    return "", None, None


def _broken(field: InputField, value: Any) -> str:
    """Which rule a value breaks, apart from those for its items; empty where none."""
    if value is None and "null" in field.types:
        return ""
    if field.default is not None and is_same(value, field.default):
        return ""  # what a model does when left alone, it does when asked
    if field.choices:
        return "" if _is_choice(value, field.choices) else "choices"
    return _broken_bound(field, value) if has_type(value, field.types) else "type"


def _broken_bound(field: InputField, value: Any) -> str:
    match value:
        case bool():
            return ""
        case int() | float():
            return "" if _is_in_range(field, value) else "range"
        case str() if field.is_file:
            return "" if _URL.match(value) else "type"
        case str():
            return _broken_by_text(field, value)
        case list():
            return "" if _is_within(len(value), field.min_items, field.max_items) else "items"
    return ""


def has_type(value: Any, types: Sequence[str]) -> bool:
    """Whether a value is of one of these JSON types; where there are none, any is."""
    if not types:
        return True
    if isinstance(value, bool):
        return "boolean" in types
    return any(isinstance(value, JSON_TYPES[name]) for name in types)


def is_same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: 1 is 1.0 and is not true."""
    try:
        return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)
    except RecursionError:
        return False


def _is_choice(value: Any, choices: Sequence[Any]) -> bool:
    if isinstance(value, str):
        return value in choices
    return any(is_same(value, choice) for choice in choices)


def _is_in_range(field: InputField, value: float) -> bool:
    return not (
        (field.minimum is not None and value < field.minimum)
        or (field.maximum is not None and value > field.maximum)
        or (field.above is not None and value <= field.above)
        or (field.below is not None and value >= field.below)
    )


def _is_within(size: int, least: int | None, most: int | None) -> bool:
    return (least is None or size >= least) and (most is None or size <= most)


def _broken_by_text(field: InputField, value: str) -> str:
    if not _is_within(len(value), field.min_length, field.max_length):
        return "length"
    return "" if _matches(field.pattern, value) else "pattern"


_LONGEST_MATCHED = 200
_STRANGE = re.compile(r"\)[*+?{]|\(\?(?!:)|\\[1-9]|\[\[|--|&&|~~|\|\|")


def _matches(pattern: str, value: str) -> bool:
    """Whether the pattern is found, or cannot be tried without trusting whoever wrote it.

    A pattern with nested or many repeats may take for ever
    (https://owasp.org/www-community/attacks/Regular_expression_Denial_of_Service_-_ReDoS).
    """
    variable = re.sub(r"\{[0-9]+\}", "", pattern)
    is_plain = (
        len(pattern) <= _LONGEST_MATCHED
        and len(value) <= _LONGEST_MATCHED
        and sum(map(variable.count, "*+?{")) <= 2
        and pattern.count("(") <= 1
        and not _STRANGE.search(pattern)
    )
    if not pattern or not is_plain:
        return True
    try:
        return re.search(pattern, value) is not None
    except (re.error, OverflowError, RecursionError):
        return True


# -- words ------------------------------------------------------------------------------------


def _line(field: InputField, name: str, value: Any, reason: str) -> str:
    shown = "(secret)" if field.is_secret else shortened(value)
    return f"{one_line(name, limit=80)}={shown}: {reason}"


def shortened(value: Any, *, limit: int = 60) -> str:
    """A value as it stands in a message."""
    try:
        return one_line(str(value)[:1_000], limit=limit)
    except (ValueError, RecursionError):  # more digits than Python writes, a list in itself
        return f"({type(value).__name__})"


def _reason(field: InputField, value: Any) -> str:
    match _broken(field, value):
        case "choices":
            told = f"it is one of {listed(field.choices)}.{_nearest_choice(field, value)}"
        case "range":
            told = f"{_range(field)}."
        case "length":
            told = f"{_sizes(field.min_length, field.max_length, 'character')}."
        case "items":
            told = f"{_sizes(field.min_items, field.max_items, 'item')}."
        case "pattern":
            told = f"it must match {one_line(field.pattern)}."
        case _:
            told = f"{expected(field)}{_advice(field, value)}"
    return told


def _nearest_choice(field: InputField, value: Any) -> str:
    return "" if field.is_secret else nearest(shortened(value), map(shortened, field.choices))


def _advice(field: InputField, value: Any) -> str:
    if field.is_file and isinstance(value, str) and not field.is_secret:
        is_path = value.strip() and len(value) <= 60 and len(value.split()) == 1
        path = one_line(value) if is_path else "PATH"
        return f' A file is {field.name}=@{path} in a cell, Path("…") in Python.'
    if value is None and not field.required:
        return " Left out, the model takes its own."
    return ""


def expected(field: InputField) -> str:
    """Which types an input takes, as a sentence."""
    return f"expected {_kinds(field)}."


def _kinds(field: InputField) -> str:
    words = {"string": "a URL or a file"} if field.is_file else {}
    item = field.item
    if item and (item.types or item.is_file):
        kinds = "URLs or files" if item.is_file else _kinds(item)
        words["array"] = f"array of {kinds}"
    types = [name for name in field.types if name != "null" or not field.is_file]
    return " or ".join(words.get(name, name) for name in types or ["string"])


def _range(field: InputField) -> str:
    bounds = (
        ("the least is", field.minimum),
        ("it is above", field.above),
        ("the most is", field.maximum),
        ("it is below", field.below),
    )
    return ", ".join(f"{words} {_number(bound)}" for words, bound in bounds if bound is not None)


def _number(value: float) -> str:
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e15
    return shortened(int(value) if is_whole else value)


def _sizes(least: int | None, most: int | None, what: str) -> str:
    bounds = (("the least is", least), ("the most is", most))
    return ", ".join(f"{words} {count(n, what)}" for words, n in bounds if n is not None)


def listed(names: Iterable[Any]) -> str:
    """Names as they stand in a message: all of a reasonable number of them."""
    every = list(names)
    shown = [shortened(name, limit=80) for name in every[:_MOST_NAMES]]
    if len(every) > _MOST_NAMES:
        shown.append(f"and {len(every) - _MOST_NAMES:,} more")
    return ", ".join(shown) or "none"


def nearest(name: str, known: Iterable[str]) -> str:
    """` Did you mean …?` with the nearest of the known names, or an empty string."""
    if len(name) > _LONGEST_COMPARED:
        return ""
    names = [one_line(one, limit=80) for one in islice(known, _MOST_COMPARED)]
    folded = name.strip().casefold()
    same = next((one for one in names if one.casefold() == folded), None)
    return f" Did you mean {same}?" if same else did_you_mean(name, names)
