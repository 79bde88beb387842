"""Owns the table of a batch as text, for a terminal and for readers without HTML."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from replicate_magic.plain import count, one_line
from replicate_magic.views import aligned, entries
from replicate_magic.views.aligned import Column
from replicate_magic.views.compared import MOST_ROWS, chosen, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from replicate_magic.tally import Entry
    from replicate_magic.views.compared import Row

_UNKNOWN_SIZE = 100, 24  # of a terminal
_CHARS = 200  # of an answer: few terminals are wider


def as_text(known: Sequence[Entry]) -> str:
    """The table, no wider than the terminal, and how each model did where several are compared."""
    rows, models = rows_of(known), list(dict.fromkeys(entry.model for entry in known))
    room = shutil.get_terminal_size(_UNKNOWN_SIZE).columns
    if len(models) > 1 and (side := _side_by_side(chosen(rows), models, room)):
        return _with_rest(side, len(rows) - MOST_ROWS, _told_of_models(known, models))
    shown = [one for row in chosen(rows) for one in row.by_model.values()][: 2 * MOST_ROWS]
    table = _one_a_line(shown, models, room, is_cut=len(shown) < len(known))
    return _with_rest(table, len(known) - len(shown), _told_of_models(known, models))


def _with_rest(table: str, left: int, told: Sequence[str]) -> str:
    more = [f"… {count(left, 'more row')}: the DataFrame has them"] if left > 0 else []
    return "\n".join([table, *more, *(["", *told] if told else [])])


def _side_by_side(rows: Sequence[Row], models: Sequence[str], room: int) -> str:
    """The models as columns; an empty string where there is no room for all of them."""
    firsts = [row.first for row in rows]
    answers = [
        _column(one_line(model), (_answer(row.by_model.get(model)) for row in rows), long=True)
        for model in models
    ]
    columns = [*_asked(firsts), *answers]
    places = aligned.fitting(columns, room)
    if not {*range(len(columns) - len(models), len(columns))} <= {*places}:
        return ""
    return aligned.aligned([columns[place] for place in places], room)


def _one_a_line(shown: Sequence[Entry], models: Sequence[str], room: int, *, is_cut: bool) -> str:
    columns = [
        *([_column("#", (f"{one.number + 1}" for one in shown), right=True)] if is_cut else []),
        _column("status", (one_line(one.outcome, limit=20) for one in shown)),
        *([_column("model", map(_model, shown), long=True)] if len(models) > 1 else []),
        *_asked(shown),
        _column("answer", map(_answer, shown), long=True),
        _column("ran", (" · ".join(entries.facts(one)) for one in shown), rank=1),
    ]
    columns = [column for column in columns if any(column.lines[1:])]
    places = aligned.fitting(columns, room)
    return aligned.aligned([columns[place] for place in places], room)


def _asked(firsts: Sequence[Entry]) -> list[Column]:
    """What differs between the requests."""
    names = dict.fromkeys(name for entry in firsts for name in entry.params)
    columns = [
        _column(
            one_line(name, limit=30),
            (entries.parameter(entry.params.get(name)) for entry in firsts),
            long=True,
            rank=3,
        )
        for name in names
    ]
    prompts = [one_line(entry.prompt[: 4 * _CHARS], limit=_CHARS) for entry in firsts]
    told = [_column("prompt", prompts, long=True, rank=2)] if len(set(prompts)) > 1 else []
    return [*columns, *told]


def _answer(entry: Entry | None) -> str:
    if entry is None:
        return ""
    said = entries.line(entry, _CHARS)
    return said if entry.ok else f"{one_line(entry.outcome, limit=20)}: {said}".removesuffix(": ")


def _model(entry: Entry) -> str:
    return one_line(entry.model)


def _column(
    title: str, lines: Iterable[str], *, long: bool = False, right: bool = False, rank: int = 0
) -> Column:
    return Column(lines=[title, *lines], right=right, long=long, rank=rank)


def _told_of_models(known: Sequence[Entry], models: Sequence[str]) -> list[str]:
    if len(models) == 1:
        return []
    of = {model: [entry for entry in known if entry.model == model] for model in models}
    return [f"{one_line(name)}: {' · '.join(entries.of_model(of[name]))}" for name in models]
