"""Owns how what the API has listed or found looks; must not ask it.

Such frames are told by a note that they carry, `frame.attrs`: what was asked, or looked for.
"""

from __future__ import annotations

import html
from datetime import datetime
from typing import TYPE_CHECKING, Any

from replicate_magic.plain import count, one_line
from replicate_magic.views import cells, columns
from replicate_magic.views.cells import Cell
from replicate_magic.views.columns import LONG, NUMBER, PROSE, ROWS, SHORT, Column, Head, plain
from replicate_magic.views.prose import NO_FORMULAS

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    import pandas as pd

_MOST_COLUMNS = 10
_DESCRIPTION_CHARS = 220
_LINK_CHARS = 60
_NAMES = ("id", "owner", "name", "model", "slug", "sku", "version", "username")
_MODELS = {"owner", "name", "run_count", "description"}
_WHOLE = "user-select: all; white-space: nowrap"  # a click takes all of it, to be copied
_TAKEN = {"id", "model", "slug", "sku", "version"}  # names that are written elsewhere
_NOUNS = {"models": "model", "collections": "collection", "docs": "page"}


def listed_bundle(frame: pd.DataFrame) -> dict[str, str] | None:
    """The mimebundle of a frame that the API has listed or found; `None` for others."""
    found, asked = frame.attrs.get("found"), frame.attrs.get("listed")
    if isinstance(found, dict) and found.get("kind") in _NOUNS:
        if not len(frame):
            return _nothing(f"{_none_found(found)}{_others_found(found)}")
        return _bundle(_of_found(Head(frame), str(found["kind"])), frame, found)
    if not isinstance(asked, str):
        return None
    if not len(frame):
        return _nothing(f"{one_line(asked)}: an empty list.")
    head = Head(frame)
    return _bundle(_of_models(head) if set(head.names) >= _MODELS else _of_any(head), frame, {})


def _nothing(told: str) -> dict[str, str]:
    return {
        "text/plain": told,
        "text/html": f'<div class="{NO_FORMULAS}" style="{cells.QUIET}">{html.escape(told)}</div>',
    }


def _bundle(shown: list[Column], frame: pd.DataFrame, found: Mapping[str, Any]) -> dict[str, str]:
    told = [column for column in shown if not column.is_empty] or shown[:1]
    return columns.bundle(told, lambda some: _caption(some, frame, found))


def _caption(shown: list[Column], frame: pd.DataFrame, found: Mapping[str, Any]) -> str:
    tells = {name for column in shown for name in column.tells}
    more = sum(name not in tells for name in frame.columns)
    number = count(len(frame), _NOUNS.get(str(found.get("kind")), "row"))
    parts = [
        f"Showing {ROWS} of {number}" if len(frame) > ROWS else number,
        f"{more} more column{'s' * (more != 1)}: df.columns" if more else "",
    ]
    return " · ".join(filter(None, parts)) + _others_found(found)


# -- what was found -----------------------------------------------------------------------------


def _none_found(found: Mapping[str, Any]) -> str:
    return f"No {_NOUNS[found['kind']]} matches {one_line(str(found.get('query')), limit=80)}."


def _others_found(found: Mapping[str, Any]) -> str:
    """What else there is, and how to see it."""
    others = [
        f"{count(number, noun)}{'' if kind == 'models' else f' (--{kind})'}"
        for kind, noun in _NOUNS.items()
        if kind != found.get("kind") and (number := found.get(kind, 0))
    ]
    return f" · also {', '.join(others)}" if others else ""


def _of_found(head: Head, kind: str) -> list[Column]:
    if kind == "docs":
        return [
            plain(head, "name", cells.text, style=PROSE),
            _links(head, "url", title="page", wide=False),
        ]
    if kind == "collections":
        return [
            plain(head, "collection", _whole),
            plain(head, "name", cells.text, rank=2),
            plain(head, "description", _description, style=PROSE, rank=1),
            plain(head, "models", cells.text, style=LONG, wide=True),
            _page(head),
        ]
    return [
        plain(head, "model", _whole),
        _official(head, "official"),
        plain(head, "runs", cells.number("runs"), style=NUMBER, rank=1),
        plain(head, "description", _description, style=PROSE),
        plain(head, "tags", cells.text, style=LONG, wide=True),
        _page(head),
    ]


# -- what was listed ----------------------------------------------------------------------------


def _of_models(head: Head) -> list[Column]:
    pairs = zip(head["owner"], head["name"], strict=True)
    names = [_whole(f"{owner}/{name}") for owner, name in pairs]
    return [
        Column(title="model", cells=names, tells={"owner", "name"}),
        _official(head, "is_official"),
        plain(head, "run_count", cells.number("runs"), title="runs", style=NUMBER, rank=1),
        plain(head, "description", _description, style=PROSE),
        _page(head),
    ]


def _of_any(head: Head) -> list[Column]:
    """Names first, then what fits into a cell; what holds more is left out."""
    names = [name for name in _NAMES if name in head.names]
    others = [name for name in head.names if name not in names]
    shown = [_of_one(head, name) for name in (*names, *others)]
    return [column for column in shown if column and not column.is_empty][:_MOST_COLUMNS] or [
        plain(head, head.names[0], cells.text, style=LONG)
    ]


def _of_one(head: Head, name: Hashable) -> Column | None:
    values = [value for value in head[name] if value is not None]
    if any(isinstance(value, dict | list) for value in values):
        return None
    if values and all(map(cells.is_number, values)):
        return plain(head, name, cells.number(str(name)), style=NUMBER, rank=2)
    if values and all(isinstance(value, str) and value.startswith("https://") for value in values):
        return _links(head, name, title=one_line(str(name), limit=40))
    if str(name) in _NAMES:
        return plain(head, name, _whole if str(name) in _TAKEN else cells.text)
    if str(name).endswith("_at"):
        return plain(head, name, _moment, style=SHORT, rank=3)
    return plain(head, name, cells.text, style=LONG, rank=4)


# -- cells --------------------------------------------------------------------------------------


def _whole(value: Any) -> Cell:
    """A name as code, of which a click takes all."""
    text = cells.text(value)
    return Cell(text.text, f'<code style="{_WHOLE}">{text.markup}</code>') if text.text else text


def _description(value: Any) -> Cell:
    return cells.text(value, limit=_DESCRIPTION_CHARS)


def _official(head: Head, name: str) -> Column:
    return plain(
        head, name, lambda told: cells.plain("yes" if told else ""), title="official", rank=2
    )


def _page(head: Head) -> Column:
    """Where the page of each is, in a word."""
    return plain(head, "url", lambda url: _link(url, "page"), title="page", wide=True)


def _links(head: Head, name: Hashable, *, title: str, wide: bool = True) -> Column:
    return plain(head, name, _link, title=title, style=LONG, wide=wide)


def _link(value: Any, word: str = "") -> Cell:
    """An address, shown without its scheme, or as a word."""
    if not (isinstance(value, str) and value.startswith("https://")):
        return cells.EMPTY if word else cells.text(value)
    shown = cells.text(word or value.removeprefix("https://"), limit=_LINK_CHARS)
    href = html.escape(one_line(value, limit=2_000), quote=True)
    rel = f'title="{href}" target="_blank" rel="noopener noreferrer"'
    return Cell(shown.text, f'<a href="{href}" {rel}>{shown.markup}</a>')


def _moment(value: Any) -> Cell:
    """A time stamp of the API."""
    try:
        return cells.time(datetime.fromisoformat(value))
    except (TypeError, ValueError):
        return cells.text(value)
