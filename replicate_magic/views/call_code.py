"""Owns how a run written as code looks; must not write the code."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from replicate_magic.plain import printable
from replicate_magic.views.block import block
from replicate_magic.views.prose import QUIET

if TYPE_CHECKING:
    from replicate_magic.call_code import Code

_TITLE = f"{QUIET}; margin: 0.6em 0 0.2em"
_CODE = (
    "font-family: var(--jp-code-font-family, monospace); font-size: 0.92em; "
    "white-space: pre-wrap; overflow-wrap: anywhere; margin: 0.2em 0; padding: 0.5em 0.7em; "
    "background: transparent; color: inherit; border: 1px solid var(--jp-border-color2, #8884)"
)
_MOST_CHARS = 20_000
_CUT = "\n… (the attribute of this name has all of it)"


def code_bundle(code: Code) -> dict[str, str]:
    """Text/plain and text/html."""
    parts = {"curl": code.curl, "python": code.python, "cell": code.cell}
    shown = {title: _shown(text) for title, text in parts.items()}
    notes = [printable(note) for note in code.notes]
    plain = [f"── {title}\n{text}" for title, text in shown.items()]
    return {
        "text/plain": "\n\n".join([*plain, *(["\n".join(notes)] if notes else [])]),
        "text/html": block(f"\n{_parts_html(shown)}{_notes_html(notes)}"),
    }


def _shown(text: str) -> str:
    safe = printable(text[: _MOST_CHARS + 1])
    return safe if len(text) <= _MOST_CHARS else f"{safe[:_MOST_CHARS]}{_CUT}"


def _parts_html(shown: dict[str, str]) -> str:
    """A line's end right behind `<pre>` is not the code's: HTML drops it."""
    return "".join(
        f'<div style="{_TITLE}">{title}</div><pre style="{_CODE}">\n{html.escape(text)}</pre>\n'
        for title, text in shown.items()
    )


def _notes_html(notes: list[str]) -> str:
    return "".join(f'<div style="{QUIET}">{html.escape(note)}</div>\n' for note in notes)
