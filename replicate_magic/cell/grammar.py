"""Owns what may be written in a cell or on a line; must not know a model, a value or IPython.

`parse_line` turns the line into words and the words into a `Line`; `split_header` takes the header
block off a body. One table, `OPTIONS`, is the parser, the help text and the error messages.
"""

from __future__ import annotations

import difflib
import json
import keyword
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from replicate_magic.cell.template import expression_at
from replicate_magic.errors import CellError
from replicate_magic.plain import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Format = Literal["auto", "markdown", "text", "json", "html", "image"]
FORMATS: tuple[Format, ...] = ("auto", "markdown", "text", "json", "html", "image")

Kind = Literal["flag", "text", "variable", "format", "duration", "wait", "later"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option of the cell and of `%replicate run`.

    Attributes:
        name: the long name, without its dashes.
        short: the one-letter name, or an empty string.
        kind: what its value is; `later` is an option this version knows and does not have.
        value: how help shows the value.
        help: one line for people.
    """

    name: str
    short: str = ""
    kind: Kind
    value: str = ""
    help: str

    @property
    def dest(self) -> str:
        """The name as a Python identifier."""
        return self.name.replace("-", "_")


OPTIONS = (
    Option(
        name="output", short="o", kind="variable", value="VAR",
        help="keep the Prediction in VAR and hide the answer; the status line stays",
    ),
    Option(name="show", kind="flag", help="with -o: show the answer all the same"),
    Option(name="quiet", short="q", kind="flag", help="show nothing at all; errors still raise"),
    Option(
        name="format", short="f", kind="format", value="|".join(FORMATS),
        help="how the answer is drawn",
    ),
    Option(
        name="jq", kind="text", value="EXPR",
        help="show (and keep in VAR) what this jq program makes of the prediction's JSON",
    ),
    Option(
        name="wait", kind="wait", value="[=N]",
        help="ask Replicate to answer only when done, for up to N (60) seconds",
    ),
    Option(name="no-stream", kind="flag", help="poll for the answer instead of streaming it"),
    Option(
        name="timeout", kind="duration", value="DURATION",
        help="cancel when this much time is over: 30, 90s, 5m, 1h30m (default 1h)",
    ),
    Option(name="dry-run", kind="flag", help="show the exact request and send nothing"),
    Option(name="raw", kind="flag", help="take the body as it is: no {{…}}, no header block"),
    Option(
        name="prompt-key", kind="text", value="NAME",
        help="the input that the body goes to (default: as the model's schema says)",
    ),
    Option(name="input-from", kind="variable", value="VAR", help="more inputs from a dict"),
    Option(name="file", kind="text", value="PATH", help="read the prompt from a text file"),
    Option(name="help", short="h", kind="flag", help="show this help"),
    Option(name="bg", kind="later", help="run in the background"),
    Option(name="save", kind="later", value="DIR", help="save output files in DIR"),
    Option(name="no-save", kind="later", help="save no output files"),
    Option(name="no-log", kind="later", help="keep this run out of the history"),
    Option(name="tag", kind="later", value="TEXT", help="a word to find this run by"),
    Option(name="cached", kind="later", help="answer from history where inputs are the same"),
    Option(name="grid", kind="later", help="run every combination of values"),
    Option(name="rows", kind="later", value="DF", help="run once for each row of a DataFrame"),
    Option(name="repeat", kind="later", value="N", help="run N times"),
    Option(name="concurrency", kind="later", value="N", help="how many run at a time"),
)  # fmt: skip

_BY_NAME = {option.name: option for option in OPTIONS}
_BY_SHORT = {option.short: option for option in OPTIONS if option.short}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options as they were given; `None` is not given."""

    output: str | None = None
    show: bool = False
    quiet: bool = False
    format: Format | None = None
    jq: str | None = None
    wait: int | None = None
    no_stream: bool = False
    timeout: float | None = None
    dry_run: bool = False
    raw: bool = False
    prompt_key: str | None = None
    input_from: str | None = None
    file: str | None = None
    help: bool = False


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
        inputs: `key=value` and `key:=JSON`, in the order given.
        options: the options.
    """

    words: tuple[str, ...] = ()
    inputs: Mapping[str, Given] = field(default_factory=dict)
    options: Options = field(default_factory=Options)


def parse_line(text: str) -> Line:
    """Read a line.

    Raises:
        CellError: an unknown option, a missing value, an input given twice, an open quote.
    """
    words: list[str] = []
    inputs: dict[str, Given] = {}
    options: dict[str, Any] = {}
    tokens = iter(tokenize(text))
    for token in tokens:
        if token.is_dash_dash:
            words.extend(rest.text for rest in tokens)
        elif token.is_option:
            _take_option(token.text, tokens, options)
        elif token.key is not None:
            _take_input(inputs, token.key, _given(token.value, is_json=token.is_json))
        else:
            words.append(token.text)
    return Line(words=tuple(words), inputs=inputs, options=Options(**options))


def _given(text: str, *, is_json: bool) -> Given:
    if is_json:
        return Given(text=text, kind="json")
    if text.startswith("@"):
        return Given(text=text[1:], kind="file")
    return Given(text=text)


def _take_input(inputs: dict[str, Given], key: str, given: Given) -> None:
    if key in inputs:
        raise CellError(f"The input {key} is given twice.")
    inputs[key] = given


# -- words ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A word of the line.

    Attributes:
        text: the word without its quotes.
        plain: how many of its first characters stood outside quotes, and behind no backslash.
    """

    text: str
    plain: int

    @property
    def _assignment(self) -> re.Match[str] | None:
        match = _ASSIGNMENT.match(self.text)
        return match if match and match.end() <= self.plain else None

    @property
    def key(self) -> str | None:
        """The name before `=` or `:=`, if this is an input."""
        return self._assignment["key"] if self._assignment else None

    @property
    def value(self) -> str:
        """What stands behind `=` or `:=`."""
        return self.text[self._assignment.end() :] if self._assignment else self.text

    @property
    def is_json(self) -> bool:
        """Whether it is given with `:=`."""
        return bool(self._assignment and self._assignment["sign"] == ":=")

    @property
    def is_dash_dash(self) -> bool:
        """Whether this ends the options."""
        return self.text == "--" and self.plain > 0

    @property
    def is_option(self) -> bool:
        """Whether it begins with a dash and is no negative number."""
        return self.plain > 0 and bool(re.match(r"--?[A-Za-z]", self.text))


_ASSIGNMENT = re.compile(r"(?P<key>[A-Za-z_][\w.-]*)(?P<sign>:?=)")


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
        token, position = _read_word(text, position)
        tokens.append(token)


def _read_word(text: str, position: int) -> tuple[Token, int]:
    if json_end := _json_end(text, position):
        return Token(text=text[position:json_end], plain=json_end - position), json_end
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
        elif char == "\\" and position + 1 < len(text):
            plain = len("".join(parts)) if plain is None else plain
            parts.append(text[position + 1])
            position += 2
        else:
            parts.append(char)
            position += 1
    word = "".join(parts)
    return Token(text=word, plain=len(word) if plain is None else plain), position


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


# -- options ----------------------------------------------------------------------------------


def _take_option(text: str, tokens: Iterable[Token], options: dict[str, Any]) -> None:
    option, value = _find_option(text)
    if option.kind == "later":
        raise CellError(
            f"--{option.name} ({option.help}) is not part of this version of replicate_magic."
        )
    if option.dest in options:
        raise CellError(f"--{option.name} is given twice.")
    if option.kind not in {"flag", "wait"} and value is None:
        value = _next_value(option, tokens)
    options[option.dest] = _option_value(option, value)


def _find_option(text: str) -> tuple[Option, str | None]:
    if not text.startswith("--"):
        option = _BY_SHORT.get(text[1])
        if option is None or (option.kind == "flag" and len(text) > 2):
            raise CellError(_unknown(text.split("=", maxsplit=1)[0]))
        return option, text[2:].removeprefix("=") or None
    name, sign, value = text[2:].partition("=")
    option = _BY_NAME.get(name.replace("_", "-"))
    if option is None:
        raise CellError(_unknown(f"--{name}"))
    return option, value if sign else None


def _unknown(name: str) -> str:
    known = [f"--{option.name}" for option in OPTIONS]
    return f"There is no option {name}.{did_you_mean(name, known)} %replicate run -h lists them."


def _next_value(option: Option, tokens: Iterable[Token]) -> str:
    for token in tokens:
        return token.text
    raise CellError(f"--{option.name} needs a value: --{option.name} {option.value}")


def _option_value(option: Option, value: str | None) -> Any:
    match option.kind:
        case "flag":
            if value is not None:
                raise CellError(f"--{option.name} takes no value.")
            return True
        case "wait":
            return _seconds_to_wait(value)
        case "duration":
            return duration(value or "")
        case "variable" if not _is_name(value or ""):
            shown = one_line(value or "", limit=60)
            raise CellError(f"--{option.name} {shown}: that is not a variable's name.")
        case "format" if value not in FORMATS:
            raise CellError(
                f"--format {one_line(value or '', limit=60)}: there is {', '.join(FORMATS)}."
                f"{did_you_mean(value or '', FORMATS)}"
            )
    return value


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


def _seconds_to_wait(value: str | None) -> int:
    seconds = 60 if value is None else int(value) if re.fullmatch(r"[0-9]{1,3}", value) else 0
    if not 1 <= seconds <= 60:
        shown = one_line(value or "", limit=60)
        raise CellError(f"--wait={shown}: Replicate waits 1 to 60 seconds.")
    return seconds


_DURATION = re.compile(r"(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+(?:\.\d+)?)s?)?")


def duration(text: str) -> float:
    """Seconds of `30`, `90s`, `5m`, `1h30m45s`.

    Raises:
        CellError: it is no duration, or not positive.
    """
    match = _DURATION.fullmatch(text.strip())
    seconds = 0.0
    if match and text.strip():
        hours, minutes, rest = (float(match[unit] or 0) for unit in "hms")
        seconds = hours * 3600 + minutes * 60 + rest
    if not 0 < seconds < math.inf:
        shown = one_line(text, limit=60) or "nothing"
        raise CellError(f"{shown} is not a duration: write 30, 90s, 5m or 1h30m.")
    return seconds


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean …?` with the nearest of the known names, or an empty string."""
    nearest = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {nearest[0]}?" if nearest else ""


# -- the header block -------------------------------------------------------------------------

_HEADER_LINE = re.compile(r"(?P<key>[A-Za-z_][\w.-]*)\s*(?P<sign>:=|:(?=\s|$))(?P<value>.*)")


def split_header(body: str) -> tuple[dict[str, Given], str]:
    """The inputs of the header block, and the body behind it.

    A header begins with a line `---` as the first line and ends with the next one. Without a
    second one there is no header, and the body is text.

    Raises:
        CellError: a line of it is not `key: value`, or a key stands twice.
    """
    lines = body.split("\n")
    if lines[0].rstrip() != "---":
        return {}, body
    end = next((n for n, line in enumerate(lines) if n and line.rstrip() == "---"), None)
    if end is None:
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
        value = match["value"].strip()
        if match["sign"] == ":":
            value = _unquoted(value)
        _take_input(inputs, key, _given(value, is_json=match["sign"] == ":="))
    return inputs


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value
