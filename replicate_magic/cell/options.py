"""Owns the options: one table is the parser, the help text and the error messages.

It must not know what an option does.
"""

from __future__ import annotations

import keyword
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from replicate_magic.cell.template import whole_expression
from replicate_magic.errors import CellError
from replicate_magic.plain import did_you_mean, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from replicate_magic.cell.grammar import Given

Format = Literal["auto", "markdown", "text", "json", "html", "image"]
FORMATS: tuple[Format, ...] = ("auto", "markdown", "text", "json", "html", "image")

MOST_REPEATS = 10_000
MOST_AT_ONCE = 256

Kind = Literal[
    "flag",
    "text",
    "pair",
    "grid",
    "variable",
    "expression",
    "format",
    "duration",
    "wait",
    "number",
    "dollars",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option of the cell and of `%replicate run`.

    Attributes:
        name: the long name, without its dashes.
        short: the one-letter name, or an empty string.
        kind: what its value is; a `pair` is NAME=VALUE and may come again, and so may a `grid`,
            which is kept as it was written; a `number` is whole, from 1.
        value: how help shows the value.
        most: the greatest `number`.
        help: one line for people.
    """

    name: str
    short: str = ""
    kind: Kind
    value: str = ""
    most: int = 0
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
    Option(
        name="bg", kind="flag",
        help="return at once: `_` (and VAR) is the Job, with .prediction, .wait() and .cancel()",
    ),
    Option(name="keep-widget", kind="flag", help="leave the live card where it is at the end"),
    Option(name="dry-run", kind="flag", help="show the exact request and send nothing"),
    Option(name="force", kind="flag", help="send inputs that the schema refuses all the same"),
    Option(name="raw", kind="flag", help="take the body as it is: no {{…}}, no header block"),
    Option(
        name="prompt-key", kind="text", value="NAME",
        help="the input that the body goes to (default: as the model's schema says)",
    ),
    Option(name="input-from", kind="variable", value="VAR", help="more inputs from a dict"),
    Option(name="file", kind="text", value="PATH", help="read the prompt from a text file"),
    Option(name="tag", kind="text", value="TEXT", help="a word to find this run by"),
    Option(name="no-log", kind="flag", help="keep this run out of the history"),
    Option(
        name="save", kind="text", value="DIR",
        help="save output files in DIR (default: in the history's own folder)",
    ),
    Option(name="no-save", kind="flag", help="save no output files"),
    Option(
        name="grid", kind="grid", value="KEY=A,B,C",
        help="run each of these values; of several --grid every combination",
    ),
    Option(
        name="rows", kind="expression", value="DF",
        help="run once for each row of a DataFrame or list, which is `row` within {{…}}",
    ),
    Option(
        name="repeat", kind="number", value="N", most=MOST_REPEATS,
        help="run each N times, each time with the next seed where the model has one",
    ),
    Option(
        name="concurrency", kind="number", value="N", most=MOST_AT_ONCE,
        help=f"how many of them run at a time: 1 to {MOST_AT_ONCE} (default 8)",
    ),
    Option(name="keep-going", kind="flag", help="raise nothing where some of many runs fail"),
    Option(
        name="max-cost", kind="dollars", value="USD",
        help="send nothing where it may cost more than this, by earlier runs; see %replicate stats",
    ),
    Option(
        name="cached", kind="flag",
        help="answer from history where model, version and inputs are the same",
    ),
    Option(name="yes", short="y", kind="flag", help="go ahead with what is only told without it"),
    Option(name="help", short="h", kind="flag", help="show this help"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options as they were given; `None` is not given.

    Attributes:
        grid: by input what was written for its values, not taken apart yet.
        rows: the expression that gives the rows.
    """

    output: str | None = None
    show: bool = False
    quiet: bool = False
    format: Format | None = None
    jq: str | None = None
    wait: int | None = None
    no_stream: bool = False
    timeout: float | None = None
    bg: bool = False
    keep_widget: bool = False
    dry_run: bool = False
    force: bool = False
    raw: bool = False
    prompt_key: str | None = None
    input_from: str | None = None
    file: str | None = None
    tag: str | None = None
    no_log: bool = False
    save: str | None = None
    no_save: bool = False
    grid: Mapping[str, Given] = field(default_factory=dict)
    rows: str | None = None
    repeat: int | None = None
    concurrency: int | None = None
    keep_going: bool = False
    max_cost: float | None = None
    cached: bool = False
    yes: bool = False
    help: bool = False

    @property
    def is_many(self) -> bool:
        """Whether several requests are asked for, if only of one model."""
        return bool(self.grid) or self.rows is not None or self.repeat is not None


def take_option(
    text: str,
    rest: Iterator[str],
    options: dict[str, Any],
    known: Sequence[Option] = OPTIONS,
    *,
    listed_by: str = "%replicate run -h",
) -> None:
    """Read an option into `options`, with its value from the words behind it where it has one.

    Args:
        text: the option as it was written.
        rest: the words behind it.
        options: what was read so far.
        known: the options that there are.
        listed_by: what to write to see them.

    Raises:
        CellError: it is unknown, given twice, or its value is none.
    """
    option, value = _find_option(text, known, listed_by)
    if option.dest in options and option.kind not in {"pair", "grid"}:
        raise CellError(f"--{option.name} is given twice.")
    if option.kind not in {"flag", "wait"} and value is None:
        value = _next_value(option, rest)
    read = _option_value(option, value)
    match option.kind:
        case "pair":
            read = {**options.get(option.dest, {}), **read}
        case "grid":
            read = (*options.get(option.dest, ()), read)
    options[option.dest] = read


def _find_option(text: str, known: Sequence[Option], listed_by: str) -> tuple[Option, str | None]:
    if not text.startswith("--"):
        option = next((one for one in known if one.short == text[1]), None)
        if option is None or (option.kind == "flag" and len(text) > 2):
            raise CellError(_unknown(text.split("=", maxsplit=1)[0], known, listed_by))
        return option, text[2:].removeprefix("=") or None
    name, sign, value = text[2:].partition("=")
    option = next((one for one in known if one.name == name.replace("_", "-")), None)
    if option is None:
        raise CellError(_unknown(f"--{name}", known, listed_by))
    return option, value if sign else None


def _unknown(name: str, known: Sequence[Option], listed_by: str) -> str:
    names = [f"--{option.name}" for option in known]
    return f"There is no option {name}.{did_you_mean(name, names)} {listed_by} lists them."


def _next_value(option: Option, rest: Iterator[str]) -> str:
    for word in rest:
        return word
    raise CellError(f"--{option.name} needs a value: --{option.name} {option.value}")


def _option_value(option: Option, value: str | None) -> Any:
    match option.kind:
        case "flag":
            if value is not None:
                raise CellError(f"--{option.name} takes no value.")
            return True
        case "wait" | "duration" | "number" | "dollars":
            return _amount(option, value)
        case "pair":
            return _pair(option, value or "")
        case "expression":
            return _expression(option, value or "")
        case "variable" if not _is_name(value or ""):
            shown = one_line(value or "", limit=60)
            raise CellError(f"--{option.name} {shown}: that is not a variable's name.")
        case "format" if value not in FORMATS:
            raise CellError(
                f"--format {one_line(value or '', limit=60)}: there is {', '.join(FORMATS)}."
                f"{did_you_mean(value or '', FORMATS)}"
            )
    return value


def _amount(option: Option, value: str | None) -> float:
    if option.kind == "wait":
        return seconds_to_wait(60 if value is None else value)
    if option.kind == "duration":
        return duration(value or "")
    if option.kind == "dollars":
        return amount_usd(f"--{option.name}", value or "")
    return whole_number(f"--{option.name}", value or "", most=option.most)


def _pair(option: Option, text: str) -> dict[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not _is_name(name):
        raise CellError(f"--{option.name} {one_line(text, limit=60)}: write {option.value}.")
    return {name: value}


def _expression(option: Option, text: str) -> str:
    """The source of `{{expression}}`, or of a variable's name, which may have dots in it."""
    if whole := whole_expression(text):
        return whole.source
    if text and all(map(_is_name, text.split("."))):
        return text
    raise CellError(
        f"--{option.name} {one_line(text, limit=60)}: that is not a variable's name. An expression "
        f"is written --{option.name} {{{{df[:10]}}}}."
    )


def whole_number(name: str, value: float | str, *, most: int) -> int:
    """A whole number from 1.

    Args:
        name: what it is called in the message.
        value: what was given.
        most: the greatest that is taken.

    Raises:
        CellError: it is none.
    """
    written = str(value)
    number = int(written) if re.fullmatch(r"[0-9]{1,9}", written) else 0
    if not 1 <= number <= most:
        shown = one_line(written, limit=60)
        raise CellError(f"{name} {shown}: that is no whole number from 1 to {most:,}.")
    return number


def amount_usd(name: str, value: float | str) -> float:
    """An amount of US dollars, from 0.

    Args:
        name: what it is called in the message.
        value: what was given, such as `0.5` or `$0.50`.

    Raises:
        CellError: it is none.
    """
    written = str(value).strip().removeprefix("$")
    try:
        amount = float(written)
    except ValueError:
        amount = math.nan
    if not 0 <= amount < math.inf:
        shown = one_line(str(value), limit=60)
        raise CellError(f"{name} {shown}: that is no amount of US dollars; write 0.05 or 5.")
    return amount


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


def seconds_to_wait(value: float | str) -> int:
    """How long Replicate is to hold its first answer back, in whole seconds.

    Raises:
        CellError: it is none of 1 to 60, the API's own bounds.
    """
    written = str(value)
    seconds = int(written) if re.fullmatch(r"[0-9]{1,3}", written) else 0
    if not 1 <= seconds <= 60:
        raise CellError(f"wait={one_line(written, limit=60)}: Replicate waits 1 to 60 seconds.")
    return seconds


_DURATION = re.compile(
    r"(?:(?P<d>\d+)d)?(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+(?:\.\d+)?)s?)?"
)


def duration(text: str) -> float:
    """Seconds of `30`, `90s`, `5m`, `1h30m45s`, `7d`.

    Raises:
        CellError: it is no duration, or not positive.
    """
    match = _DURATION.fullmatch(text.strip())
    seconds = 0.0
    if match and text.strip():
        days, hours, minutes, rest = (float(match[unit] or 0) for unit in "dhms")
        seconds = days * 86_400 + hours * 3600 + minutes * 60 + rest
    if not 0 < seconds < math.inf:
        shown = one_line(text, limit=60) or "nothing"
        raise CellError(f"{shown} is not a duration: write 30, 90s, 5m or 1h30m.")
    return seconds
