"""Owns which operations Replicate's HTTP API is described to have; must not send one.

The table is made from Replicate's own description, https://api.replicate.com/openapi.json, by
`tests/api/operations_table.py`; what has come to the API since is not in it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

from replicate_magic.cell.schema import InputField, read_schema
from replicate_magic.plain import did_you_mean, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

METHODS = ("GET", "HEAD", "QUERY", "POST", "PUT", "PATCH", "DELETE")
"""The methods that are sent; the first three change nothing."""
READING = METHODS[:3]

Effect = Literal["reads", "changes", "pays", "deletes"]
Takes = Literal["json", "form", "text", ""]
Gives = Literal["object", "list", "text", "bytes", "nothing"]
Place = Literal["path", "query", "header", "body"]

_HOLE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A parameter of an operation, or a field of its body.

    Attributes:
        name: its name; those of headers may be written in any case.
        place: where it goes.
        about: what it is, in a sentence.
        takes: its types, choices and bounds.
    """

    name: str
    place: Place
    about: str
    takes: InputField

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.takes.required


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation of the API.

    Attributes:
        method: such as `GET`.
        path: such as `/models/{model_owner}/{model_name}`.
        summary: what it does, in a few words.
        effect: whether it only reads, changes something, deletes, or costs money.
        takes: how its body is written; empty where it has none.
        gives: what it answers; a `list` may come page by page.
        fields: what it takes, those of its path first.
        secret: the keys of its answer that are not to be shown.
    """

    method: str
    path: str
    summary: str
    effect: Effect
    takes: Takes = ""
    gives: Gives
    fields: tuple[Field, ...] = ()
    secret: frozenset[str] = field(default_factory=frozenset)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def field(self, name: str) -> Field | None:
        """The field of a name, if there is one."""
        exact = next((one for one in self.fields if one.name == name), None)
        folded = name.casefold()
        return exact or next(
            (one for one in self.fields if one.place == "header" and one.name.casefold() == folded),
            None,
        )


@cache
def operations() -> tuple[Operation, ...]:
    """All operations, in the order of the description."""
    return tuple(map(_operation, _table()["operations"]))


def as_of() -> str:
    """The date of the description, such as `2026-03-16`."""
    return str(_table()["as_of"])


def find(method: str, path: str) -> Operation | None:
    """The operation that a method and a path mean, if the description has it."""
    return next((one for one in at(path) if one.method == method.upper()), None)


def at(path: str) -> tuple[Operation, ...]:
    """The operations of a path, whose holes may be filled or not."""
    return tuple(one for one in operations() if fits(path.split("/"), one.path.split("/")))


def holes(path: str) -> dict[str, str]:
    """The holes `{name}` of a path, and what the description calls each."""
    known = next(iter(at(path)), None)
    pairs = zip(path.split("/"), (known.path if known else path).split("/"), strict=True)
    found = ((_HOLE.fullmatch(step), _HOLE.fullmatch(one)) for step, one in pairs)
    return {hole[1]: called[1] for hole, called in found if hole and called}


def nearest(path: str) -> str:
    """` Did you mean …?` with the path of the description that is most like this one."""
    told = one_line(path)
    return did_you_mean(told, [_after(path, one.path) for one in operations()])


def _after(path: str, template: str) -> str:
    """A path of the table with its holes filled as another path's steps are."""
    steps = path.split("/")
    return "/".join(
        steps[number] if _HOLE.fullmatch(one) and number < len(steps) else one
        for number, one in enumerate(template.split("/"))
    )


def fits(steps: Sequence[str], known: Sequence[str]) -> bool:
    """Whether the steps of a path are those of the table, whose holes take anything."""
    return len(steps) == len(known) and all(
        step == one or (bool(step) and bool(_HOLE.fullmatch(one)))
        for step, one in zip(steps, known, strict=True)
    )


@cache
def _table() -> dict[str, Any]:
    text = files("replicate_magic.api").joinpath("operations.json").read_text("utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


def _operation(row: Mapping[str, Any]) -> Operation:
    specs = row.get("fields", {})
    return Operation(
        method=row["method"],
        path=row["path"],
        summary=row["summary"],
        effect=row["effect"],
        takes=row.get("takes", ""),
        gives=row["gives"],
        fields=tuple(_fields(specs, row.get("required", ()))),
        secret=frozenset(row.get("secret", ())),
    )


def _fields(specs: Mapping[str, Any], required: Iterable[str]) -> Iterable[Field]:
    schema = {"properties": specs, "required": list(required)}
    takes = read_schema({"components": {"schemas": {"Input": schema}}}).fields or {}
    for name, spec in specs.items():
        yield Field(name=name, place=spec["in"], about=spec["about"], takes=takes[name])
