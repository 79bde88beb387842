"""Checks wire JSON against the part of JSON schema that cog uses.

Pure. The error types and sentences are those of the API's 422 answers, see `invalid_fields`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidField:
    """One thing that is wrong.

    Attributes:
        type: The kind, e.g. `required` or `number_lte`.
        field: Dotted path of the value, of its parent for missing and surplus ones.
        description: A sentence about it.
    """

    type: str
    field: str
    description: str


def invalid_fields(schema: dict[str, Any], value: Any, field: str = "") -> Iterator[InvalidField]:
    """All that is wrong with *value*, in the order of its keys."""
    if value is None and schema.get("nullable"):
        return
    expected = schema.get("type")
    if expected is not None and not _has_type(value, expected):
        yield InvalidField(
            type="invalid_type",
            field=field,
            description=f"Invalid type. Expected: {expected}, given: {_type_name(value)}",
        )
        return
    yield from _out_of_bounds(schema, value, field)
    if schema.get("format") == "uri" and not _is_uri(value):
        yield InvalidField(type="format", field=field, description="Does not match format 'uri'")
    if isinstance(value, dict):
        yield from _invalid_members(schema, value, field)
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from invalid_fields(schema["items"], item, _join(field, str(index)))


def with_defaults(schema: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """*value* without unknown and null keys, with the schema's defaults for those left out."""
    properties = schema["properties"]
    defaults = {name: part["default"] for name, part in properties.items() if "default" in part}
    given = {name: item for name, item in value.items() if name in properties and item is not None}
    return defaults | given


def _out_of_bounds(schema: dict[str, Any], value: Any, field: str) -> Iterator[InvalidField]:
    if "enum" in schema and value not in schema["enum"]:
        choices = ", ".join(repr(choice) for choice in schema["enum"])
        yield InvalidField(
            type="enum", field=field, description=f"Must be one of the following: {choices}"
        )
    if "minimum" in schema and value < schema["minimum"]:
        yield InvalidField(
            type="number_gte",
            field=field,
            description=f"Must be greater than or equal to {schema['minimum']}",
        )
    if "maximum" in schema and value > schema["maximum"]:
        yield InvalidField(
            type="number_lte",
            field=field,
            description=f"Must be less than or equal to {schema['maximum']}",
        )


def _invalid_members(
    schema: dict[str, Any], value: dict[str, Any], field: str
) -> Iterator[InvalidField]:
    for name in schema.get("required", ()):
        if name not in value:
            yield InvalidField(type="required", field=field, description=f"{name} is required")
    properties = schema.get("properties", {})
    for name, item in value.items():
        if name in properties:
            yield from invalid_fields(properties[name], item, _join(field, name))
        elif schema.get("additionalProperties") is False:
            yield InvalidField(
                type="additional_property_not_allowed",
                field=field,
                description=f"Additional property {name} is not allowed",
            )


def _has_type(value: Any, expected: str) -> bool:
    if expected == "number":
        return _type_name(value) in {"number", "integer"}
    if expected == "integer":
        return _type_name(value) == "integer" or (isinstance(value, float) and value.is_integer())
    return _type_name(value) == expected


def _is_uri(value: str) -> bool:
    try:
        return bool(urlsplit(value).scheme)
    except ValueError:
        return False


def _type_name(value: Any) -> str:  # noqa: PLR0911 - a table
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _join(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name
