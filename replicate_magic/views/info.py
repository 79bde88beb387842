"""Owns how a model's description looks; must not know where it comes from."""

from __future__ import annotations

import html
import shutil
from typing import TYPE_CHECKING, NamedTuple

from replicate_magic.cell import words
from replicate_magic.plain import count, one_line, printable
from replicate_magic.views import cells
from replicate_magic.views.aligned import _settled, _width
from replicate_magic.views.block import block

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replicate_magic.cell.info import ModelInfo
    from replicate_magic.cell.schema import InputField

_UNKNOWN_SIZE = 100, 24  # of a terminal
_NARROWEST = 20
_MOST_INPUTS = 200
_MOST_CHOICES = 500
_FEW_CHOICES = 8  # that stand open, where they are short
_FEW_CHARS = 60
_DESCRIPTION_CHARS = 4_000
_INPUT_CHARS = 1_000  # of an input's description

_WRAPPED = "white-space: pre-wrap; overflow-wrap: anywhere"
_PART = "margin: 0.6em 0 0.2em"
_CELL = (
    "padding: 0.35em 0.55em; vertical-align: top; text-align: start; border: none; "
    "border-bottom: 1px solid var(--jp-border-color2, #8884)"
)
_TABLE = "border-collapse: collapse; border: none; margin: 0; table-layout: auto"
_CODE = "font-family: var(--jp-code-font-family, monospace); font-size: 0.92em"
_EXAMPLE = (
    f"{_CODE}; {_WRAPPED}; margin: 0.3em 0; padding: 0.5em 0.7em; background: transparent; "
    "color: inherit; border: 1px solid var(--jp-border-color2, #8884)"
)
_SUMMARY = "cursor: pointer"


def info_bundle(info: ModelInfo) -> dict[str, str]:
    """Text/plain, no wider than the terminal, and text/html."""
    return {"text/plain": _as_text(info), "text/html": _as_html(info)}


# -- what is told -----------------------------------------------------------------------------


class _Input(NamedTuple):
    """An input in words.

    Attributes:
        marks: that it is required, and that the cell's body goes to it.
        default: as it is written; empty where there is none.
        choices: as they are written.
        more: how many choices are left out.
    """

    name: str
    marks: list[str]
    kind: str
    default: str
    limits: str
    choices: list[str]
    more: int
    description: str

    @property
    def is_short(self) -> bool:
        """Whether its choices may stand open."""
        return len(self.choices) <= _FEW_CHOICES and sum(map(len, self.choices)) <= _FEW_CHARS


def _inputs(info: ModelInfo) -> list[_Input]:
    return [_input(field, info) for field in (info.inputs or ())[:_MOST_INPUTS]]


def _input(field: InputField, info: ModelInfo) -> _Input:
    choices = words.choices(field)
    marks = {
        "required": field.required,
        "the cell's body": field.name == info.prompt_key,
        "secret": field.is_secret,
    }
    return _Input(
        name=one_line(field.name, limit=60),
        marks=[mark for mark, holds in marks.items() if holds],
        kind=words.kind(field),
        default="" if field.default is None else words.value(field.default),
        limits=words.limits(field),
        choices=[words.value(choice) for choice in choices[:_MOST_CHOICES]],
        more=max(len(choices) - _MOST_CHOICES, 0),
        description=_beginning(info.descriptions.get(field.name, ""), _INPUT_CHARS),
    )


def _beginning(text: str, limit: int) -> str:
    safe = printable(text[: limit + 1])
    return safe if len(safe) <= limit else f"{safe[:limit]}…"


def _kind_of_model(info: ModelInfo) -> list[str]:
    official = {True: "official", False: "community"}
    return [
        *([official[info.official]] if info.official is not None else []),
        *([count(info.run_count, "run")] if info.run_count is not None else []),
    ]


def _facts(info: ModelInfo) -> list[tuple[str, str]]:
    inputs = ""
    if info.inputs is None:
        inputs = "no schema is told: any input is taken"
    elif not info.inputs:
        inputs = "none"
    facts = {
        "runs": info.model if info.model and info.name.startswith("deployment:") else "",
        "version": info.version,
        "hardware": info.hardware,
        "output": info.output,
        "inputs": inputs,
        "as of": f"{info.as_of:%Y-%m-%d %H:%M} UTC; the API is out of reach" if info.as_of else "",
    }
    return [(name, one_line(text)) for name, text in facts.items() if text]


def _links(info: ModelInfo) -> list[tuple[str, str]]:
    links = {
        "page": info.url,
        "licence": info.license_url,
        "code": info.github_url,
        "paper": info.paper_url,
    }
    return [(name, url) for name, url in links.items() if url.startswith("https://")]


def _left_out(info: ModelInfo) -> str:
    more = len(info.inputs or ()) - _MOST_INPUTS
    return f"{count(more, 'more input')}: _.inputs" if more > 0 else ""


# -- a terminal -------------------------------------------------------------------------------


def _as_text(info: ModelInfo) -> str:
    room = max(shutil.get_terminal_size(_UNKNOWN_SIZE).columns, _NARROWEST)
    head = " · ".join([one_line(info.name), *_kind_of_model(info)])
    facts = [*_facts(info), *_links(info)]
    sides = max((len(name) for name, _ in facts), default=0) + 2
    about = [
        line
        for name, text in facts
        for line in _wrapped(text, room, first=f"{name:<{sides}}", indent=" " * sides)
    ]
    description = _beginning(info.description, _DESCRIPTION_CHARS)
    inputs = [line for one in _inputs(info) for line in _input_text(one, room)]
    parts = [
        [*_wrapped(head, room), *_paragraphs(description, room)],
        about,
        ["Inputs", *inputs, *_wrapped(_left_out(info), room, indent="  ")] if inputs else [],
        _example_text(info.example, room),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _input_text(one: _Input, room: int) -> Iterator[str]:
    marks = f" ({', '.join(one.marks)})" if one.marks else ""
    facts = [
        one.kind,
        f"one of {', '.join(one.choices)}" if one.choices else "",
        f"{count(one.more, 'more choice')}: _.inputs" if one.more else "",
        one.limits,
        f"default {one.default}" if one.default else "",
    ]
    told = "; ".join(fact for fact in facts if fact)
    yield from _wrapped(f"{one.name}{marks}: {told}", room, first="  ", indent="      ")
    yield from _paragraphs(one.description, room, indent="      ")


def _paragraphs(text: str, room: int, *, indent: str = "") -> Iterator[str]:
    for line in text.split("\n"):
        yield from _wrapped(line, room, indent=indent)


def _wrapped(text: str, room: int, *, first: str | None = None, indent: str = "") -> Iterator[str]:
    """A line broken at its blanks, and within words that are too long for any line."""
    line = start = _settled(indent if first is None else first)
    for word in _settled(text).split():
        rest, gap = word, "" if line in {start, indent} else " "
        if _width(line) + len(gap) + _width(rest) <= room:
            line = f"{line}{gap}{rest}"
            continue
        if line not in {start, indent}:
            yield line.rstrip()
            line = indent
        while _width(line) + _width(rest) > room:
            cut = _fitting(rest, room - _width(line))
            yield f"{line}{rest[:cut]}"
            rest, line = rest[cut:], indent
        line = f"{line}{rest}"
    if line.strip():
        yield line.rstrip()


def _fitting(word: str, room: int) -> int:
    """How many characters have room; one at least, so that there is an end."""
    cut = min(len(word), max(room, 1))
    while cut > 1 and _width(word[:cut]) > room:
        cut -= 1
    return cut


def _example_text(example: str, room: int) -> list[str]:
    """The example's lines as they are, since they are to be copied; what is too wide is cut."""
    if not example:
        return []
    lines = [_settled(printable(line).expandtabs()) for line in example.rstrip("\n").split("\n")]
    if all(_width(line) <= room for line in lines):
        return ["Example", *lines]
    cut = [
        line if _width(line) <= room else f"{line[: _fitting(line, room - 1)]}…" for line in lines
    ]
    return [*_wrapped("Example (print(_.example) prints all of it)", room), *cut]


# -- a page -----------------------------------------------------------------------------------


def _as_html(info: ModelInfo) -> str:
    kind = "".join(f" · {html.escape(part)}" for part in _kind_of_model(info))
    description = _beginning(info.description, _DESCRIPTION_CHARS)
    parts = [
        f"<div><strong>{_text(info.name)}</strong>{_quiet(kind)}</div>",
        f'<div dir="auto" style="{_WRAPPED}">{html.escape(description)}</div>',
        _facts_html(info),
        _inputs_html(info),
        _example_html(info.example),
    ]
    return block("".join(["\n", *parts]))


def _text(text: str) -> str:
    return html.escape(one_line(text))


def _quiet(markup: str) -> str:
    return f'<span style="{cells.QUIET}">{markup}</span>' if markup else ""


def _facts_html(info: ModelInfo) -> str:
    facts = [f"{_quiet(name)} {_text(text)}" for name, text in _facts(info)]
    links = " · ".join(_link(name, url) for name, url in _links(info))
    rows = "".join(f'<div style="{_WRAPPED}">{fact}</div>' for fact in facts)
    return f'<div style="{_PART}">{rows}<div>{links}</div></div>\n'


def _link(name: str, url: str) -> str:
    href = html.escape(printable(url), quote=True)
    return f'<a href="{href}" target="_blank" rel="noopener noreferrer">{name}</a>'


def _inputs_html(info: ModelInfo) -> str:
    rows = "".join(map(_row, _inputs(info)))
    if not rows:
        return ""
    titles = ("input", "type", "default", "takes", "")
    heads = "".join(f'<th scope="col" align="left" style="{_CELL}">{one}</th>' for one in titles)
    return (
        f'<div style="overflow-x: auto">\n<table style="{_TABLE}">\n<thead><tr>{heads}</tr></thead>'
        f"\n<tbody>\n{rows}</tbody>\n</table>\n</div>\n{_quiet(html.escape(_left_out(info)))}"
    )


def _row(one: _Input) -> str:
    marks = "".join(f"<br>{_quiet(html.escape(mark))}" for mark in one.marks)
    limits = html.escape(one.limits)
    takes = "<br>".join(filter(None, [_choices_html(one), limits]))
    described = f'<div style="{_WRAPPED}">{html.escape(one.description)}</div>'
    columns = (
        f'<code style="{_CODE}">{html.escape(one.name)}</code>{marks}',
        html.escape(one.kind),
        f'<span style="overflow-wrap: anywhere">{html.escape(one.default)}</span>',
        f'<span style="overflow-wrap: anywhere">{takes}</span>',
        described if one.description else "",
    )
    row = "".join(f'<td align="left" dir="auto" style="{_CELL}">{cell}</td>' for cell in columns)
    return f"<tr>{row}</tr>\n"


def _choices_html(one: _Input) -> str:
    """Many choices, or long ones, are folded."""
    listed = ", ".join(map(html.escape, one.choices))
    if one.is_short:
        return listed
    more = f", and {one.more:,} more: _.inputs" if one.more else ""
    number = count(len(one.choices) + one.more, "choice")
    summary = f'<summary style="{_SUMMARY}">{number}</summary>'
    return f"<details>{summary}{listed}{html.escape(more)}</details>"


def _example_html(example: str) -> str:
    """The line's end behind `<pre>` is not the example's: HTML drops it."""
    if not example:
        return ""
    title = f'<div style="{_PART}">{_quiet("its example, as a cell")}</div>'
    return f'{title}<pre style="{_EXAMPLE}">\n{html.escape(printable(example))}</pre>'
