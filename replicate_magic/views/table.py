"""Owns how a table of runs looks, and one of their figures; must not know what makes such tables.

They are told by their columns. Only the first rows are read, and any column may be missing: a
table is the user's own to change.
"""

from __future__ import annotations

import html
import re
import shutil
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from replicate_magic.plain import one_line
from replicate_magic.views import aligned, cells
from replicate_magic.views.status import duration, money

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    import pandas as pd

    from replicate_magic.views.cells import Cell

ROWS = 20
"""How many rows are shown."""
_RUNS = {"id", "model", "version", "status", "created_at"}
_STATS = {"model", "runs", "success_rate"}
_KNOWN = _RUNS | {
    "prompt", "input.prompt", "output", "error", "started_at", "completed_at", "tag",
}  # fmt: skip
_KNOWN_PREFIXES = ("metrics.", "local.")
_NO_RUNS = "No runs: a cell that begins with %%replicate makes one; a filter may be too narrow."
_ESTIMATE = "cost is an estimate"
_MOST_OTHERS = 10
_HASH = re.compile(r"[0-9a-f]{40,64}")
_UNKNOWN_SIZE = 100, 24  # of a terminal

_TABLE = (
    "border-collapse: collapse; border: none; margin: 0; table-layout: auto; "
    "font-variant-numeric: tabular-nums"
)
_CELL = (
    "padding: 0.4em 0.55em; vertical-align: top; border: none; "
    "border-bottom: 1px solid var(--jp-border-color2, #8884)"
)
_SHORT = "text-align: start; white-space: nowrap"
_LONG = (  # as much of the text as there is room for
    f"{_SHORT}; width: 30%; min-width: 10em; max-width: 0; "
    "overflow: hidden; text-overflow: ellipsis"
)
_NUMBER = "text-align: right; white-space: nowrap"
_LONG_CHARS = 20
_NO_FORMULAS = "tex2jax_ignore mathjax_ignore"  # pages typeset what stands between two `$`


HEADINGS = (
    "status", "model", "prompt", "output", "ran", "tokens", "tokens/s", "tag", "created", "id",
)  # fmt: skip
"""Of the columns of `run_texts`."""


def run_texts(frame: pd.DataFrame) -> list[tuple[str, ...]]:
    """What the table shows of each run of a frame, as texts that are safe to print."""
    columns = _of_runs(_Head(frame, len(frame)))[: len(HEADINGS)]
    return list(zip(*([cell.text for cell in column.cells] for column in columns), strict=True))


def table_bundle(frame: pd.DataFrame) -> dict[str, str] | None:
    """The mimebundle by which a frame shows itself.

    Args:
        frame: any DataFrame. One with the columns `id, model, version, status, created_at` is of
            runs; one with `model, runs, success_rate` is of figures, one row a model.

    Returns:
        text/plain, no wider than the terminal, and text/html; `None` for other frames.
    """
    names = set(frame.columns)
    if not (names >= _RUNS or names >= _STATS):
        return None
    if not len(frame):
        return {"text/plain": _NO_RUNS, "text/html": f'<div style="{cells.QUIET}">{_NO_RUNS}</div>'}
    read, noun = (_of_runs, "run") if names >= _RUNS else (_of_stats, "model")
    first, *others = read(_Head(frame))
    columns = [first, *(column for column in others if not column.is_empty)]
    return {
        "text/plain": _as_text(columns, frame, noun),
        "text/html": _as_html(columns, _caption(frame, noun, columns)),
    }


class _Head:
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
class _Column:
    """A column as it is shown.

    Attributes:
        title: what stands over it.
        cells: one for each row shown.
        tells: the frame's columns that can be read in it.
        style: `_SHORT`, `_LONG` or `_NUMBER`.
        rank: the highest is the first to go where a terminal has no room.
    """

    title: str
    cells: list[Cell]
    tells: set[Hashable]
    style: str = _SHORT
    rank: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known in any of the rows."""
        return not any(cell.text for cell in self.cells)


def _caption(frame: pd.DataFrame, noun: str, columns: list[_Column]) -> str:
    told = {name for column in columns for name in column.tells}
    more = sum(name not in told for name in frame.columns)
    count = f"{len(frame):,} {noun}{'s' * (len(frame) != 1)}"
    parts = [
        f"Showing {ROWS} of {count}" if len(frame) > ROWS else count,
        f"{more} more column{'s' * (more != 1)}: df.columns" if more else "",
        _ESTIMATE if noun == "model" and "cost_usd" in told else "",
    ]
    return " · ".join(filter(None, parts))


# -- which columns ----------------------------------------------------------------------------


def _of_runs(head: _Head) -> list[_Column]:
    return [
        _plain(head, "status", cells.dotted),
        _models(head),
        _plain(head, "prompt", cells.text, style=_LONG),
        _outputs(head),
        _measured(head, "metrics.predict_time", duration, title="ran", rank=2),
        _tokens(head),
        _measured(head, "metrics.tokens_per_second", cells.speed, title="tokens/s", rank=6),
        _plain(head, "tag", cells.text, style=_LONG, rank=3),
        _plain(head, "created_at", cells.time, title="created", rank=4),
        _ids(head),
        *_others(head, _KNOWN),
    ]


def _of_stats(head: _Head) -> list[_Column]:
    columns = [
        _models(head),
        _measured(head, "runs", cells.count, title="runs"),
        _measured(head, "success_rate", cells.share, title="succeeded"),
        _measured(head, "predict_time_p50_s", duration, title="ran p50", rank=1),
        _measured(head, "predict_time_p95_s", duration, title="ran p95", rank=4),
        _measured(head, "total_time_p50_s", duration, title="total p50", rank=5),
        _measured(head, "total_time_p95_s", duration, title="total p95", rank=6),
        _measured(head, "first_token_p50_s", duration, title="first token", rank=5),
        _measured(head, "tokens_per_second_p50", cells.speed, title="tokens/s p50", rank=2),
        _measured(head, "input_tokens", cells.count, title="tokens in", rank=3),
        _measured(head, "output_tokens", cells.count, title="tokens out", rank=3),
        _costs(head),
    ]
    return columns + _others(head, {name for column in columns for name in column.tells})


def _others(head: _Head, known: set[Any]) -> list[_Column]:
    """What the user has added."""
    added = (
        name
        for name in head.names
        if name not in known and not str(name).startswith(_KNOWN_PREFIXES)
    )
    return [_other(head, name) for name in islice(added, _MOST_OTHERS)]


def _other(head: _Head, name: Hashable) -> _Column:
    values = [value for value in head[name] if value is not None]
    if values and all(map(cells.is_number, values)):
        return _plain(head, name, cells.number(str(name)), style=_NUMBER, rank=3)
    return _plain(head, name, cells.anything, style=_LONG, rank=3)


def _plain(
    head: _Head,
    name: Hashable,
    shown: Callable[[Any], Cell],
    *,
    title: str = "",
    style: str = _SHORT,
    rank: int = 0,
) -> _Column:
    return _Column(
        title=title or one_line(str(name), limit=40),
        cells=[cells.EMPTY if value is None else shown(value) for value in head[name]],
        tells={name},
        style=style,
        rank=rank,
    )


def _measured(
    head: _Head, name: str, words: Callable[[float], str], *, title: str, rank: int = 0
) -> _Column:
    return _plain(head, name, cells.measure(words), title=title, style=_NUMBER, rank=rank)


def _models(head: _Head) -> _Column:
    versions = [str(version) for version in head["version"]]
    digits = [version[:8] if _HASH.fullmatch(version) else "" for version in versions]
    names = map(cells.model, head["model"], digits)
    tells: set[Hashable] = {"model", *(["version"] if any(digits) else [])}
    return _Column(title="model", cells=list(names), tells=tells, style=_LONG)


def _outputs(head: _Head) -> _Column:
    outputs, errors = head["output"], head["error"]
    texts = [
        cells.text(output) if error is None else cells.styled(cells.text(error), cells.BAD)
        for output, error in zip(outputs, errors, strict=True)
    ]
    failed = any(error is not None for error in errors)
    tells: set[Hashable] = {"output", *(["error"] if failed else [])}
    return _Column(title="output", cells=texts, tells=tells, style=_LONG)


def _tokens(head: _Head) -> _Column:
    names = "metrics.input_token_count", "metrics.output_token_count"
    given, made = (map(cells.sensible, head[name]) for name in names)
    texts = [cells.whole(words) for words in map(cells.tokens, given, made)]
    return _Column(title="tokens", cells=texts, tells={*names}, style=_NUMBER, rank=5)


def _ids(head: _Head) -> _Column:
    ids = list(map(cells.identity, head["id"], head["local.page"]))
    linked = any("href" in cell.markup for cell in ids)
    tells: set[Hashable] = {"id", *(["local.page"] if linked else [])}
    return _Column(title="id", cells=ids, tells=tells, rank=1)


def _costs(head: _Head) -> _Column:
    column = _measured(head, "cost_usd", money, title="cost", rank=1)
    if not column.is_empty:
        unknown = cells.styled(cells.plain("unknown"), cells.QUIET)
        column.cells[:] = [cell if cell.text else unknown for cell in column.cells]
    return column


# -- the bundle -------------------------------------------------------------------------------


def _as_text(columns: list[_Column], frame: pd.DataFrame, noun: str) -> str:
    room = shutil.get_terminal_size(_UNKNOWN_SIZE).columns
    texts = [
        aligned.Column(
            lines=[column.title, *(cell.text for cell in column.cells)],
            right=column.style == _NUMBER,
            long=column.style == _LONG,
            rank=column.rank,
        )
        for column in columns
    ]
    places = aligned.fitting(texts, room)
    table = aligned.aligned([texts[place] for place in places], room)
    return f"{table}\n\n{_caption(frame, noun, [columns[place] for place in places])}"


def _as_html(columns: list[_Column], caption: str) -> str:
    """A table that reads well where styles are stripped: hence `align` and `&nbsp;`."""
    heads = "".join(map(_head_html, columns))
    rows = zip(*map(_cells_html, columns), strict=True)
    body = "".join(f"<tr>{''.join(row)}</tr>\n" for row in rows)
    width = "; width: 100%" if any(map(_is_long, columns)) else ""
    return (
        f'<div style="overflow-x: auto">\n'
        f'<table class="{_NO_FORMULAS}" style="{_TABLE}{width}">\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n</div>\n"
        f'<div style="{cells.QUIET}; font-size: 0.85em; padding: 0.4em 0.55em">{caption}</div>'
    )


def _head_html(column: _Column) -> str:
    """A title that tells on hovering by which names the frame has the column."""
    names = html.escape(one_line(", ".join(sorted(map(str, column.tells)))))
    numeric = column.style == _NUMBER
    how = f'align="{"right" if numeric else "left"}" title="{names}"'
    style = f"{_CELL}; {_NUMBER if numeric else _SHORT}"
    return f'<th scope="col" {how} style="{style}">{html.escape(column.title)}</th>'


def _cells_html(column: _Column) -> list[str]:
    if _is_long(column):
        return [
            f'<td dir="auto" title="{html.escape(cell.text)}" style="{_CELL}; {_LONG}">'
            f"{cell.markup}</td>"
            for cell in column.cells
        ]
    align, style = ("right", _NUMBER) if column.style == _NUMBER else ("left", _SHORT)
    start = f'<td align="{align}" style="{_CELL}; {style}">'
    return [f"{start}{cell.markup}</td>" for cell in column.cells]


def _is_long(column: _Column) -> bool:
    """Whether there are texts that may be longer than their place."""
    return column.style == _LONG and any(len(cell.text) > _LONG_CHARS for cell in column.cells)
