"""Owns hiding what a model's schema calls a secret; must not decide where it is hidden.

An input is known by its name. Where others quote it (the API in a refusal, the model in its logs)
it is known by its text, also as JSON writes it, and cut short.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from replicate_magic.errors import APIError, CreateUnclear
from replicate_magic.plain import one_line, printable
from replicate_magic.prediction import Created, Finished, Log, Retry, Update

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from replicate_magic.cell.schema import Schema
    from replicate_magic.prediction import Event

HIDDEN = "(secret)"

_SHORTEST = 4  # a text that is shorter stands in others by chance
_BEGINNING = 8  # characters that tell a secret which is cut short
_MOST_LINES = 100
_QUOTED = ("error", "logs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """The secrets among one prediction's inputs.

    Attributes:
        names: of the inputs.
        texts: their values, in all the ways in which they may be quoted; where they are not known,
            a prediction's own input tells them.
    """

    names: frozenset[str] = frozenset()
    texts: tuple[str, ...] = field(default=(), repr=False)

    def input(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """An input with its secrets hidden."""
        return {name: _masked(it) if name in self.names else it for name, it in given.items()}

    def raw(self, raw: dict[str, Any]) -> dict[str, Any]:
        """The API's JSON of a prediction with its secrets hidden; the output is as it came."""
        if not self.names:
            return raw
        given = raw["input"] if isinstance(raw.get("input"), dict) else {}
        texts = self.texts or _texts(self.names, given)
        told = replace(self, texts=texts)
        quoted = {key: told.anywhere(raw[key]) for key in _QUOTED if raw.get(key)}
        return {**raw, **quoted, **({"input": self.input(given)} if given else {})}

    def event(self, event: Event) -> Event:
        """An event with its secrets hidden; what the model gives is as it came."""
        if not self.names:
            return event
        match event:
            case Created() | Update() | Finished():
                return replace(event, raw=self.raw(event.raw))
            case Log():
                return replace(event, text=self.anywhere(event.text))
            case Retry():
                return replace(event, reason=self.anywhere(event.reason))
        return event

    def hide_in(self, error: BaseException) -> None:
        """Hide them in an error and in all that led to it, which a traceback shows as well."""
        errors: list[BaseException | None] = [error] if self.names else []
        seen: set[int] = set()
        while errors:
            one = errors.pop()
            if one is None or id(one) in seen:
                continue
            seen.add(id(one))
            self._hide_in_one(one)
            errors += [one.__cause__, one.__context__]

    def _hide_in_one(self, error: BaseException) -> None:
        error.args = tuple(map(self.anywhere, error.args))
        if isinstance(error, APIError):
            error.detail = self.anywhere(error.detail)
            error.invalid_fields = tuple(map(self.anywhere, error.invalid_fields))
        if isinstance(error, CreateUnclear):
            error.candidates = tuple(map(self.raw, error.candidates))

    def anywhere(self, value: Any) -> Any:
        """A text, or a JSON value that holds texts, without the secrets that it quotes."""
        try:
            return self._within(value)
        except RecursionError:  # it is nested as deeply as only JSON from elsewhere may be
            return HIDDEN

    def _within(self, value: Any) -> Any:
        match value:
            case str():
                for text in self.texts:
                    value = _without(value, text)
            case list():
                return [self._within(one) for one in value]
            case dict():
                return {self._within(key): self._within(one) for key, one in value.items()}
        return value


def secrets_of(schema: Schema, given: Mapping[str, Any]) -> Secrets:
    """The secrets among the inputs of a model."""
    names = frozenset(one.name for one in (schema.fields or {}).values() if one.is_secret)
    return Secrets(names=names, texts=_texts(names, given))


def hidden_names(given: object) -> frozenset[str]:
    """The names of the inputs that are hidden in a row of history."""
    inputs = given.items() if isinstance(given, dict) else ()
    return frozenset(name for name, value in inputs if is_hidden(value))


def is_hidden(value: object) -> bool:
    """Whether a value stands where a secret was, or a list or an object of them."""
    match value:
        case list():
            return HIDDEN in value
        case dict():
            return HIDDEN in value.values()
    return value == HIDDEN


def _masked(value: Any) -> Any:
    """What stands in a secret's place; how many there are is no secret."""
    match value:
        case list():
            return [_instead(one) for one in value]
        case dict():
            return {key: _instead(one) for key, one in value.items()}
    return _instead(value)


def _instead(value: Any) -> Any:
    return value if value is None or value == "" else HIDDEN


def _texts(names: frozenset[str], given: Mapping[str, Any]) -> tuple[str, ...]:
    texts = {text for name in names for value in _leaves(given.get(name)) for text in _told(value)}
    return tuple(sorted(texts, key=len, reverse=True))  # the whole before its lines


def _leaves(value: Any) -> Iterator[str]:
    values = [value]
    while values:
        match values.pop():
            case list() as several:
                values += several
            case dict() as named:
                values += named.values()
            case str() as text:
                yield text
            case int() | float() as number:
                yield str(number)


def _told(value: str) -> Iterator[str]:
    """How a secret may be quoted: as it is, line by line, as JSON, as a message writes it."""
    whole = value.strip()
    lines = [line.strip() for line in value.splitlines()[:_MOST_LINES]]
    parts = {value, whole} if len(whole) >= _SHORTEST else set()
    for part in parts | {line for line in lines if len(line) >= _BEGINNING}:
        yield from (part, printable(part), one_line(part, limit=len(part) + 1), repr(part)[1:-1])
        yield from (json.dumps(part)[1:-1], json.dumps(part, ensure_ascii=False)[1:-1])


def _without(text: str, secret: str) -> str:
    """The text without each occurrence of a secret, and of its beginning."""
    beginning, kept, done = secret[:_BEGINNING], [], 0
    at = text.find(beginning)
    while at >= 0:
        kept += [text[done:at], HIDDEN]
        done = at + _alike(text[at : at + len(secret)], secret)
        at = text.find(beginning, done)
    return "".join([*kept, text[done:]]) if kept else text


def _alike(one: str, other: str) -> int:
    """How many characters two texts begin with in common."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))
