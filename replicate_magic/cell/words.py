"""Owns the words for what an input takes and what an output is; must not know where they stand."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

from replicate_magic.cell.schema import read_schema
from replicate_magic.plain import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from replicate_magic.cell.schema import InputField

_OUTPUTS = {
    "text": "text",
    "chunks": "text, piece by piece",
    "file": "a file",
    "files": "a list of files",
}
_OUTPUT = "#/components/schemas/Output"
_MOST_CHARS = 80
_MOST_KEYS = 20
_MOST_REFS = 5


def kind(field: InputField) -> str:
    """Which types an input takes, such as `integer`, `file`, `list of strings`."""
    types = [name for name in field.types if name != "null"]
    if not types:
        return "file" if field.is_file else "anything"
    return " or ".join(dict.fromkeys(_word(name, field) for name in types))


def _word(name: str, field: InputField) -> str:
    if name == "string" and field.is_file:
        return "file"
    if name != "array" or field.item is None or not field.item.types:
        return {"array": "list"}.get(name, name)
    of = " or ".join(map(_plural, kind(field.item).split(" or ")))
    return f"list of {of}"


def _plural(word: str) -> str:
    return word.replace("list", "lists", 1) if word.startswith("list") else f"{word}s"


def limits(field: InputField) -> str:
    """Which values of its types an input takes, without its choices; empty where all of them."""
    return ", ".join(filter(None, _limits(field)))


def _limits(field: InputField) -> Iterator[str]:
    yield _between(field.minimum, field.maximum)
    yield f"above {_number(field.above)}" if field.above is not None else ""
    yield f"below {_number(field.below)}" if field.below is not None else ""
    if sizes := _between(field.min_length, field.max_length):
        yield f"{sizes} characters"
    if sizes := _between(field.min_items, field.max_items):
        yield f"{sizes} items"
    yield f"must match {one_line(field.pattern)}" if field.pattern else ""


def _between(least: float | None, most: float | None) -> str:
    if least is not None and most is not None:
        return f"{_number(least)} to {_number(most)}"
    if least is not None:
        return f"at least {_number(least)}"
    return f"at most {_number(most)}" if most is not None else ""


def _number(number: float) -> str:
    is_whole = isinstance(number, float) and number.is_integer() and abs(number) < 1e15
    return value(int(number) if is_whole else number)


def choices(field: InputField) -> tuple[Any, ...]:
    """The values of an enum, of the input or of its items."""
    return field.choices or (choices(field.item) if field.item else ())


def value(given: Any, *, limit: int = _MOST_CHARS) -> str:
    """A value as it is written, on one line and safe to print; of a long one the beginning."""
    if isinstance(given, str) and given and given.strip() == given:
        return one_line(given[: 10 * limit], limit=limit)
    try:
        return one_line(json.dumps(given, ensure_ascii=False)[: 10 * limit], limit=limit)
    except (TypeError, ValueError, RecursionError):  # more digits than Python writes, too deep
        return f"({type(given).__name__})"


# -- the output -------------------------------------------------------------------------------


def output(openapi: Mapping[str, Any] | None) -> str:
    """What a model gives, such as `text, piece by piece`; empty where its schema does not say."""
    schemas = _schemas(openapi)
    if "Output" not in schemas:
        return ""
    as_input = {"properties": {"output": {"$ref": _OUTPUT}}}  # it is read as inputs are
    read = read_schema({"components": {"schemas": {**schemas, "Input": as_input}}})
    if read.shape in _OUTPUTS:
        return _OUTPUTS[read.shape]
    field = (read.fields or {})["output"]
    if field.types[:1] != ("object",):
        return kind(field)
    keys = list(_keys(schemas))
    more = f" and {len(keys) - _MOST_KEYS:,} more" if len(keys) > _MOST_KEYS else ""
    shown = ", ".join(one_line(key, limit=40) for key in islice(keys, _MOST_KEYS))
    return f"an object with {shown}{more}" if shown else "an object"


def _schemas(openapi: Mapping[str, Any] | None) -> dict[str, Any]:
    components = (openapi if isinstance(openapi, dict) else {}).get("components")
    schemas = components.get("schemas") if isinstance(components, dict) else None
    return schemas if isinstance(schemas, dict) else {}


def _keys(schemas: Mapping[str, Any]) -> Iterator[str]:
    spec = schemas["Output"]
    for _ in range(_MOST_REFS):
        if not isinstance(spec, dict):
            return
        if isinstance(properties := spec.get("properties"), dict):
            yield from (key for key in properties if isinstance(key, str))
            return
        spec = schemas.get(str(spec.get("$ref")).rsplit("/", 1)[-1])
