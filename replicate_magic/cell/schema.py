"""Owns what a model's OpenAPI schema says of its inputs and output; must not fetch it.

Cog writes the schema (https://github.com/replicate/cog/blob/main/docs/http.md): the inputs are the
properties of `components.schemas.Input`, an enum is behind `allOf: [{$ref}]` or `anyOf` with null,
`x-order` is the order for people. Whoever pushes a model writes what stands in it, so nothing here
raises, and reading ends soon, whatever it is handed: what is not understood allows everything.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replicate_magic.prediction import OutputShape

JSON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
"""The types of JSON schema, and what they are in Python; a `bool` is a boolean alone."""

_NUMBER_KEYS = (
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "ge", "le", "gt", "lt",
)  # fmt: skip
_TEXT_KEYS = ("format", "x-cog-secret", "pattern", "minLength", "maxLength")
_LIST_KEYS = ("items", "minItems", "maxItems", "x-cog-array-display")
_KEYS = (
    "type", "enum", "const", "nullable", "default", "x-order", "allOf", "anyOf", "oneOf", "$ref",
    *_NUMBER_KEYS, *_TEXT_KEYS, *_LIST_KEYS,
)  # fmt: skip
_KEYS_OF_TYPES = (
    (frozenset({"integer", "number"}), _NUMBER_KEYS),
    (frozenset({"string"}), _TEXT_KEYS),
    (frozenset({"array"}), _LIST_KEYS),
)
_MOST_PARTS = 200_000  # of a whole schema, and
_MOST_PARTS_OF_ONE = 50  # of one input: a schema that refers to itself must not hang us
_MOST_TYPES = 50
_DEEPEST = 5  # lists in lists, unions in unions
_NO_ORDER = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class InputField:
    """One input of a model, or an item of one that is a list.

    Attributes:
        types: JSON types it accepts; empty where the schema does not say.
        is_file: whether it takes a URL of a file.
        is_secret: whether its value must not be shown; so must not a list that holds secrets.
        choices: the values of an enum other than null, or empty.
        default: what the model takes where nothing is given; `None` is null or none.
        order: its place for people, from 0.
        minimum: the least number, or `None`.
        maximum: the greatest number, or `None`.
        above: numbers are greater than this one, or `None`.
        below: numbers are less than this one, or `None`.
        min_length: the least characters of a text, or `None`.
        max_length: the most characters of a text, or `None`.
        pattern: a regular expression that is found in a text, or an empty string.
        item: what an item of a list is, or `None` where that is not known.
        min_items: the least items of a list, or `None`.
        max_items: the most items of a list, or `None`.
    """

    name: str
    types: tuple[str, ...] = ()
    is_file: bool = False
    is_secret: bool = False
    choices: tuple[Any, ...] = ()
    required: bool = False
    default: Any = None
    order: int = 0
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str = ""
    item: InputField | None = None
    min_items: int | None = None
    max_items: int | None = None

    @property
    def is_free_text(self) -> bool:
        """Whether a prompt may go here."""
        is_text = "string" in self.types and not self.is_file
        return is_text and not self.is_secret and not self.choices

    @property
    def is_list_of_text(self) -> bool:
        """Whether it takes free texts, as a list only."""
        is_list = "array" in self.types and "string" not in self.types
        return is_list and self.item is not None and self.item.is_free_text

    @property
    def is_conversation(self) -> bool:
        """Whether it takes what was said so far, as chat models do: `{role, content}`, in order."""
        is_list = "array" in self.types and "string" not in self.types
        of_objects = self.item is None or not self.item.types or "object" in self.item.types
        return self.name == "messages" and is_list and of_objects


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """What is known of a model's inputs and output.

    Attributes:
        fields: the inputs by name; `None` where no schema is known, so that any name is taken.
        shape: of the output, where it is known.
    """

    fields: Mapping[str, InputField] | None = None
    shape: OutputShape | None = field(default=None)

    @property
    def conversation(self) -> InputField | None:
        """The input for what was said so far, if there is one."""
        messages = (self.fields or {}).get("messages")
        return messages if messages and messages.is_conversation else None

    def prompt_key(self) -> str | None:
        """The input for the body: `prompt`, `messages`, or the first required text by `x-order`."""
        if self.fields is None or "prompt" in self.fields:
            return "prompt"
        if conversation := self.conversation:
            return conversation.name
        texts = [f for f in self.fields.values() if f.required and f.is_free_text]
        return min(texts, key=lambda f: f.order).name if texts else None


def read_schema(openapi: Mapping[str, Any] | None) -> Schema:
    """Read `latest_version.openapi_schema`; anything that is none gives an empty `Schema`."""
    schemas = _dict(_dict(_dict(openapi).get("components")).get("schemas"))
    described = _dict(schemas.get("Input"))
    reader = _Reader(schemas)
    if "properties" not in described:
        return Schema(shape=_shape(reader))
    required = {name for name in _list(described.get("required")) if isinstance(name, str)}
    fields = {
        name: reader.field(name, spec, required=name in required)
        for name, spec in _dict(described["properties"]).items()
        if isinstance(name, str)
    }
    return Schema(fields=fields, shape=_shape(reader))


class _Reader:
    """Reads the parts of one schema, and no more of them than it may."""

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self._schemas = schemas
        self._parts_left = _MOST_PARTS
        self._enums: dict[int, tuple[list[Any], tuple[Any, ...]]] = {}

    def field(
        self,
        name: str,
        spec: object,
        *,
        required: bool = False,
        secret: bool = False,
        depth: int = _DEEPEST,
    ) -> InputField:
        merged = self.resolved(spec)
        choices, has_null = self._choices_of(merged)
        secret |= _is_secret(merged)
        item = None
        if depth > 0 and isinstance(merged.get("items"), dict):
            item = self.field(name, merged["items"], secret=secret, depth=depth - 1)
        return InputField(
            name=name,
            types=_types(merged, has_null=has_null),
            is_file=merged.get("format") == "uri",
            is_secret=secret or (item is not None and item.is_secret),
            choices=choices,
            required=required,
            default=merged.get("default"),
            order=_whole(merged.get("x-order"), otherwise=_NO_ORDER),
            **_bounds(merged),
            min_length=_size(merged, "minLength"),
            max_length=_size(merged, "maxLength"),
            pattern=merged["pattern"] if isinstance(merged.get("pattern"), str) else "",
            item=item,
            min_items=_size(merged, "minItems"),
            max_items=_size(merged, "maxItems"),
        )

    def resolved(self, spec: object, depth: int = _DEEPEST) -> dict[str, Any]:
        """The spec with what it refers to taken in; what stands nearer wins."""
        merged: dict[str, Any] = {}
        parts = deque([spec])
        for _ in range(_MOST_PARTS_OF_ONE):
            if not parts:
                break
            part = self._known(parts.popleft())
            parts.extend(self._several(part, "allOf"))
            ref = part.pop("$ref", None)
            if isinstance(ref, str):
                parts.append(self._schemas.get(ref.rsplit("/", 1)[-1]))
            options = [*self._several(part, "anyOf"), *self._several(part, "oneOf")]
            if options:
                part = {**self._either(options, depth), **part}
            merged = {**part, **merged}
        return merged

    def _known(self, spec: object) -> dict[str, Any]:
        self._parts_left -= 1
        if not isinstance(spec, dict) or self._parts_left < 0:
            return {}
        part = {key: spec[key] for key in _KEYS if key in spec}
        if "const" in part:
            part["enum"] = [part.pop("const")]
        return part

    def _several(self, part: dict[str, Any], key: str) -> list[dict[str, Any]]:
        found = _list(part.pop(key, None))
        self._parts_left -= len(found)
        return [one for one in found if isinstance(one, dict)] if self._parts_left > 0 else []

    def _either(self, options: list[dict[str, Any]], depth: int) -> dict[str, Any]:
        """A union as one spec, `anyOf: [X, null]` being how newer cog writes an optional X."""
        if depth == 0:
            return {}
        read = [self.resolved(option, depth - 1) for option in options]
        solid = [option for option in read if option.get("type") != "null"]
        merged = dict(solid[0]) if len(solid) == 1 else _merged(solid)
        self._parts_left -= len(_list(merged.get("enum")))
        return {**merged, "nullable": True} if len(solid) < len(read) else merged

    def _choices_of(self, merged: Mapping[str, Any]) -> tuple[tuple[Any, ...], bool]:
        """The values of an enum, one tuple for all who refer to it, and whether null is one."""
        values = _list(merged.get("enum"))
        if id(values) not in self._enums:  # the list is kept, so that its id stays its own
            self._enums[id(values)] = (values, tuple(one for one in values if one is not None))
        choices = self._enums[id(values)][1]
        return choices, len(choices) < len(values)


def _merged(options: list[dict[str, Any]]) -> dict[str, Any]:
    """What holds for a value of any of several kinds; a bound that is one's of two is nobody's."""
    secret = {"x-cog-secret": True} if any(map(_is_secret, options)) else {}
    if not all(_declared(option) for option in options):
        return {**secret}
    merged: dict[str, Any] = {"type": [name for option in options for name in _declared(option)]}
    if all("enum" in option for option in options):
        merged["enum"] = [value for option in options for value in _list(option["enum"])]
    for types, keys in _KEYS_OF_TYPES:
        of_these = [option for option in options if types.intersection(_declared(option))]
        if len(of_these) == 1 and "enum" not in of_these[0]:
            merged |= {key: of_these[0][key] for key in keys if key in of_these[0]}
    texts = [option.get("format") for option in options if "string" in _declared(option)]
    if texts and all(isinstance(one, str) and one == texts[0] for one in texts):
        merged["format"] = texts[0]
    return merged | secret


def _is_secret(merged: Mapping[str, Any]) -> bool:
    return merged.get("format") == "password" or merged.get("x-cog-secret") is True


def _declared(merged: Mapping[str, Any]) -> tuple[str, ...]:
    declared = merged.get("type")
    types = declared[:_MOST_TYPES] if isinstance(declared, list) else [declared]
    known = dict.fromkeys(name for name in types if isinstance(name, str) and name in JSON_TYPES)
    if not known:
        known = dict.fromkeys(map(_type_of, _list(merged.get("enum"))[:_MOST_TYPES]))
    return tuple(known)


def _types(merged: Mapping[str, Any], *, has_null: bool) -> tuple[str, ...]:
    types = _declared(merged)
    has_null |= merged.get("nullable") is True or merged.get("default", ...) is None
    return (*types, "null") if types and has_null and "null" not in types else types


def _type_of(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    return next((name for name, types in JSON_TYPES.items() if isinstance(value, types)), "object")


def _bounds(merged: Mapping[str, Any]) -> dict[str, float | None]:
    """`exclusiveMinimum` is a number, or in OpenAPI 3.0 true of `minimum`; `ge` is older cog's."""
    minimum, maximum = _number(merged, "minimum", "ge"), _number(merged, "maximum", "le")
    above, below = (
        _number(merged, "exclusiveMinimum", "gt"),
        _number(merged, "exclusiveMaximum", "lt"),
    )
    if merged.get("exclusiveMinimum") is True:
        minimum, above = None, minimum
    if merged.get("exclusiveMaximum") is True:
        maximum, below = None, maximum
    return {"minimum": minimum, "maximum": maximum, "above": above, "below": below}


def _shape(reader: _Reader) -> OutputShape | None:
    output = reader.resolved({"$ref": "#/components/schemas/Output"})
    items = reader.resolved(output.get("items"))
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


def _number(merged: Mapping[str, Any], *keys: str) -> float | None:
    values = (merged.get(key) for key in keys)
    return next((v for v in values if isinstance(v, int | float) and not isinstance(v, bool)), None)


def _whole(value: object, *, otherwise: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


def _size(merged: Mapping[str, Any], key: str) -> int | None:
    size = _whole(merged.get(key), otherwise=-1)
    return size if size >= 0 else None


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
