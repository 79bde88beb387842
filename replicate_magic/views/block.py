"""Owns what stands around all that is shown as HTML: the block, its quiet line, what went wrong."""

from __future__ import annotations

import html

from replicate_magic.plain import printable
from replicate_magic.views.prose import NO_FORMULAS, QUIET

_BLOCK = "padding: 0 var(--jp-code-padding, 5px)"  # in line with what other cells show
_LINE = f"{QUIET}; line-height: 1.8; margin-bottom: 0.4em"
_WHY = (
    "border-left: 3px solid var(--jp-error-color1, #c62828); padding: 0.1em 0.7em; "
    "margin: 0.4em 0; white-space: pre-wrap; overflow-wrap: anywhere"
)


def block(markup: str, *, by_text: bool = False) -> str:
    """Some markup as the output of a cell.

    Args:
        markup: safe already.
        by_text: whether it is written from right to left where its first letters are.
    """
    direction = ' dir="auto"' if by_text else ""
    return f'<div class="{NO_FORMULAS}" style="{_BLOCK}"{direction}>{markup}</div>'


def quiet_line(markup: str) -> str:
    """A line that tells of what is below it."""
    return f'<div style="{_LINE}">{markup}</div>'


def trouble(text: str) -> str:
    """What went wrong, in its own words."""
    return f'<div style="{_WHY}">{html.escape(printable(text))}</div>'
