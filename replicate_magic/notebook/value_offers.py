"""Owns what is offered for a value, by what takes it; must not know what was run, or when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replicate_magic.cell import spelling
from replicate_magic.notebook.notes import Offer, fitting
from replicate_magic.plain import count

if TYPE_CHECKING:
    from collections.abc import Iterable

    from replicate_magic.cell.cursor import Cursor
    from replicate_magic.cell.schema import InputField

FILE = Offer("@", "a file of this machine")
_SPANS = {"1h": "an hour", "12h": "12 hours", "1d": "a day", "7d": "a week", "30d": "30 days"}


def of(texts: Iterable[str], cursor: Cursor) -> Iterable[Offer]:
    """Those of some texts that fit."""
    return fitting((Offer(text, "choice") for text in texts), cursor.text)


def spans(cursor: Cursor) -> Iterable[Offer]:
    """Times, by how long ago they are."""
    known = [Offer(span, f"{said} ago") for span, said in _SPANS.items()]
    return fitting(known, cursor.text)


def counted(found: Iterable[str], cursor: Cursor) -> Iterable[Offer]:
    """What was there, in the order in which it was first seen, and in how many runs."""
    many: dict[str, int] = {}
    for text in found:
        many[text] = many.get(text, 0) + 1
    return _spelled(((text, count(number, "run")) for text, number in many.items()), cursor)


def of_field(field: InputField, cursor: Cursor) -> Iterable[Offer]:
    """The choices of an input, or its default."""
    from replicate_magic.cell import words

    if field.is_file and not (cursor.typed or cursor.quote or cursor.kind == "json"):
        return [FILE]
    values = [*words.choices(field)] or ([True, False] if "boolean" in field.types else [])
    default = field.default
    if default is not None and not isinstance(default, list | dict) and default not in values:
        values.insert(0, default)
    told = [(value, "default" if value == default else "choice") for value in values]
    if cursor.kind != "json":
        return _spelled(((_text(value), note) for value, note in told), cursor)
    as_json = ((spelling.as_json(value, cursor.quote), note) for value, note in told)
    return fitting([Offer(text, note) for text, note in as_json if text], cursor.typed)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else spelling.as_json(value) or ""


def _spelled(pairs: Iterable[tuple[str, str]], cursor: Cursor) -> list[Offer]:
    """Texts that begin with what is written, as they are to be written there."""
    offers = []
    for text, note in pairs:
        if text and text.lower().startswith(cursor.text.lower()):
            in_header, quote = cursor.in_header, cursor.quote
            spelled = spelling.in_header(text) if in_header else spelling.value(text, quote)
            offers += [] if spelled is None else [Offer(spelled, note)]
    return offers
