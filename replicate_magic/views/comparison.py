"""Owns what stays of a batch: a table of its requests, or of its models side by side.

It must not hold anything a model wrote unescaped, or more of it than a page can bear. Styles are
inline, and a page without them still reads well: some sites take them away.
"""

from __future__ import annotations

import base64
import html
import time
from typing import TYPE_CHECKING

from replicate_magic.plain import count, one_line, printable
from replicate_magic.views import cells, entries
from replicate_magic.views.answer import address, file_facts, file_name
from replicate_magic.views.block import block, quiet_line, trouble
from replicate_magic.views.compared import chosen, rows_of
from replicate_magic.views.comparison_text import as_text
from replicate_magic.views.previews import previews
from replicate_magic.views.prose import QUIET
from replicate_magic.views.timings import timings_svg

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replicate_magic.cell.options import Format
    from replicate_magic.prediction import OutputFile
    from replicate_magic.tally import Entry, Tally
    from replicate_magic.views import Look
    from replicate_magic.views.compared import Row
    from replicate_magic.views.previews import Preview

_SHORT, _LONG = 280, 4_000  # characters of an answer: at first sight, and opened
_LITTLE = 160  # that is not worth being folded
_ERROR = 400
_MOST_PARAMS, _MOST_FILES = 6, 4
_THUMB_PX = 150
_THUMB_BYTES = 60_000

_TABLE = "border-collapse: collapse; border: none; margin: 0; table-layout: auto; width: 100%"
_CELL = (
    "padding: 0.4em 0.6em; vertical-align: top; text-align: left; border: none; "
    "border-bottom: 1px solid var(--jp-border-color2, #8884)"
)
_SHORT_CELL = f"{_CELL}; white-space: nowrap; font-variant-numeric: tabular-nums"
_TEXT_CELL = f"{_CELL}; white-space: normal; overflow-wrap: break-word; min-width: 9em"
_TEXT = "white-space: pre-wrap; overflow-wrap: anywhere"
_PICTURE_ALT = "When each request waited and ran"


def bundle(tally: Tally, look: Look, *, why: str = "") -> dict[str, str]:
    """What stays: a line, the table, a picture of the timings.

    Args:
        tally: what is known at the end.
        look: how much is shown, and how.
        why: what went wrong, in a line or two.
    """
    known = list(tally.entries)
    line = " · ".join(entries.summary(tally, time.monotonic())) if look.status else ""
    parts = [
        quiet_line(html.escape(line)) if line else "",
        trouble(why) if why else "",
        _Table(known, look).markup() if look.answer and known else "",
        _timings(known) if look.status else "",
    ]
    plain = [as_text(known) if look.answer and known else "", "\n".join(filter(None, (line, why)))]
    return {
        "text/plain": printable("\n\n".join(filter(None, plain))),
        "text/html": block("".join(parts), by_text=True),
    }


def _timings(known: Sequence[Entry]) -> str:
    """The picture as an image within HTML: many a site, and Lab without trust, refuse bare SVG."""
    svg = timings_svg(known)
    if not svg:
        return ""
    source = base64.b64encode(svg.encode()).decode()
    return (
        f'<img src="data:image/svg+xml;base64,{source}" alt="{_PICTURE_ALT}" '
        f'title="{_PICTURE_ALT}" style="display: block; max-width: 100%; margin: 0.6em 0">'
    )


# -- the table ----------------------------------------------------------------------------------


class _Table:
    """The table as HTML.

    Args:
        known: the requests.
        look: how much is shown, and how.
    """

    def __init__(self, known: Sequence[Entry], look: Look) -> None:
        rows = rows_of(known)
        self._rows = chosen(rows)
        self._left = len(rows) - len(self._rows)
        self._known = known
        self._format: Format = look.format
        self._models = list(dict.fromkeys(entry.model for entry in known))
        self._params = list(dict.fromkeys(name for one in known for name in one.params))
        self._has_prompts = len({entry.prompt for entry in known}) > 1
        self._thumbs = self._previews(look.preview_bytes)

    def markup(self) -> str:
        """It, and how many rows it leaves out."""
        compares = len(self._models) > 1
        heads = [*self._asked_heads(), *(self._model_heads() if compares else _ANSWER_HEADS)]
        body = "".join(f"<tr>{self._asked(row)}{self._came(row)}</tr>\n" for row in self._rows)
        more = f"… {count(self._left, 'more row')}: the DataFrame has them" if self._left else ""
        return (
            f'<div style="overflow-x: auto">\n<table style="{_TABLE}">\n'
            f"<thead><tr>{''.join(heads)}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n</div>\n"
            + (f'<div style="{QUIET}; padding: 0.4em 0.6em">{more}</div>' if more else "")
        )

    def _previews(self, most_bytes: int) -> dict[str, Preview]:
        """Pictures among what is shown, by their addresses."""
        shown = (entry for row in self._rows for entry in row.by_model.values())
        files = [file for entry in shown for file in entry.prediction.files[:_MOST_FILES]]
        return {one.file.url: one for one in previews(files, min(most_bytes, _THUMB_BYTES)).drawn}

    # -- what was asked

    def _asked_heads(self) -> Iterator[str]:
        yield _head("#") if self._left else ""
        yield from (_head(one_line(name, limit=30)) for name in self._shown_params())
        yield _head("prompt") if self._has_prompts else ""

    def _asked(self, row: Row) -> str:
        first = row.first
        parts = [_short_cell(f"{first.number + 1}")] if self._left else []
        values = [first.params.get(name) for name in self._shown_params()]
        parts += [_short_cell(html.escape(entries.parameter(value))) for value in values]
        if self._has_prompts:
            prompt = one_line(first.prompt[:1_000], limit=160)
            parts.append(
                f'<td align="left" dir="auto" style="{_TEXT_CELL}">{html.escape(prompt)}</td>'
            )
        return "".join(parts)

    def _shown_params(self) -> list[str]:
        return self._params[:_MOST_PARAMS]

    # -- what came

    def _model_heads(self) -> Iterator[str]:
        """Each model, and how it did in all."""
        for model in self._models:
            of_it = [entry for entry in self._known if entry.model == model]
            told = html.escape(" · ".join(entries.of_model(of_it)))
            name = html.escape(one_line(model, limit=60))
            yield _head(
                f'{name}<div style="{QUIET}; font-weight: normal">{told}</div>', plain=False
            )

    def _came(self, row: Row) -> str:
        if len(self._models) == 1:
            return self._alone(row.first)
        return "".join(map(self._beside, (row.by_model.get(model) for model in self._models)))

    def _alone(self, entry: Entry) -> str:
        return (
            f'<td align="left" style="{_SHORT_CELL}">{cells.dotted(entry.outcome).markup}</td>'
            f'<td align="left" dir="auto" style="{_TEXT_CELL}; width: 60%">'
            f"{self._answer(entry)}</td>"
            f'<td align="left" style="{_SHORT_CELL}">'
            f'<span style="{QUIET}">{_facts(entry)}</span></td>'
        )

    def _beside(self, entry: Entry | None) -> str:
        style = f"{_TEXT_CELL}; width: {80 // len(self._models)}%"
        if entry is None:
            return f'<td style="{style}"></td>'
        told = " · ".join(filter(None, ["" if entry.ok else _state(entry), _facts(entry)]))
        line = f'<div style="{QUIET}">{told}</div>' if told else ""
        return f'<td align="left" dir="auto" style="{style}">{self._answer(entry)}{line}</td>'

    def _answer(self, entry: Entry) -> str:
        """The answer, of a long one the beginning, which opens; else why there is none."""
        if not entry.ok:
            why = html.escape(one_line(entry.error[: 4 * _ERROR], limit=_ERROR))
            style = cells.BAD if entries.kind(entry) == "failed" else cells.QUIET
            return f'<span style="{style}">{why}</span>' if entry.phase == "done" else ""
        if entry.prediction.files and self._format in {"auto", "image"}:
            return self._files(entry.prediction.files)
        text = entries.answer(entry, self._format, most_chars=_LONG + 1)
        if len(text) <= _SHORT + _LITTLE:
            return f'<div style="{_TEXT}">{html.escape(text)}</div>'
        return _folded(text)

    def _files(self, files: Sequence[OutputFile]) -> str:
        shown = "".join(self._file(file) for file in files[:_MOST_FILES])
        left = len(files) - _MOST_FILES
        more = f'<div style="{QUIET}">… {count(left, "more file")}</div>' if left > 0 else ""
        return shown + more

    def _file(self, file: OutputFile) -> str:
        """A small picture that leads to the file, or its name that does."""
        name, thumb = html.escape(file_name(file), quote=True), self._thumbs.get(file.url)
        facts = f" ({html.escape(file_facts(file))})" if file.size_bytes is not None else ""
        if thumb is None:
            return f"<div>{_anchor(address(file), name)}{facts}</div>"
        source = f"data:{thumb.media_type};base64,{base64.b64encode(thumb.data).decode()}"
        image = (
            f'<img src="{source}" alt="{name}" title="{name}{facts}" width="{_THUMB_PX}" '
            f'style="width: {_THUMB_PX}px; height: auto; max-width: 100%; margin: 0 4px 4px 0; '
            f'border-radius: 3px">'
        )
        return _anchor(address(file), image)


_ANSWER_HEADS = tuple(
    f'<th scope="col" align="left" style="{_CELL}; {QUIET}">{title}</th>'
    for title in ("status", "answer", "ran")
)


def _head(title: str, *, plain: bool = True) -> str:
    shown = html.escape(title) if plain else title
    return f'<th scope="col" align="left" style="{_CELL}; {QUIET if plain else ""}">{shown}</th>'


def _short_cell(markup: str) -> str:
    return f'<td align="left" style="{_SHORT_CELL}">{markup}</td>'


def _state(entry: Entry) -> str:
    return cells.dotted(entry.outcome).markup


def _facts(entry: Entry) -> str:
    return html.escape(" · ".join(entries.facts(entry)))


def _folded(text: str) -> str:
    """The beginning, and the rest where it is opened."""
    blank = text.rfind(" ", _SHORT // 2, _SHORT)
    place = blank if blank > 0 else _SHORT
    rest = text[place:_LONG] + ("…" if len(text) > _LONG else "")
    return (
        f'<details><summary style="{_TEXT}">{html.escape(text[:place])} …</summary>'
        f'<div style="{_TEXT}">… {html.escape(rest.lstrip())}</div></details>'
    )


def _anchor(href: str, markup: str) -> str:
    if not href:
        return markup
    target = html.escape(href, quote=True)
    return f'<a href="{target}" target="_blank" rel="noopener noreferrer">{markup}</a>'
