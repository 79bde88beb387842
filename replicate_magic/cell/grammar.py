"""Owns what may be written in a cell or on a line; must not know a model, a value or IPython.

`parse_line` turns the line into words and the words into a `Line`; `split_header` takes the header
block off a body.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from replicate_magic.cell.options import Options, take_option
from replicate_magic.cell.template import expression_at
from replicate_magic.errors import CellError
from replicate_magic.plain import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One input as it was written.

    What it is, is decided by what was written, never by what an expression in it gives.

    Attributes:
        text: its value, or the path of a file.
        kind: `json` for `key:=JSON`, `file` for `key=@path`.
    """

    text: str
    kind: Literal["text", "json", "file"] = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What stands behind `%%replicate`, or behind `%replicate run`.

    Attributes:
        words: what is neither input nor option: models, and the prompt of the line form.
        written: the same as it was written, with its quotes.
        inputs: `key=value` and `key:=JSON`, in the order given.
        options: the options.
        base: inputs of an earlier run, as values; those that are written go before them.
    """

    words: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    inputs: Mapping[str, Given] = field(default_factory=dict)
    options: Options = field(default_factory=Options)
    base: Mapping[str, Any] = field(default_factory=dict)


def parse_line(text: str) -> Line:
    """Read a line.

    Raises:
        CellError: an unknown option, a missing value, an input given twice, an open quote.
    """
    words: list[Token] = []
    inputs: dict[str, Given] = {}
    options: dict[str, Any] = {}
    tokens = iter(tokenize(text))
    for token in tokens:
        if token.is_dash_dash:
            words.extend(tokens)
        elif token.is_option:
            take_option(token.text, (value.text for value in tokens), options)
        elif token.key is not None:
            _take_input(inputs, token.key, token.given)
        else:
            words.append(token)
    options["grid"] = _grid(options.pop("grid", ()))
    return Line(
        words=tuple(word.text for word in words),
        written=tuple(word.written for word in words),
        inputs=inputs,
        options=Options(**options),
    )


def _take_input(inputs: dict[str, Given], key: str, given: Given) -> None:
    if key in inputs:
        raise CellError(f"The input {key} is given twice.")
    inputs[key] = given


def _grid(written: Iterable[str]) -> dict[str, Given]:
    """What stands behind each `--grid`, which is written as an input is."""
    grid: dict[str, Given] = {}
    for text in written:
        token = Token(text=text, plain=len(text), written=text)
        if token.key is None:
            raise CellError(
                f"--grid {one_line(text, limit=60)}: write --grid key=a,b,c, without blanks; or "
                '--grid key:=["a, b", "c"], or --grid key={{expression}}.'
            )
        if token.key in grid:
            raise CellError(f"--grid {token.key} is given twice: all its values go into one.")
        grid[token.key] = token.given
    return grid


# -- words ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A word of the line.

    Attributes:
        text: the word without its quotes.
        plain: how many of its first characters stood outside quotes, and behind no backslash.
        written: the word as it was written.
    """

    text: str
    plain: int
    written: str

    @property
    def _assignment(self) -> re.Match[str] | None:
        match = _ASSIGNMENT.match(self.text)
        return match if match and match.end() <= self.plain else None

    @property
    def key(self) -> str | None:
        """The name before `=` or `:=`, if this is an input."""
        return self._assignment["key"] if self._assignment else None

    @property
    def given(self) -> Given:
        """What stands behind `=` or `:=`; an `@` in quotes names no file."""
        match = self._assignment
        if match is None:
            return Given(text=self.text)
        text = self.text[match.end() :]
        if match["sign"] == ":=":
            return Given(text=text, kind="json")
        if text.startswith("@") and match.end() < self.plain:
            return Given(text=text[1:], kind="file")
        return Given(text=text)

    @property
    def is_dash_dash(self) -> bool:
        """Whether this ends the options."""
        return self.text == "--" and self.plain > 0

    @property
    def is_option(self) -> bool:
        """Whether it begins with a dash and is no negative number."""
        return self.plain > 0 and bool(re.match(r"--?[A-Za-z]", self.text))


_ASSIGNMENT = re.compile(r"(?P<key>[A-Za-z_][\w.-]*)(?P<sign>:?=)")


_ESCAPED = {*" \t\"'\\={-@:"}  # before anything else a backslash stands for itself: C:\\new\\x.png


def tokenize(text: str) -> list[Token]:
    """Split a line as a shell does, with `{{expression}}` as one piece, blanks and all.

    Raises:
        CellError: a quote that is not closed.
    """
    tokens: list[Token] = []
    position = 0
    while True:
        while position < len(text) and text[position].isspace():
            position += 1
        if position == len(text):
            return tokens
        word, plain, end = _read_word(text, position)
        tokens.append(Token(text=word, plain=plain, written=text[position:end]))
        position = end


def _read_word(text: str, position: int) -> tuple[str, int, int]:
    """A word, how much of it is plain, and where it ends."""
    if json_end := _json_end(text, position):
        return text[position:json_end], json_end - position, json_end
    parts: list[str] = []
    plain: int | None = None
    while position < len(text) and not text[position].isspace():
        char = text[position]
        if expression := _expression(text, position):
            parts.append(expression)
            position += len(expression)
        elif char in "'\"":
            plain = len("".join(parts)) if plain is None else plain
            quoted, position = _read_quoted(text, position)
            parts.append(quoted)
        elif char == "\\" and text[position + 1 : position + 2] in _ESCAPED:
            plain = len("".join(parts)) if plain is None else plain
            parts.append(text[position + 1])
            position += 2
        else:
            parts.append(char)
            position += 1
    word = "".join(parts)
    return word, len(word) if plain is None else plain, position


def _json_end(text: str, position: int) -> int | None:
    """Where `key:=JSON` ends, if JSON follows as it is, its own quotes and blanks included."""
    match = _ASSIGNMENT.match(text, position)
    if match is None or match["sign"] != ":=":
        return None
    try:
        _, end = json.JSONDecoder().raw_decode(text, match.end())
    except (ValueError, RecursionError):
        return None
    return end if end == len(text) or text[end].isspace() else None


def _read_quoted(text: str, start: int) -> tuple[str, int]:
    quote = text[start]
    parts: list[str] = []
    position = start + 1
    while position < len(text):
        char = text[position]
        if char == quote:
            return "".join(parts), position + 1
        if expression := _expression(text, position):
            parts.append(expression)
            position += len(expression)
        elif char == "\\" and quote == '"' and text[position + 1 : position + 2] in {'"', "\\"}:
            parts.append(text[position + 1])
            position += 2
        else:
            parts.append(char)
            position += 1
    raise CellError(
        f"The quote {quote} at column {start + 1} is not closed: {text[start : start + 20]}… "
        "A prompt with an apostrophe goes in double quotes, or in the cell."
    )


def _expression(text: str, position: int) -> str | None:
    if not text.startswith("{{", position):
        return None
    found = expression_at(text, position)
    return text[found.start : found.end] if found else None


# -- the header block -------------------------------------------------------------------------

_HEADER_LINE = re.compile(r"(?P<key>[A-Za-z_][\w.-]*)\s*(?P<sign>:=|:(?=\s|$))(?P<value>.*)")


def split_header(body: str) -> tuple[dict[str, Given], str]:
    """The inputs of the header block, and the body behind it.

    A header begins with a line `---` before any text, and ends with the next such line.

    Raises:
        CellError: a line of it is not `key: value`, a key stands twice, or it does not end.
    """
    lines = body.lstrip("\r\n").split("\n")
    if lines[0].rstrip() != "---":
        return {}, body
    end = next((n for n, line in enumerate(lines) if n and line.rstrip() == "---"), None)
    if end is None:
        if len(lines) > 1 and _HEADER_LINE.match(lines[1]):
            raise CellError(
                "The header block is not closed: a second line `---` ends it. --raw takes the "
                "whole body as text."
            )
        return {}, body
    return _header_inputs(lines[1:end]), "\n".join(lines[end + 1 :]).lstrip("\r\n")


def _header_inputs(lines: list[str]) -> dict[str, Given]:
    inputs: dict[str, Given] = {}
    key = ""
    for number, line in enumerate(lines, start=2):
        if not line.strip() or line.startswith("#"):
            continue
        if line[0].isspace() and key:
            last = inputs[key]
            joined = f"{last.text}\n{line.strip()}" if last.text else line.strip()
            inputs[key] = Given(text=joined, kind=last.kind)
            continue
        match = _HEADER_LINE.match(line)
        if match is None:
            raise CellError(
                f"Line {number} of the header block is not `key: value`: {line.strip()[:60]}. "
                "--raw takes the whole body as text."
            )
        key = match["key"]
        _take_input(inputs, key, _header_given(match["value"].strip(), match["sign"]))
    return inputs


def _header_given(value: str, sign: str) -> Given:
    if sign == ":=":
        return Given(text=value, kind="json")
    if value == "|":  # YAML's mark for the lines below
        return Given(text="")
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return Given(text=value[1:-1])
    return Given(text=value[1:], kind="file") if value.startswith("@") else Given(text=value)
