"""Owns text for people: making it safe to print, naming the nearest; must not know its origin.

Model output, logs, error texts and names reach terminals and notebooks. A terminal obeys escape
sequences, and bidirectional overrides reorder what a person reads.
"""

from __future__ import annotations

import difflib
import re
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_COLUMNS = 72
_PICTURES = {code: 0x2400 + code for code in range(32)}  # ESC is drawn as ␛ and obeyed by nobody
_DELETED = dict.fromkeys(
    [*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)],
    None,  # C1 controls, and the overrides of UAX 9
)
_TABLE: dict[int, int | None] = {
    **_PICTURES,
    **_DELETED,
    0x7F: 0x2421,
    ord("\n"): ord("\n"),
    ord("\t"): ord("\t"),
    ord("\r"): ord("\n"),
    **dict.fromkeys(range(0xD800, 0xE000), 0xFFFD),  # half a pair: UTF-8, and so print, refuses it
}


_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")


def printable(text: str) -> str:
    """The text with control characters made visible or removed; lines and tabs stay.

    Two halves of a character beyond the first plane, as JSON may bring them, become that character.
    """
    whole = _PAIR.sub(_joined, text)
    return whole.replace("\r\n", "\n").translate(_TABLE)


def _joined(pair: re.Match[str]) -> str:
    return pair[0].encode("utf-16", "surrogatepass").decode("utf-16")


def without_colours(text: str) -> str:
    """The text without what only moves and colours a terminal (ECMA-48 CSI, and OSC)."""
    return _ANSI.sub("", text)


def one_line(text: str, *, limit: int = 200) -> str:
    """The text on one line of at most `limit` characters, safe to print."""
    line = " ".join(printable(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def wrapped(text: str) -> str:
    """The text with its lines broken at blanks, since pages break long ones within words.

    Lines are as long as the narrower panes of notebooks show. Indented ones stay as they are, such
    as a program with a caret under it.
    """
    return "\n".join(line if line.startswith(" ") else _filled(line) for line in text.split("\n"))


def _filled(line: str) -> str:
    return textwrap.fill(line, _COLUMNS, break_long_words=False, break_on_hyphens=False)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean …?` with the nearest of the known names, or an empty string."""
    nearest = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {nearest[0]}?" if nearest else ""


def count(number: int, what: str) -> str:
    """Such as `1 run` or `1,234 runs`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def dollars(usd: float) -> str:
    """Such as `$12.30`, `$0.0012` or `$0.000042`."""
    if usd >= 1:
        return f"${usd:,.2f}"
    return f"${usd:.4f}" if usd >= 0.001 or usd == 0 else f"${usd:.6f}"
