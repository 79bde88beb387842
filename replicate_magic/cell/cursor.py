"""Owns what is being written where the cursor is in a cell; must not know what could be there.

A line that is being written is seldom whole: a quote is open, an option has no value yet, `{{` has
no end. Nothing here raises.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from replicate_magic.cell.grammar import _ASSIGNMENT, _ESCAPED, _HEADER_LINE, Token, _read_word
from replicate_magic.cell.options import OPTIONS, Option, _find_option
from replicate_magic.errors import CellError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

At = Literal["command", "word", "option", "option value", "key", "value", "expression", "prose"]
"""A part of a cell: `key` and `value` in its header block, `value` of an input on the line too."""

_CELL = re.compile(r"\s*%%replicate(?=\s|$)")
_OTHER_CELL = re.compile(r"\s*(%%.*)?")
_LINE = re.compile(r"""\s*(?:[^%#'"]*[^%#'"=!<>]=\s*|%\w+\s+)?%replicate(?=\s)""")
_OPTION = re.compile(r"(?P<name>--?(?:[A-Za-z][\w-]*)?)(?P<sign>=)?")
_HEADER_KEY = re.compile(r"[\w.-]*")
_RULE = "---"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What stands on a line besides what the cursor is at.

    Attributes:
        words: what is neither input nor option.
        keys: the inputs or filters, those of the header block too.
        options: by name what was written for each.
    """

    words: tuple[str, ...] = ()
    keys: frozenset[str] = frozenset()
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """What is being written where the cursor is.

    Attributes:
        at: which part it is.
        form: `cell` for `%%replicate`, else the command, which may be none.
        typed: what stands there before the cursor, as it was written.
        text: the same without backslashes.
        quote: the quote that is open before it, or an empty string.
        place: of a word, how many stand before it.
        key: the input or filter whose value it is.
        kind: how that value is written, as in `cell.grammar.Given`.
        option: the option whose value it is.
        in_header: whether it is in the header block.
        others: what stands beside it.
    """

    at: At
    form: str
    typed: str = ""
    text: str = ""
    quote: str = ""
    place: int = 0
    key: str = ""
    kind: Literal["text", "json", "file"] = "text"
    option: Option | None = None
    in_header: bool = False
    others: Written = field(default_factory=Written)


def cursor_at(
    text: str, line: int, column: int, commands: Mapping[str, Sequence[Option]]
) -> Cursor | None:
    """What is being written at a place of a cell, or `None` where that is not ours.

    Args:
        text: the cell.
        line: of the cursor, from 0.
        column: in that line, from 0.
        commands: the options of each command of the line but `run`.
    """
    lines = text.split("\n")
    first = _cell_line(lines)
    if first is not None and line > first:
        return _in_body(lines[first], lines[first + 1 :], line - first - 1, column)
    before, after = lines[line][:column], lines[line][column:]
    if line == first:
        found = _CELL.match(before)
        if found is None or found.end() == len(before):
            return None
        head = _Head("cell", OPTIONS)
        return head.cursor(before[found.end() :], after, _header_keys(lines[first + 1 :]))
    cursor = _on_line(_continued(lines[:line], before), after, commands)
    if cursor and not before.endswith(cursor.typed):
        return None  # it began on the line above, and only one line can be written anew
    return cursor


def _cell_line(lines: Sequence[str]) -> int | None:
    """Where `%%replicate` stands; other cell magics, such as `%%time`, may stand above it."""
    for number, line in enumerate(lines):
        if _CELL.match(line):
            return number
        if not _OTHER_CELL.fullmatch(line):
            return None
    return None


def _continued(above: Sequence[str], before: str) -> str:
    """The line with those that end in a backslash above it, as IPython joins them."""
    parts = [before]
    for line in reversed(above):
        if not line.endswith("\\"):
            break
        parts.append(line[:-1])
    return " ".join(reversed(parts))


def _on_line(before: str, after: str, commands: Mapping[str, Sequence[Option]]) -> Cursor | None:
    found = _LINE.match(before)
    if found is None:
        return None
    rest = before[found.end() :].lstrip()
    command, *behind = re.split(r"\s", rest, maxsplit=1)
    if not behind:
        return Cursor(at="command", form="", typed=command, text=command)
    known = OPTIONS if command == "run" else commands.get(command, ())
    return _Head(command, known).cursor(behind[0], after)


# -- the line ---------------------------------------------------------------------------------


class _Head:
    """A line, word by word.

    Args:
        form: as `Cursor` has it.
        options: those that there are.
    """

    def __init__(self, form: str, options: Sequence[Option]) -> None:
        self._form = form
        self._known = options
        self._words: list[str] = []
        self._keys: set[str] = set()
        self._options: dict[str, str] = {}
        self._pending: Option | None = None
        self._only_words = self._broken = False

    def written(self, text: str) -> Written:
        """All that a line says."""
        self._read(_whole(text))
        return self._written()

    def cursor(self, before: str, after: str, keys: Iterable[str] = ()) -> Cursor:
        """What is being written.

        Args:
            before: what stands before the cursor.
            after: and behind it.
            keys: inputs that stand elsewhere.
        """
        tokens, start = _split(before)
        self._read(tokens)
        here = self._here(before, before[start:])
        self._pending = None
        self._read(_whole(after.partition(" ")[2]))
        self._keys |= {*keys}
        return replace(here, others=self._written())

    def _written(self) -> Written:
        return Written(words=tuple(self._words), keys=frozenset(self._keys), options=self._options)

    def _read(self, tokens: Iterable[Token]) -> None:
        for token in tokens:
            if self._pending:
                self._options[self._pending.name] = token.text
                self._pending = None
            elif self._only_words:
                self._words.append(token.text)
            elif token.is_dash_dash:
                self._only_words = True
            elif token.is_option:
                self._take_option(token.text)
            elif token.key is not None:
                self._keys.add(token.key)
                self._broken |= token.given.kind == "json" and not _is_json(token.given.text)
            else:
                self._words.append(token.text)

    def _take_option(self, text: str) -> None:
        try:
            option, value = _find_option(text, self._known, "")
        except CellError:
            return
        self._options[option.name] = value or ""
        if option.kind not in {"flag", "wait"} and value is None:
            self._pending = option

    def _here(self, before: str, raw: str) -> Cursor:
        """What the last word is, of which `raw` is written."""
        empty = Cursor(at="prose", form=self._form)
        source = _open_expression(before)
        if source is not None and "raw" not in self._options:
            return replace(empty, at="expression", typed=source)
        if self._broken:  # JSON with a blank in it that has not ended
            return empty
        if self._pending:
            return _option_value(self._pending, raw, self._form)
        option = _OPTION.match(raw)
        if option and not self._only_words:
            return self._option(raw, option)
        assigned = _ASSIGNMENT.match(raw)
        if assigned and not self._only_words:
            return _value(assigned["key"], assigned["sign"], raw[assigned.end() :], self._form)
        return replace(_piece(raw, "word", self._form), place=len(self._words))

    def _option(self, raw: str, match: re.Match[str]) -> Cursor:
        if match.end() == len(raw) and not match["sign"]:
            return Cursor(at="option", form=self._form, typed=raw, text=raw)
        try:
            option, value = _find_option(raw, self._known, "")
        except CellError:
            return Cursor(at="prose", form=self._form)
        return _option_value(option, value or "", self._form)


def _split(text: str) -> tuple[list[Token], int]:
    """The words that have ended, and where the one begins that has not."""
    tokens: list[Token] = []
    position = 0
    while True:
        while position < len(text) and text[position].isspace():
            position += 1
        try:
            word, plain, end = _read_word(text, position)
        except CellError:  # a quote is open
            return tokens, position
        if end == len(text):
            return tokens, position
        tokens.append(Token(text=word, plain=plain, written=text[position:end]))
        position = end


def _whole(text: str) -> list[Token]:
    """The words of a text, as far as they can be read."""
    return _split(f"{text} ")[0]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _open_expression(text: str) -> str | None:
    """What is written of the expression that a text ends in, or `None` where it ends in none."""
    start = text.rfind("{{")
    return None if start < 0 or "}}" in text[start:] else text[start + 2 :]


def _option_value(option: Option, raw: str, form: str) -> Cursor:
    if option.kind == "grid" and (assigned := _ASSIGNMENT.match(raw)):
        value = _value(assigned["key"], assigned["sign"], raw[assigned.end() :], form)
        return replace(value, option=option)
    return replace(_piece(raw, "option value", form), option=option)


def _value(key: str, sign: str, raw: str, form: str) -> Cursor:
    is_file = sign != ":=" and raw.startswith("@")
    value = _piece(raw[1:] if is_file else raw, "value", form)
    kind: Literal["text", "json", "file"] = "json" if sign == ":=" else "text"
    return replace(value, key=key, kind="file" if is_file else kind)


def _piece(raw: str, at: At, form: str) -> Cursor:
    """A word or a value, without the quote that is open before it."""
    quote = raw[:1] if raw[:1] in {"'", '"'} else ""
    typed = raw[len(quote) :]
    if not quote and {"'", '"'} & {*_unescaped(typed, keep=True)}:
        return Cursor(at="prose", form=form)  # quotes within a word are nobody's to complete
    text = typed if quote == "'" else _unescaped(typed, only={'"', "\\"} if quote else _ESCAPED)
    return Cursor(at=at, form=form, typed=typed, text=text, quote=quote)


def _unescaped(text: str, only: set[str] = _ESCAPED, *, keep: bool = False) -> str:
    """The text without backslashes, or with `keep` without what stands behind them."""

    def plain(found: re.Match[str]) -> str:
        return found[0] if found[1] not in only else "" if keep else found[1]

    return re.sub(r"\\(.)", plain, text, flags=re.DOTALL)


# -- the body ---------------------------------------------------------------------------------


def _in_body(head: str, body: Sequence[str], line: int, column: int) -> Cursor:
    written = _Head("cell", OPTIONS).written(_CELL.sub("", head))
    here = replace(_in_text(body, line, column), others=written)
    if "raw" in written.options:
        return Cursor(at="prose", form="cell", others=written)
    keys = written.keys | _header_keys(body, but=line)
    return replace(here, others=replace(written, keys=keys))


def _in_text(body: Sequence[str], line: int, column: int) -> Cursor:
    before = body[line][:column]
    source = _open_expression("\n".join([*body[:line], before]))
    if source is not None:
        return Cursor(at="expression", form="cell", typed=source)
    if line in _header(body):
        return _in_header(before)
    return Cursor(at="prose", form="cell")


def _header(body: Sequence[str]) -> range:
    """The lines of the header block; of one that is not closed yet, all there are."""
    begin = next((n for n, line in enumerate(body) if line.strip("\r")), 0)
    if not body or body[begin].rstrip() != _RULE:
        return range(0)
    rest = range(begin + 1, len(body))
    return range(begin + 1, next((n for n in rest if body[n].rstrip() == _RULE), len(body)))


def _header_keys(body: Sequence[str], but: int = -1) -> set[str]:
    lines = _header(body)
    found = (_HEADER_LINE.match(body[n]) for n in lines if n != but)
    return {match["key"] for match in found if match}


def _in_header(before: str) -> Cursor:
    match = _HEADER_LINE.match(before)
    if match:
        value = _value(match["key"], match["sign"], match["value"].lstrip(), "cell")
        return replace(value, in_header=True, text=value.typed)
    if before.startswith(_RULE[:1]) or not _HEADER_KEY.fullmatch(before):
        return Cursor(at="prose", form="cell")
    return Cursor(at="key", form="cell", typed=before, text=before, in_header=True)
