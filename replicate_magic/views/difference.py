"""Owns how two predictions look beside each other; must not compare them itself.

Styles are inline, and a page without them still reads well: `<del>` and `<ins>` say what they are.
"""

from __future__ import annotations

import base64
import html
from typing import TYPE_CHECKING

from replicate_magic.plain import one_line, printable
from replicate_magic.views import cells, preview_bytes
from replicate_magic.views.answer import address, file_facts, file_name
from replicate_magic.views.block import block
from replicate_magic.views.difference_text import as_text
from replicate_magic.views.differing import (
    ABSENT,
    MOST_CHARS,
    MOST_FILES,
    VALUE_CHARS,
    beginning,
    facts,
    files_of,
    led,
    notes,
    numbers,
    output_note,
    shortened,
    shown_inputs,
    sides,
    value_text,
)
from replicate_magic.views.previews import previews
from replicate_magic.views.prose import QUIET
from replicate_magic.views.status import name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from replicate_magic.difference import Change, Difference, Measure, Part
    from replicate_magic.prediction import OutputFile, Prediction

_PICTURE_PX = 320

_TABLE = "border-collapse: collapse; border: none; margin: 0; table-layout: auto"
_CELL = (
    "padding: 0.35em 0.7em 0.35em 0; vertical-align: top; text-align: left; border: none; "
    "border-bottom: 1px solid var(--jp-border-color2, #8884)"
)
_TEXT = "white-space: pre-wrap; overflow-wrap: anywhere"
_VALUE = f"{_CELL}; {_TEXT}; min-width: 8em"
_NUMBER = f"{_CELL}; text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums"
_REMOVED = "background: #c628282e; color: inherit; border-radius: 2px; padding: 0 1px"
_ADDED = (
    "background: #2e7d3250; color: inherit; text-decoration: none; border-radius: 2px; "
    "padding: 0 1px"
)
_PART = f"{QUIET}; margin: 0.9em 0 0.2em"
_PAIR = "display: flex; flex-wrap: wrap; gap: 12px; align-items: flex-start"


def difference_bundle(found: Difference) -> dict[str, str]:
    """Text/plain and text/html."""
    return {"text/plain": printable(as_text(found)), "text/html": _as_html(found)}


def _as_html(found: Difference) -> str:
    said = "".join(f'<div style="{QUIET}">{html.escape(note)}</div>\n' for note in notes(found))
    if found.is_same_run:
        parts = [f"<div>{_run_html(found.before)}</div>\n", said]
    else:
        parts = [_table_html(found), said, _output_html(found), _metrics_html(found)]
    return block("".join(["\n", *parts]), by_text=True)


def _run_html(prediction: Prediction) -> str:
    shown = cells.identity(prediction.id, prediction.page).markup
    status = cells.dotted(prediction.status).markup
    model = html.escape(name(prediction))
    return f'{status} <span style="white-space: nowrap">{shown}</span><br>{model}'


def _table_html(found: Difference) -> str:
    """Both runs as the heads of two columns, below them what is not the same."""
    heads = "".join(
        f'<th scope="col" align="left" style="{_CELL}; font-weight: normal">{markup}</th>'
        for markup in ("", _run_html(found.before), _run_html(found.after))
    )
    rows = [
        _row(label, html.escape(one), html.escape(other)) for label, one, other in facts(found)
    ]  # fmt: skip
    rows += [_change_row(change) for change in shown_inputs(found)]
    return (
        f'<div style="overflow-x: auto">\n<table style="{_TABLE}">\n<thead><tr>{heads}</tr></thead>'
        f"\n<tbody>\n{''.join(rows)}</tbody>\n</table>\n</div>\n"
    )


def _row(label: str, before: str, after: str) -> str:
    first = f'<td align="left" style="{_CELL}; {cells.QUIET}">{html.escape(label)}</td>'
    both = "".join(
        f'<td align="left" dir="auto" style="{_VALUE}">{side}</td>' for side in (before, after)
    )
    return f"<tr>{first}{both}</tr>\n"


def _change_row(change: Change) -> str:
    absent = f'<span style="{cells.QUIET}">{ABSENT}</span>'
    label = one_line(change.name, limit=40)
    if change.kind == "added":
        return _row(label, absent, _tagged("ins", beginning(value_text(change.after))))
    if change.kind == "removed":
        return _row(label, _tagged("del", beginning(value_text(change.before))), absent)
    parts = sides(change)
    both = (
        _marked_html(shortened([p for p in parts if p.kind != left_out], VALUE_CHARS))
        for left_out in ("added", "removed")
    )
    return _row(label, *both)


def _marked_html(parts: Iterable[Part]) -> str:
    tags = {"removed": "del", "added": "ins"}
    return "".join(
        html.escape(part.text) if part.kind == "same" else _tagged(tags[part.kind], part.text)
        for part in parts
    )


def _tagged(tag: str, text: str) -> str:
    blank, rest = led(text)
    style = _REMOVED if tag == "del" else _ADDED
    return f'{html.escape(blank)}<{tag} style="{style}">{html.escape(rest)}</{tag}>'


def _output_html(found: Difference) -> str:
    title = f'<div style="{_PART}">output</div>\n'
    if note := output_note(found):
        return f"{title}<div>{html.escape(note)}</div>\n"
    if files := files_of(found):
        both = "".join(f'<div style="flex: 0 1 auto">{_files_html(one)}</div>' for one in files)
        return f'{title}<div style="{_PAIR}">{both}</div>\n'
    parts = [part._replace(text=printable(part.text)) for part in found.output_parts()]
    marked = _marked_html(shortened(parts, MOST_CHARS))
    return f'{title}<div dir="auto" style="{_TEXT}; max-width: 60em">{marked}</div>\n'


def _files_html(files: Sequence[OutputFile]) -> str:
    """Pictures, and the names of other files; each leads to its file."""
    few = files[:MOST_FILES]
    drawn = {one.file.url: one for one in previews(few, preview_bytes()).drawn}
    parts = []
    for file in few:
        label = html.escape(file_name(file), quote=True)
        known = html.escape(f" ({file_facts(file)})") if file.size_bytes is not None else ""
        shown = label
        if preview := drawn.get(file.url):
            source = f"data:{preview.media_type};base64,{base64.b64encode(preview.data).decode()}"
            shown = (
                f'<img src="{source}" alt="{label}" width="{_PICTURE_PX}" '
                f'style="width: {_PICTURE_PX}px; max-width: 100%; height: auto; display: block">'
            )
        href = html.escape(address(file), quote=True)
        link = f'<a href="{href}" target="_blank" rel="noopener noreferrer">{shown}</a>'
        parts.append(f'<div>{link if href else shown}<span style="{QUIET}">{known}</span></div>')
    left = len(files) - len(few)
    parts += [f'<div style="{QUIET}">… {left:,} more</div>'] if left > 0 else []
    return "".join(parts) or f'<div style="{QUIET}">no file</div>'


def _metrics_html(found: Difference) -> str:
    rows = "".join(map(_measure_row, found.metrics))
    if not rows:
        return ""
    title = f'<div style="{_PART}">metrics</div>\n'
    heads = "".join(
        f'<th scope="col" align="right" style="{_NUMBER}; font-weight: normal; {cells.QUIET}">'
        f"{label}</th>"
        for label in ("", "before", "after", "more")
    )
    return (
        f'{title}<table style="{_TABLE}">\n<thead><tr>{heads}</tr></thead>\n'
        f"<tbody>\n{rows}</tbody>\n</table>\n"
    )


def _measure_row(measure: Measure) -> str:
    label = html.escape(one_line(measure.name, limit=40))
    first = f'<td align="left" style="{_CELL}; {cells.QUIET}">{label}</td>'
    columns = "".join(
        f'<td align="right" style="{_NUMBER}">{html.escape(text)}</td>' for text in numbers(measure)
    )
    return f"<tr>{first}{columns}</tr>\n"
