"""Owns what stays of a batch: a table of its requests, or of its models side by side.

It must not hold anything a model wrote unescaped, or more of it than a page can bear.
"""

from __future__ import annotations

import base64
import html
import shutil
import time
from itertools import chain
from typing import TYPE_CHECKING, Any

from replicate_magic.plain import count, one_line, printable
from replicate_magic.views import aligned, cells
from replicate_magic.views.answer import shown
from replicate_magic.views.status import age, duration, ran_s
from replicate_magic.views.timings import timings_svg

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replicate_magic.tally import Entry, Tally

_MOST_ROWS = 24
_SHORT, _LONG = 160, 2_000  # characters of an answer: at first sight, and opened
_CELL = (
    "padding: 0.35em 0.6em; vertical-align: top; text-align: left; border: none; "
    "border-bottom: 1px solid var(--jp-border-color2, #8884); white-space: normal; "
    "overflow-wrap: anywhere"
)
_TABLE = "border-collapse: collapse; border: none; margin: 0; table-layout: auto; width: 100%"
_QUIET = "color: var(--jp-ui-font-color2, inherit); font-size: 0.85em"
_WHY = (
    "border-left: 3px solid var(--jp-error-color1, #c62828); padding: 0.1em 0.7em; "
    "margin: 0.4em 0; white-space: pre-wrap; overflow-wrap: anywhere"
)
_PLACE = "padding: 0 var(--jp-code-padding, 5px)"
_UNKNOWN_SIZE = 100, 24  # of a terminal


def summary(tally: Tally, now_s: float, *, ended: bool = False) -> str:
    """How far a batch is, in a line."""
    of = "" if tally.total is None else f" of {tally.total:,}"
    parts = [f"{tally.ended:,}{of} done"]
    parts += [f"{many:,} {outcome}" for outcome, many in tally.counts().items()]
    if ended:
        return " · ".join([f"batch {tally.batch_id}", *parts, duration(now_s - tally.began_s)])
    left_s = tally.left_s(now_s)
    if left_s:
        ends = time.strftime("%H:%M", time.localtime(time.time() + left_s))
        parts.append(f"about {duration(left_s)} left, ends {ends}")
    return " · ".join([*parts, *([tally.note] if tally.note else [])])


def table_text(tally: Tally) -> str:
    """The table for a terminal, and for readers without HTML."""
    entries, left = _chosen(tally)
    names = _params(entries)
    several = len({entry.model for entry in entries}) > 1
    columns = [_column("status", [entry.outcome for entry in entries])]
    if several:
        columns.append(_column("model", [one_line(entry.model) for entry in entries], long=True))
    columns += [
        _column(name, [_word(entry.params.get(name)) for entry in entries], long=True)
        for name in names
    ]
    prompts = [one_line(entry.prompt, limit=80) for entry in entries]
    if len(set(prompts)) > 1:
        columns.append(_column("prompt", prompts, long=True))
    answers = [one_line(_answer(entry), limit=80) for entry in entries]
    columns += [_column("answer", answers, long=True), _column("ran", list(map(_ran, entries)))]
    room = shutil.get_terminal_size(_UNKNOWN_SIZE).columns
    kept = aligned.fitting(columns, room)
    text = aligned.aligned([columns[place] for place in kept], room)
    return f"{text}\n… {count(left, 'more row')}: the DataFrame has them" if left else text


def bundle(tally: Tally, why: str, *, answers: bool, status: bool) -> dict[str, str]:
    """What stays: a line, the table, a picture of the timings."""
    line = summary(tally, tally.ended_s or time.monotonic(), ended=True) if status else ""
    plain = [part for part in (table_text(tally) if answers else "", line, printable(why)) if part]
    parts = [
        f'<div style="{_QUIET}; line-height: 1.8">{html.escape(line)}</div>' if line else "",
        f'<div style="{_WHY}">{html.escape(printable(why))}</div>' if why else "",
        _table_html(tally) if answers else "",
        _picture(tally) if status else "",
    ]
    page = f'<div style="{_PLACE}" dir="auto">{"".join(parts)}</div>'
    return {"text/plain": "\n\n".join(plain), "text/html": page}


def live_html(tally: Tally, now_s: float) -> str:
    """What is shown meanwhile: a bar, and what runs and has just ended."""
    done = tally.ended / tally.total if tally.total else 0.0
    bar = (
        '<div style="background: var(--jp-border-color2, #8884); border-radius: 3px; height: 6px">'
        f'<div style="background: var(--jp-brand-color1, #1e88e5); border-radius: 3px; '
        f'height: 6px; width: {100 * done:.1f}%"></div></div>'
    )
    entries = [entry for entry in list(tally.entries) if entry.phase == "running"][:_MOST_ROWS]
    rows = "".join(f"<tr>{''.join(_row_html(entry, _params(entries)))}</tr>" for entry in entries)
    table = f'<table style="{_TABLE}">{rows}</table>' if rows else ""
    line = f'<div style="{_QUIET}; line-height: 1.8">{html.escape(summary(tally, now_s))}</div>'
    return f'<div style="{_PLACE}" dir="auto">{line}{bar if tally.total else ""}{table}</div>'


def _chosen(tally: Tally) -> tuple[list[Entry], int]:
    """The rows that are shown: what went wrong first where there are too many."""
    entries = list(tally.entries)
    if len(entries) <= _MOST_ROWS:
        return entries, 0
    bad = [entry for entry in entries if not entry.ok][: _MOST_ROWS // 2]
    good = [entry for entry in entries if entry.ok][: _MOST_ROWS - len(bad)]
    kept = sorted([*bad, *good], key=lambda entry: entry.number)
    return kept, len(entries) - len(kept)


def _params(entries: Sequence[Entry]) -> list[str]:
    return list(dict.fromkeys(name for entry in entries for name in entry.params))


def _table_html(tally: Tally) -> str:
    entries, left = _chosen(tally)
    models = list(dict.fromkeys(entry.model for entry in entries))
    names = _params(entries)
    head, rows = (
        (_side_head(models, names), _side_rows(entries, models, names))
        if len(models) > 1
        else (["status", *names, "prompt", "answer", "ran"], _plain_rows(entries, names))
    )
    heads = "".join(
        f'<th style="{_CELL}; {_QUIET}; white-space: nowrap">{html.escape(name)}</th>'
        for name in (one_line(name, limit=60) for name in head)
    )
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    more = f"… {count(left, 'more row')}: the DataFrame has them" if left else ""
    return (
        f'<table style="{_TABLE}"><thead><tr>{heads}</tr></thead>'
        f'<tbody>{body}</tbody></table><div style="{_QUIET}">{more}</div>'
    )


def _plain_rows(entries: Sequence[Entry], names: Sequence[str]) -> Iterator[list[str]]:
    for entry in entries:
        yield _row_html(entry, names)


def _row_html(entry: Entry, names: Sequence[str]) -> list[str]:
    dotted = cells.dotted(entry.outcome)
    return [
        f'<td style="{_CELL}; white-space: nowrap">{dotted.markup}</td>',
        *(_td(_word(entry.params.get(name))) for name in names),
        _td(one_line(entry.prompt, limit=120)),
        f'<td style="{_CELL}; width: 50%">{_answer_html(entry)}</td>',
        f'<td style="{_CELL}; white-space: nowrap; {_QUIET}">{html.escape(_ran(entry))}</td>',
    ]


def _side_head(models: Sequence[str], names: Sequence[str]) -> list[str]:
    return [*names, "prompt", *(one_line(model, limit=60) for model in models)]


def _side_rows(
    entries: Sequence[Entry], models: Sequence[str], names: Sequence[str]
) -> Iterator[list[str]]:
    """The answers of all models to one request beside each other."""
    rows: dict[str, list[dict[str, Entry]]] = {}
    for entry in entries:
        beside = rows.setdefault(_key(entry), [])
        row = next((one for one in beside if entry.model not in one), None)
        if row is None:
            beside.append(row := {})
        row[entry.model] = entry
    for row in chain.from_iterable(rows.values()):
        first = next(iter(row.values()))
        yield [
            *(_td(_word(first.params.get(name))) for name in names),
            _td(one_line(first.prompt, limit=120)),
            *(_side_cell(row.get(model)) for model in models),
        ]


def _key(entry: Entry) -> str:
    return repr((entry.prompt, sorted(entry.params.items(), key=lambda one: one[0])))


def _side_cell(entry: Entry | None) -> str:
    if entry is None:
        return _td("")
    quiet = html.escape(" · ".join(filter(None, [_ran(entry), _speed(entry)])))
    return f'<td style="{_CELL}">{_answer_html(entry)}<div style="{_QUIET}">{quiet}</div></td>'


def _answer_html(entry: Entry) -> str:
    text = _answer(entry)
    if len(text) <= _SHORT:
        return html.escape(text)
    rest = html.escape(text if len(text) <= _LONG else f"{text[:_LONG]}…")
    first = html.escape(one_line(text, limit=_SHORT))
    return (
        f"<details><summary>{first}</summary>"
        f'<div style="white-space: pre-wrap">{rest}</div></details>'
    )


def _answer(entry: Entry) -> str:
    if entry.error and not entry.ok:
        return one_line(entry.error, limit=300)
    return shown(entry.prediction, None, "auto").text.strip() if entry.prediction.id else ""


def _ran(entry: Entry) -> str:
    prediction = entry.prediction
    if prediction.age_s is not None:
        return f"from history, {age(prediction.age_s)} old"
    seconds = ran_s(prediction)
    return duration(seconds) if seconds is not None else ""


def _speed(entry: Entry) -> str:
    speed = entry.prediction.metrics.get("tokens_per_second")
    return f"{speed:.0f} tokens/s" if isinstance(speed, int | float) else ""


def _word(value: Any) -> str:
    return "" if value is None else one_line(str(value), limit=60)


def _td(text: str) -> str:
    return f'<td style="{_CELL}">{html.escape(text)}</td>'


def _column(title: str, lines: Sequence[str], *, long: bool = False) -> aligned.Column:
    return aligned.Column(
        lines=[one_line(title, limit=40), *lines], right=False, long=long, rank=int(long)
    )


def _picture(tally: Tally) -> str:
    svg = timings_svg(list(tally.entries))
    if not svg:
        return ""
    source = base64.b64encode(svg.encode()).decode()
    alt = "when each request waited (grey) and ran"
    return (
        f'<img src="data:image/svg+xml;base64,{source}" alt="{alt}" title="{alt}" '
        'style="max-width: 100%; margin-top: 0.5em">'
    )
