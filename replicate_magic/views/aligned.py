"""Owns columns of text in a terminal: which fit, how wide they are; must not know what they say."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_NARROWEST = 14
_GAP = "  "
_DISPUTED = re.compile("[\ufe0e\ufe0f]|\u200d(?=[\u2190-\u2bff\U0001f000-\U0001faff])")
"""What varies and joins emoji: no two terminals agree on how wide the result is."""
_SKIN_TONES = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of text.

    Attributes:
        lines: its title, then one line for each row.
        right: whether it is aligned at the right.
        long: whether it may be cut.
        rank: the highest is the first to go where there is no room.
    """

    lines: list[str]
    right: bool
    long: bool
    rank: int


def fitting(columns: list[Column], room: int) -> list[int]:
    """The places of the columns that fit in so many columns of a terminal; one always does."""
    kept = list(range(len(columns)))
    while len(kept) > 1 and not _fits(_widths([columns[place] for place in kept], room), room):
        kept.remove(max(reversed(kept), key=lambda place: columns[place].rank))
    return kept


def aligned(columns: list[Column], room: int) -> str:
    """The columns side by side, with a rule under the titles."""
    widths = _widths(columns, room)
    sides = [_padded(column, width) for column, width in zip(columns, widths, strict=True)]
    head, *rows = zip(*sides, strict=True)
    rules = ["─" * width for width in widths]
    return "\n".join(_GAP.join(row).rstrip() for row in (head, rules, *rows))


def _fits(widths: list[int], room: int) -> bool:
    return sum(widths) + len(_GAP) * (len(widths) - 1) <= room


def _widths(columns: list[Column], room: int) -> list[int]:
    """As wide as the contents; where that is too much, long texts are cut, the widest first."""
    widths = [max(_width(_settled(line)) for line in column.lines) for column in columns]
    if len(columns) == 1:
        return [min(widths[0], room)]
    long = [place for place, column in enumerate(columns) if column.long]
    while long and not _fits(widths, room):
        widest = max(long, key=widths.__getitem__)
        if widths[widest] <= _NARROWEST:
            break
        widths[widest] -= 1
    return widths


def _padded(column: Column, width: int) -> list[str]:
    lines = [_cut(_settled(line), width) for line in column.lines]
    blanks = [" " * (width - _width(line)) for line in lines]
    pairs = zip(blanks, lines, strict=True) if column.right else zip(lines, blanks, strict=True)
    return ["".join(pair) for pair in pairs]


def _settled(line: str) -> str:
    """The line in characters about whose width terminals agree."""
    return unicodedata.normalize("NFC", _DISPUTED.sub("", line))


def _cut(line: str, width: int) -> str:
    if _width(line) <= width:
        return line
    used = 0
    for place, character in enumerate(line):
        used += _character_width(character)
        if used >= width:  # the ellipsis takes one
            return line[:place].rstrip() + "…"
    return line


def _width(line: str) -> int:
    return len(line) if line.isascii() else sum(map(_character_width, line))


def _character_width(character: str) -> int:
    """How many columns of a terminal a character takes (UAX 11), where those before it are shown.

    Marks and skin tones (UTS 51) change the character before them, and take none.
    """
    if unicodedata.category(character) in {"Mn", "Me", "Cf"} or character in _SKIN_TONES:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
