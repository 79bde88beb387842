"""Owns what a model's OpenAPI schema says of its inputs and output; must not fetch it.

Cog writes the schema (https://github.com/replicate/cog/blob/main/docs/http.md): the inputs are the
properties of `components.schemas.Input`, an enum is behind `allOf: [{$ref}]`, `x-order` is the
order for people.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from replicate_magic.errors import InputError
from replicate_magic.plain import did_you_mean, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from replicate_magic.prediction import OutputShape

_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
_BOOLEANS = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}
_MOST_REFS = 20  # a schema that refers to itself must not hang us
_MOST_NAMES = 50  # in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class InputField:
    """One input of a model.

    Attributes:
        types: JSON types it accepts; empty where the schema does not say.
        is_file: whether it takes a URL of a file.
        choices: the values of an enum, or empty.
        order: its place for people, from 0.
        minimum: the least number, or `None`.
        maximum: the greatest number, or `None`.
    """

    name: str
    types: tuple[str, ...] = ()
    is_file: bool = False
    choices: tuple[Any, ...] = ()
    required: bool = False
    order: int = 0
    minimum: float | None = None
    maximum: float | None = None

    @property
    def is_free_text(self) -> bool:
        """Whether a prompt may go here."""
        return "string" in self.types and not self.is_file and not self.choices


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """What is known of a model's inputs and output.

    Attributes:
        fields: the inputs by name; `None` where no schema is known, so that any name is taken.
        shape: of the output, where it is known.
    """

    fields: Mapping[str, InputField] | None = None
    shape: OutputShape | None = field(default=None)

    def prompt_key(self) -> str | None:
        """The input for the body: `prompt`, else the first required free text by `x-order`."""
        if self.fields is None or "prompt" in self.fields:
            return "prompt"
        texts = [f for f in self.fields.values() if f.required and f.is_free_text]
        return min(texts, key=lambda f: f.order).name if texts else None


def read_schema(openapi: Mapping[str, Any] | None) -> Schema:
    """Read `latest_version.openapi_schema`; anything that is none gives an empty `Schema`."""
    schemas = _dict(_dict(_dict(openapi).get("components")).get("schemas"))
    described = _dict(schemas.get("Input"))
    if "properties" not in described:
        return Schema(shape=_shape(schemas))
    required = {name for name in _list(described.get("required")) if isinstance(name, str)}
    fields = {
        name: _field(name, _dict(spec), schemas, required=name in required)
        for name, spec in _dict(described["properties"]).items()
    }
    return Schema(fields=fields, shape=_shape(schemas))


def _field(
    name: str, spec: dict[str, Any], schemas: Mapping[str, Any], *, required: bool
) -> InputField:
    merged = _resolved(spec, schemas)
    minimum, maximum = (
        merged.get("minimum", merged.get("ge")),
        merged.get("maximum", merged.get("le")),
    )
    return InputField(
        name=name,
        types=_types(merged),
        is_file=merged.get("format") == "uri",
        choices=tuple(_list(merged.get("enum"))),
        required=required,
        order=merged["x-order"] if isinstance(merged.get("x-order"), int) else 1_000,
        minimum=minimum if isinstance(minimum, int | float) else None,
        maximum=maximum if isinstance(maximum, int | float) else None,
    )


def _resolved(spec: dict[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    """The spec with `$ref` and a single `allOf`/`anyOf` choice taken in."""
    merged = dict(spec)
    for _ in range(_MOST_REFS):
        parts = [*_dicts(merged.pop("allOf", None)), *_unions(merged)]
        if ref := merged.pop("$ref", None):
            parts.append(_dict(schemas.get(str(ref).rsplit("/", 1)[-1])))
        if not parts:
            break
        for part in parts:
            merged = {**part, **merged}
    return merged


def _unions(merged: dict[str, Any]) -> list[dict[str, Any]]:
    """`anyOf: [X, null]` is how newer cog writes an optional X."""
    options = [*_dicts(merged.pop("anyOf", None)), *_dicts(merged.pop("oneOf", None))]
    solid = [option for option in options if option.get("type") != "null"]
    if len(solid) < len(options):
        merged["nullable"] = True
    if len(solid) == 1:
        return solid
    if solid:
        merged["type"] = [option["type"] for option in solid if isinstance(option.get("type"), str)]
    return []


def _types(merged: Mapping[str, Any]) -> tuple[str, ...]:
    declared = merged.get("type")
    types = declared if isinstance(declared, list) else [declared] if declared else []
    known = [name for name in types if isinstance(name, str) and name in _PYTHON_TYPES]
    if known and merged.get("nullable") and "null" not in known:
        known.append("null")
    return tuple(known)


def _shape(schemas: Mapping[str, Any]) -> OutputShape | None:
    output = _resolved(_dict(schemas.get("Output")), schemas)
    items = _resolved(_dict(output.get("items")), schemas)
    match output.get("type"):
        case "string":
            return "file" if output.get("format") == "uri" else "text"
        case "array" if items.get("format") == "uri":
            return "files"
        case "array" if output.get("x-cog-array-display") == "concatenate":
            return "chunks"
        case str():
            return "json"
    return None


# -- typing values ----------------------------------------------------------------------------


def typed(text: str, field: InputField | None) -> Any:
    """The value that was written as `key=text`.

    Without a schema, JSON numbers, booleans and null are taken as such, anything else is text.

    Raises:
        InputError: the text is no value of the input's type.
    """
    types = field.types if field else ()
    if field and field.choices:
        return next((choice for choice in field.choices if str(choice) == text), text)
    if not types:
        return _guessed(text)
    if "string" in types:
        return text
    for name in types:
        value = _parsed(text, name)
        if isinstance(value, _PYTHON_TYPES[name]):
            return value
    raise InputError(_refusal(field, text, f"expected {_words(types)}"))


def _parsed(text: str, name: str) -> Any:
    if name == "boolean":
        return _BOOLEANS.get(text.strip().lower())
    try:
        value = read_json(text)
    except ValueError:
        return text
    if name == "number" and isinstance(value, bool):
        return text
    if name == "integer":
        return value if _is_whole(value) else text
    return value


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _guessed(text: str) -> Any:
    try:
        value = read_json(text)
    except ValueError:
        return text
    return text if isinstance(value, str) else value


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


def check(inputs: Mapping[str, Any], schema: Schema, model: str) -> None:
    """Compare typed inputs with the schema, before anything is sent and paid for.

    Raises:
        InputError: the first problem found, with the input's name, what was given and what is
            allowed.
    """
    if schema.fields is None:
        return
    for name, value in inputs.items():
        known = schema.fields.get(name)
        if known is None:
            raise InputError(_unknown_input(name, schema.fields, model))
        _check_value(known, value)
    missing = [f.name for f in schema.fields.values() if f.required and f.name not in inputs]
    if missing:
        raise InputError(f"{model} requires {listed(missing)}. Nothing was sent.")


def _unknown_input(name: str, known: Iterable[str], model: str) -> str:
    names = list(known)
    return (
        f"{model} has no input {name}.{did_you_mean(name, names)} "
        f"Its inputs: {listed(names)}. Nothing was sent."
    )


def listed(names: Iterable[Any]) -> str:
    """Names as they stand in a message: all of a reasonable number of them."""
    shown = [one_line(str(name), limit=80) for name in names]
    more = len(shown) - _MOST_NAMES
    if more > 0:
        shown = [*shown[:_MOST_NAMES], f"and {more:,} more"]
    return ", ".join(shown) or "none"


def _check_value(field: InputField, value: Any) -> None:
    if value is None and "null" in field.types:
        return
    if field.choices:
        if value not in field.choices:
            nearest = did_you_mean(str(value), map(str, field.choices))
            raise InputError(
                _refusal(field, value, f"it is one of {listed(field.choices)}", nearest)
            )
        return
    if field.types and not _fits(value, field.types):
        raise InputError(_refusal(field, value, f"expected {_words(field.types)}"))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    if field.minimum is not None and value < field.minimum:
        raise InputError(_refusal(field, value, f"the least is {field.minimum}"))
    if field.maximum is not None and value > field.maximum:
        raise InputError(_refusal(field, value, f"the most is {field.maximum}"))


def _fits(value: Any, types: Iterable[str]) -> bool:
    if isinstance(value, bool):
        return "boolean" in types
    return any(isinstance(value, _PYTHON_TYPES[name]) for name in types)


def _refusal(field: InputField | None, value: Any, reason: str, advice: str = "") -> str:
    name = field.name if field else "the input"
    return f"{name}={one_line(str(value), limit=60)}: {reason}.{advice} Nothing was sent."


def _words(types: Iterable[str]) -> str:
    return " or ".join(types)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [part for part in _list(value) if isinstance(part, dict)]
