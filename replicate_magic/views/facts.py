"""Owns how a short list of facts looks, one a line; must not know what they are about."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from replicate_magic.plain import one_line, printable
from replicate_magic.views import cells
from replicate_magic.views.prose import NO_FORMULAS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TABLE = "border-collapse: collapse; border: none; margin: 0; table-layout: auto"
_CELL = (
    "padding: 0.3em 0.55em; vertical-align: top; text-align: start; border: none; "
    "border-bottom: 1px solid var(--jp-border-color2, #8884)"
)
_NAME = f"{_CELL}; white-space: nowrap; {cells.QUIET}"
_FACT = f"{_CELL}; white-space: pre-wrap; overflow-wrap: anywhere"


def facts_bundle(facts: Mapping[str, str], notes: Iterable[str] = ()) -> dict[str, str]:
    """Text/plain and text/html.

    Args:
        facts: by their names, in the order in which they are shown.
        notes: what is to be said beside them, in sentences.
    """
    facts = {one_line(name): printable(fact) for name, fact in facts.items()}
    said = [printable(note) for note in notes]
    return {"text/plain": _as_text(facts, said), "text/html": _as_html(facts, said)}


def _as_text(facts: Mapping[str, str], notes: list[str]) -> str:
    """The names in a column; a fact of several lines goes on below itself."""
    width = max(map(len, facts), default=0)
    lines = []
    for name, fact in facts.items():
        first, *others = fact.split("\n")
        lines += [f"{name:<{width}}  {first}", *(f"{'':<{width}}  {line}" for line in others)]
    return "\n".join([*lines, *notes])


def _as_html(facts: Mapping[str, str], notes: list[str]) -> str:
    rows = "".join(
        f'<tr><td align="left" style="{_NAME}">{html.escape(name)}</td>'
        f'<td align="left" style="{_FACT}">{html.escape(fact)}</td></tr>\n'
        for name, fact in facts.items()
    )
    table = f'<table class="{NO_FORMULAS}" style="{_TABLE}">\n<tbody>\n{rows}</tbody>\n</table>\n'
    said = "".join(
        f'<div class="{NO_FORMULAS}" style="padding: 0.3em 0.55em">{html.escape(note)}</div>\n'
        for note in notes
    )
    return f"{table if facts else ''}{said}"
