"""Owns what may be written behind `%replicate COMMAND`; one table is parser, help and errors.

It must not know what a command does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from replicate_magic.cell.grammar import tokenize
from replicate_magic.cell.options import MOST_AT_ONCE, OPTIONS, Option, take_option
from replicate_magic.errors import CellError
from replicate_magic.plain import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replicate_magic.cell.grammar import Given

FILTERS = ("model", "status", "since", "until", "tag", "text", "limit")
_ANY_WORDS = 1_000
_YES = Option(name="yes", short="y", kind="flag", help="do it")
_ARG = Option(
    name="arg", kind="pair", value="NAME=VALUE",
    help="what the program sees as $NAME; NAME={{expr}} is any Python object",
)  # fmt: skip


_API = """\
METHOD is GET where it is left out, or POST where the fields are those of a POST. The path may have
holes: /models/{owner}/{name}/versions model=owner/name; /predictions/{prediction_id}
prediction_id=ID. A {{expr}} may stand anywhere.

Fields
  key=value       a query parameter, or a field of the body, typed as the API's description says
  a.b=value       b within the object a: input.prompt="a cat"
  key:=JSON       taken as JSON;  key=@path is a file;  key={{expr}} any Python object

Lists become a DataFrame. What deletes or costs something wants --yes.

Examples
  %replicate api /account
  %replicate api /models/black-forest-labs/flux-schnell --jq .run_count
  %replicate api /predictions created_after=2026-01-31T00:00:00Z --paginate
  %replicate api POST /files content=@cat.png
  %replicate api PATCH /deployments/acme/prod min_instances=0
  %replicate api /models --local
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command of the line.

    Attributes:
        name: its name.
        usage: what may stand behind it, as help shows it.
        help: one line for people.
        words: how many words it takes, at most.
        needs: how many it takes, at least.
        filters: whether it takes `model=…` and the like.
        pairs: whether it takes NAME=VALUE of any name.
        inputs: whether it takes inputs of a model, and is read as a cell's line is.
        fields: whether it takes `key=value` as a cell's inputs are written, of any name.
        options: its options.
        more: what else its help says.
    """

    name: str
    usage: str = ""
    help: str
    words: int = 0
    needs: int = 0
    filters: bool = False
    pairs: bool = False
    inputs: bool = False
    fields: bool = False
    options: tuple[Option, ...] = ()
    more: str = ""


COMMANDS = (
    Command(
        name="runs", usage="[JQ]", words=1, filters=True,
        help="the table of runs; those that a jq program keeps",
        options=(
            Option(
                name="map", kind="text", value="JQ",
                help="a new table, one row an output: --map '{model, t: .metrics.predict_time}'",
            ),
            Option(
                name="all", kind="text", value="JQ",
                help="the program sees all of them as one array: --all 'group_by(.model)'",
            ),
            _ARG,
            Option(name="skip-errors", kind="flag", help="leave out rows the program fails on"),
            Option(
                name="remote", kind="flag",
                help="first fetch the account's predictions, by since=, until= and limit=",
            ),
            Option(name="delete", kind="flag", help="delete them from the history (with --yes)"),
            _YES,
        ),
    ),
    Command(
        name="stats", usage="[JQ]", words=1, filters=True,
        help="for each model: runs, success, times, speed, tokens, estimated cost", options=(_ARG,),
    ),
    Command(
        name="plot", usage="[METRIC]", words=1, filters=True,
        help="a picture of a metric, by model and over time (default predict_time)",
        options=(
            Option(name="by", kind="text", value="COLUMN", help="group by this (default model)"),
        ),
    ),
    Command(
        name="explore", filters=True,
        help="a live table: type jq, see what it keeps, open a run, take the table along",
    ),
    Command(
        name="info", usage="MODEL", words=1, needs=1,
        help="a model's inputs and output, and its own example as a cell",
    ),
    Command(
        name="search", usage="WORDS", words=_ANY_WORDS, needs=1,
        help="models that fit some words, those of this machine too; collections, docs",
        options=(
            Option(name="collections", kind="flag", help="collections of models instead"),
            Option(name="docs", kind="flag", help="pages of Replicate's docs instead"),
            Option(
                name="limit", kind="number", value="N", most=50,
                help="how many models at most, 1 to 50 (default 20)",
            ),
        ),
    ),
    Command(
        name="api", usage="[METHOD] PATH [key=value …]", words=2, needs=1, fields=True, more=_API,
        help="any operation of Replicate's HTTP API, with jq on the answer",
        options=(
            Option(
                name="output", short="o", kind="variable", value="VAR",
                help="keep the result in VAR too",
            ),
            Option(
                name="jq", kind="text", value="EXPR",
                help="what this jq program makes of the answer's JSON",
            ),
            _ARG,
            Option(
                name="paginate", kind="flag",
                help="all pages of a list (10,000 rows at most), which jq sees as one",
            ),
            Option(
                name="limit", kind="number", value="N", most=1_000_000,
                help="only so many rows, of as many pages as that takes",
            ),
            Option(
                name="save", kind="text", value="PATH",
                help="write the answer to a file as it came",
            ),
            Option(
                name="local", kind="flag",
                help="ask the engine on this machine, without an account",
            ),
            Option(
                name="timeout", kind="duration", value="DURATION",
                help="give up when this much time is over",
            ),
            Option(name="dry-run", kind="flag", help="show the request and send nothing"),
            Option(
                name="force", kind="flag",
                help="send fields that the API's description does not have, or refuses",
            ),
            Option(name="yes", short="y", kind="flag", help="do it though it deletes or costs"),
        ),
    ),
    Command(
        name="attach", usage="[ID]", words=1,
        help="follow runs that had not ended when their kernel did, and complete their rows",
        options=(
            Option(
                name="timeout", kind="duration", value="DURATION",
                help="watch each of them for this long (default 1h); it goes on after that",
            ),
        ),
    ),
    Command(
        name="show", usage="ID", words=1, needs=1,
        help="a run as its cell showed it; one that had not ended is asked about",
    ),
    Command(
        name="cancel", usage="[ID]", words=1,
        help="end a run, also one of another kernel; without ID the one that this kernel runs",
        options=(Option(name="all", kind="flag", help="end all that this kernel runs"),),
    ),
    Command(
        name="rerun", usage="ID [key=value …]", inputs=True, options=OPTIONS,
        help="run the same once more: model, version, and the inputs but for those given anew",
    ),
    Command(
        name="diff", usage="A B", words=2, needs=2,
        help="two runs beside each other: inputs, versions, outputs word by word, metrics",
    ),
    Command(
        name="code", usage="ID", words=1, needs=1,
        help="a run as a curl line, with Python's official client, and as a cell",
    ),
    Command(
        name="resume", usage="[BATCH]", words=1,
        help="run what a batch is missing after a crash, an interrupt or a failure, and no other",
        options=(
            Option(
                name="concurrency", kind="number", value="N", most=MOST_AT_ONCE,
                help="how many run at a time (as before if not given)",
            ),
            Option(name="keep-going", kind="flag", help="raise nothing where some do not succeed"),
            Option(
                name="yes", short="y", kind="flag",
                help="run what has a limit (--max-cost, a budget) and a cost that is not known",
            ),
        ),
    ),
    Command(
        name="wait", help="wait for what runs in the background (--bg), and give the last of it",
    ),
    Command(
        name="export", usage="PATH", words=1, needs=1,
        help="write the history as JSON lines", options=(_YES,),
    ),
    Command(
        name="import", usage="PATH", words=1, needs=1,
        help="add the JSON lines of an export to the history",
    ),
    Command(
        name="alias", usage="[NAME=MODEL …]", pairs=True,
        help="short names for models: list, set or delete them",
        options=(
            Option(name="delete", kind="text", value="NAME", help="take this one away"),
        ),
    ),
    Command(
        name="login", help="ask for a token, which is not shown, and keep it in the system keyring",
    ),
    Command(name="logout", help="take the token of login away"),
    Command(
        name="serve", help="start the engine on this machine, for other clients in this kernel too",
        options=(
            Option(name="stop", kind="flag", help="end it, and what it is running"),
        ),
    ),
    Command(
        name="status",
        help="the API, the token's place, the account and its limits, the history, versions",
    ),
)  # fmt: skip
"""All commands but `run`, which is the cell in a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """What stands behind a command.

    Attributes:
        words: what is neither filter nor option.
        filters: `key=value`, as text.
        fields: `key=value` as it was written, of a command that takes such.
        options: by their names as identifiers.
    """

    words: tuple[str, ...] = ()
    filters: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, Given] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def word(self) -> str | None:
        """The only word, if there is one."""
        return self.words[0] if self.words else None


def parse_command(command: Command, text: str) -> CommandLine:
    """Read what stands behind a command.

    Raises:
        CellError: an unknown option or filter, a missing value, a word too many.
    """
    words: list[str] = []
    filters: dict[str, str] = {}
    fields: dict[str, Given] = {}
    options: dict[str, Any] = {}
    listed_by = f"%replicate help {command.name}"
    tokens = iter(tokenize(text))
    for token in tokens:
        if token.is_option:
            rest = (value.text for value in tokens)
            take_option(token.text, rest, options, command.options, listed_by=listed_by)
        elif token.key is not None and command.fields:
            if token.key in fields:
                raise CellError(f"{token.key}= is given twice.")
            fields[token.key] = token.given
        elif token.key is not None:
            _take_filter(command, token.key, token.given.text, filters)
        else:
            words.append(token.text)
    if len(words) > command.words:
        raise CellError(_too_many(command, words))
    if len(words) < command.needs:
        raise CellError(f"Write %replicate {command.name} {command.usage}.")
    return CommandLine(words=tuple(words), filters=filters, fields=fields, options=options)


def _take_filter(command: Command, key: str, value: str, filters: dict[str, str]) -> None:
    known = FILTERS if command.filters else ()
    if key not in known and not command.pairs:
        there = f"There is {', '.join(f'{name}=' for name in known)}." if known else ""
        raise CellError(
            f"%replicate {command.name} has no filter {key}=.{did_you_mean(key, known)} {there} "
            "A jq program goes in quotes.".replace("  ", " ")
        )
    if key in filters:
        raise CellError(f"{key}= is given twice.")
    filters[key] = value


def _too_many(command: Command, words: list[str]) -> str:
    if command.usage == "[JQ]":
        return "A jq program is one argument: put it in quotes, '.metrics.predict_time > 2'."
    taken = f"%replicate {command.name} {command.usage}".rstrip()
    return f"{words[command.words]} is one word too many: write {taken}."
