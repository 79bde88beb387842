"""Owns how a text is to be written in a cell so that it is read back as the same; must not show it.

Each spelling is read by the grammar before it is taken. What cannot be written has none.
"""

from __future__ import annotations

import json
import re
from typing import Any

from replicate_magic.cell.grammar import _ASSIGNMENT, Given, split_header, tokenize
from replicate_magic.errors import CellError
from replicate_magic.plain import printable

_MOST_CHARS = 200
_TO_ESCAPE = re.compile(r"([\s'\"])")


def is_key(name: str) -> bool:
    """Whether an input's name can be written before `=`."""
    found = _ASSIGNMENT.match(f"{name}=")
    return found is not None and found["key"] == name and len(name) <= _MOST_CHARS


def is_clean(text: str) -> bool:
    """Whether a text is one short line, safe to print."""
    is_line = printable(text) == text and len(text.splitlines()) <= 1
    return is_line and len(text) <= _MOST_CHARS


def value(text: str, quote: str = "") -> str | None:
    """A text as a value or a word of the line.

    Args:
        text: what is meant.
        quote: the quote that is open before it; the spelling ends with it.
    """
    return _spelled(text, quote, Given(text=text))


def path(text: str, quote: str = "", *, goes_on: bool = False) -> str | None:
    """A path behind `key=@`; one that goes on, such as a folder's, leaves its quote open."""
    given = Given(text=text, kind="file")
    spelled = _spelled(text, quote, given)
    if quote:
        return spelled.removesuffix(quote) if spelled and goes_on else spelled
    escaped = _TO_ESCAPE.sub(r"\\\1", text)
    return escaped if _reads(escaped, given) else None


def in_header(text: str, *, is_file: bool = False) -> str | None:
    """A text as a value of the header block."""
    given = Given(text=text, kind="file" if is_file else "text")
    try:
        inputs, _ = split_header(f"---\nkey: {'@' if is_file else ''}{text}\n---\n")
    except CellError:
        return None
    is_whole = inputs == {"key": given} and bool(text) and "{{" not in text
    return text if is_whole and is_clean(text) else None


def as_json(given: Any, quote: str = "") -> str | None:
    """A value as it stands behind `key:=`, without the quote that is open before it."""
    try:
        written = json.dumps(given, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return None
    return written[len(quote) :] if written.startswith(quote) and is_clean(written) else None


def _spelled(text: str, quote: str, given: Given) -> str | None:
    in_quotes = text.replace("\\", "\\\\").replace('"', '\\"')
    for written in (text, f'"{in_quotes}"', f"'{text}'"):
        if written.startswith(quote) and _reads(written, given):
            return written[len(quote) :]
    return None


def _reads(written: str, given: Given) -> bool:
    """Whether this behind `key=` is that, whatever follows on the line."""
    if not is_clean(written) or "{{" in written:
        return False
    try:
        tokens = tokenize(f"key={'@' if given.kind == 'file' else ''}{written} end")
    except CellError:
        return False
    return len(tokens) == 2 and tokens[0].given == given
