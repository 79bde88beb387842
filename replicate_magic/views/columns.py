"""Owns columns as a table, in a terminal and on a page; must not know which frames have which.

Only the first rows of a frame are read.
"""

from __future__ import annotations

import html
import shutil
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from replicate_magic.plain import one_line
from replicate_magic.views import aligned, cells
from replicate_magic.views.prose import NO_FORMULAS

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    import pandas as pd

    from replicate_magic.views.cells import Cell

ROWS = 20
"""How many rows are shown."""
_KNOWN_PREFIXES = ("metrics.", "local.")
_MOST_OTHERS = 10
_UNKNOWN_SIZE = 100, 24  # of a terminal

_TABLE = (
    "border-collapse: collapse; border: none; margin: 0; table-layout: auto; "
    "font-variant-numeric: tabular-nums"
)
_CELL = (
    "padding: 0.4em 0.55em; vertical-align: top; border: none; "
    "border-bottom: 1px solid var(--jp-border-color2, #8884)"
)
SHORT = "text-align: start; white-space: nowrap"
LONG = (  # as much of the text as there is room for
    f"{SHORT}; width: 30%; min-width: 10em; max-width: 0; overflow: hidden; text-overflow: ellipsis"
)
PROSE = "text-align: start; min-width: 16em; overflow-wrap: anywhere"
NUMBER = "text-align: right; white-space: nowrap"
_LONG_CHARS = 20


class Head:
    """The first rows of a frame, column by column, with `None` where nothing is known."""

    def __init__(self, frame: pd.DataFrame, rows: int = ROWS) -> None:
        self._rows = frame.iloc[:rows]
        self._places: dict[Hashable, int] = {}
        for place, name in enumerate(frame.columns):
            self._places.setdefault(name, place)  # two may have one name

    @property
    def names(self) -> list[Hashable]:
        """The frame's columns."""
        return list(self._places)

    def __getitem__(self, name: Hashable) -> list[Any]:
        if name not in self._places:
            return [None] * len(self._rows)
        column = self._rows.iloc[:, self._places[name]]
        pairs = zip(column.tolist(), column.isna().tolist(), strict=True)
        return [None if missing else value for value, missing in pairs]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column as it is shown.

    Attributes:
        title: what stands over it.
        cells: one for each row shown.
        tells: the frame's columns that can be read in it.
        style: `SHORT`, `NUMBER`, or of texts that may be long `LONG`, on one line, and `PROSE`.
        rank: the highest is the first to go where a terminal has no room.
        wide: whether a terminal has no room for it in any case.
    """

    title: str
    cells: list[Cell]
    tells: set[Hashable]
    style: str = SHORT
    rank: int = 0
    wide: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known in any of the rows."""
        return not any(cell.text for cell in self.cells)


# -- which columns ----------------------------------------------------------------------------


def others(head: Head, known: set[Any]) -> list[Column]:
    """The columns that are not known: the user has added them."""
    added = (
        name
        for name in head.names
        if name not in known and not str(name).startswith(_KNOWN_PREFIXES)
    )
    return [_other(head, name) for name in islice(added, _MOST_OTHERS)]


def _other(head: Head, name: Hashable) -> Column:
    values = [value for value in head[name] if value is not None]
    if values and all(map(cells.is_number, values)):
        return plain(head, name, cells.number(str(name)), style=NUMBER, rank=3)
    return plain(head, name, cells.anything, style=LONG, rank=3)


def plain(
    head: Head,
    name: Hashable,
    shown: Callable[[Any], Cell],
    *,
    title: str = "",
    style: str = SHORT,
    rank: int = 0,
    wide: bool = False,
) -> Column:
    """A column of a frame.

    Args:
        head: the frame.
        name: the column's name in it.
        shown: makes a cell of a value that is known.
        title: what stands over it; its name if not given.
        style: as `Column` has it.
        rank: likewise.
        wide: likewise.
    """
    return Column(
        title=title or one_line(str(name), limit=40),
        cells=[cells.EMPTY if value is None else shown(value) for value in head[name]],
        tells={name},
        style=style,
        rank=rank,
        wide=wide,
    )


def measured(
    head: Head, name: str, words: Callable[[float], str], *, title: str, rank: int = 0
) -> Column:
    """A column of numbers, in words; what cannot be meant is left out."""
    return plain(head, name, cells.measure(words), title=title, style=NUMBER, rank=rank)


# -- the bundle -------------------------------------------------------------------------------


def bundle(columns: list[Column], caption: Callable[[list[Column]], str]) -> dict[str, str]:
    """Text/plain, no wider than the terminal, and text/html.

    Args:
        columns: in the order in which they are shown; in a terminal those that fit.
        caption: what stands below, given the columns that are shown.
    """
    return {"text/plain": _as_text(columns, caption), "text/html": _as_html(columns, caption)}


def _as_text(columns: list[Column], caption: Callable[[list[Column]], str]) -> str:
    room = shutil.get_terminal_size(_UNKNOWN_SIZE).columns
    columns = [column for column in columns if not column.wide]
    texts = [
        aligned.Column(
            lines=[column.title, *(cell.text for cell in column.cells)],
            right=column.style == NUMBER,
            long=column.style in {LONG, PROSE},
            rank=column.rank,
        )
        for column in columns
    ]
    places = aligned.fitting(texts, room)
    table = aligned.aligned([texts[place] for place in places], room)
    return f"{table}\n\n{caption([columns[place] for place in places])}"


def _as_html(columns: list[Column], caption: Callable[[list[Column]], str]) -> str:
    """A table that reads well where styles are stripped: hence `align` and `&nbsp;`."""
    heads = "".join(map(_head_html, columns))
    rows = zip(*map(_cells_html, columns), strict=True)
    body = "".join(f"<tr>{''.join(row)}</tr>\n" for row in rows)
    width = "; width: 100%" if any(map(_is_long, columns)) else ""
    told = html.escape(caption(columns), quote=False)
    return (
        f'<div style="overflow-x: auto">\n'
        f'<table class="{NO_FORMULAS}" style="{_TABLE}{width}">\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n</div>\n"
        f'<div style="{cells.QUIET}; font-size: 0.85em; padding: 0.4em 0.55em">{told}</div>'
    )


def _head_html(column: Column) -> str:
    """A title that tells on hovering by which names the frame has the column."""
    names = html.escape(one_line(", ".join(sorted(map(str, column.tells)))))
    numeric = column.style == NUMBER
    how = f'align="{"right" if numeric else "left"}" title="{names}"'
    style = f"{_CELL}; {NUMBER if numeric else SHORT}"
    return f'<th scope="col" {how} style="{style}">{html.escape(column.title)}</th>'


def _cells_html(column: Column) -> list[str]:
    if _is_long(column):
        return [
            f'<td dir="auto" title="{html.escape(cell.text)}" style="{_CELL}; {LONG}">'
            f"{cell.markup}</td>"
            for cell in column.cells
        ]
    if column.style == PROSE:
        start = f'<td align="left" dir="auto" style="{_CELL}; {PROSE}">'
        return [f"{start}{cell.markup}</td>" for cell in column.cells]
    align, style = ("right", NUMBER) if column.style == NUMBER else ("left", SHORT)
    start = f'<td align="{align}" style="{_CELL}; {style}">'
    return [f"{start}{cell.markup}</td>" for cell in column.cells]


def _is_long(column: Column) -> bool:
    """Whether there are texts that may be longer than their place."""
    return column.style == LONG and any(len(cell.text) > _LONG_CHARS for cell in column.cells)
