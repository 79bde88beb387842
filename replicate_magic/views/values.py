"""Owns how what the API answers looks, where it is no prediction; must not know what was asked."""

from __future__ import annotations

import html
from typing import Any

from replicate_magic.plain import one_line, printable
from replicate_magic.views.answer import pretty
from replicate_magic.views.block import block
from replicate_magic.views.prose import QUIET, markdown, pre
from replicate_magic.views.status import size
from replicate_magic.views.tree import is_small, tree

_PLAIN_CHARS = 8_000
_HIDDEN = "(secret)"


def json_bundle(value: Any, hidden: frozenset[str] = frozenset()) -> dict[str, str]:
    """A list or an object: indented text, and a tree that opens and closes.

    Args:
        value: the list or the object.
        hidden: the keys of an object whose values are not shown.
    """
    notes: list[str] = []
    if isinstance(value, dict):
        notes = [f'_["{key}"] is the value itself.' for key in sorted(hidden) if key in value]
        value = {key: _HIDDEN if key in hidden else one for key, one in value.items()}
    text = printable(pretty(value, _PLAIN_CHARS))
    said = "".join(f'<div style="{QUIET}">{html.escape(note)}</div>' for note in notes)
    drawn = pre(text) if is_small(value, text) else tree(value)
    return {
        "text/plain": "\n".join([text, *notes]),
        "text/html": block(f"{drawn}{said}"),
    }


def text_bundle(text: str) -> dict[str, str]:
    """A text, which is read as Markdown: it is a model's README."""
    safe = printable(text)
    drawn = block(markdown(safe), by_text=True)
    return {"text/plain": safe, "text/html": drawn}


def bytes_bundle(data: bytes, media_type: str) -> dict[str, str]:
    """Bytes by their number and kind: what they are is not drawn."""
    told = (
        f"{size(len(data))} of {one_line(media_type, limit=80) or 'bytes'}; --save PATH keeps them"
    )
    drawn = block(html.escape(told))
    return {"text/plain": told, "text/html": drawn}
