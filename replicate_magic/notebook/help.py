"""Owns the help text; it is made from the parser's own table, so that the two agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from replicate_magic.cell.options import OPTIONS, Option
from replicate_magic.notebook.command_line import COMMANDS, FILTERS

if TYPE_CHECKING:
    from replicate_magic.notebook.command_line import Command

_HEAD = """\
%%replicate MODEL [MODEL …] [key=value …] [options]
                                              the cell's body is the prompt
x = %replicate run MODEL [key=value …] [options] [PROMPT]
                                              a PROMPT that ends in ? goes in double quotes

MODEL is owner/name, owner/name:version, deployment:owner/name, the http://host:port of a Cog
server, or local/NAME, which runs on this machine without an account (local/smollm2-135m-instruct).

Inputs
  key=value       typed by the model's schema; quotes as in a shell: key="two words"
  key:=JSON       taken as JSON: stop:=["a", "b"]
  key=@path       a file
  key={{expr}}    any Python object
A header block at the top of the body holds inputs too: lines `key: value` between two lines `---`.

In the body {{expr}} is a Python expression: {{name}}, {{df.shape[0]}}. Single braces are text, and
so is {{…}} around anything that is no expression. To send {{name}} itself, write {{"{{name}}"}},
or switch expansion off with --raw.

Many requests, in any combination
  MODEL MODEL …               the same to each model, side by side
  --grid temperature=0.1,0.9  each value, typed as an input is; of several --grid each combination.
                              A comma always separates, in quotes too: values that hold one are
                              JSON, --grid key:=["a, b", "c"], or Python's, --grid key={{expr}}
  --rows df                   each row is `row`: {{row.text}}, {{row["my column"]}}; {{row}} itself
                              where rows are texts. --rows {{df[:10]}} is an expression, and
                              --input-from row takes all columns as inputs
  --repeat 5                  each so often; where the model has a seed, it is counted up
An input that is {{row.column}} alone is left out where the column is missing; within a text that is
an error.
"""


class Filter(NamedTuple):
    """A filter of runs, as help shows it."""

    value: str
    help: str


FILTER_HELP = {
    "model": Filter("owner/name", "all versions of it"),
    "status": Filter("failed", "succeeded, failed, canceled, aborted, starting, processing"),
    "since": Filter(
        "7d", "how long ago (90m, 12h, 7d) or when: 2026-01-31, 2026-01-31T12:00 (UTC)"
    ),
    "until": Filter("1d", "as since=; up to then"),
    "tag": Filter("TEXT", "exactly this tag"),
    "text": Filter("TEXT", "stands in the prompt or the output"),
    "limit": Filter("N", "only so many, the newest"),
}
"""What each of `command_line.FILTERS` is, in their order."""

_TAIL = """\
Afterwards `_` holds the Prediction: _.text, _.output, _.metrics, _.jq(".metrics.predict_time").

Examples
  %%replicate local/smollm2-135m-instruct temperature=0.7 max_tokens=100
  Name three fruits that begin with {{letter}}.

  %%replicate meta/meta-llama-3-8b-instruct -o answer --timeout 2m
  Explain the bias-variance trade-off in two sentences.

  %%replicate black-forest-labs/flux-schnell aspect_ratio=16:9
  a lighthouse in a storm, oil on canvas

  %%replicate local/smollm2-135m-instruct --grid temperature=0.1,0.9 --rows df -o answers
  Sum up in one sentence: {{row.text}}

  p = %replicate run local/smollm2-135m-instruct "Say hello."
"""


def help_text(command: str = "") -> str:
    """What `-h`, `%replicate help [COMMAND]` and `%%replicate?` show."""
    for known in COMMANDS:
        if known.name == command:
            return _command_text(known)
    options = "\n".join(map(_option_line, OPTIONS))
    commands = "\n".join(map(_command_line, COMMANDS))
    return (
        f"{_HEAD}\nOptions\n{options}\n\n"
        f"Commands (%replicate help COMMAND has their options)\n{commands}\n\n{_TAIL}"
    )


def _command_line(command: Command) -> str:
    usage = f"{command.name} {command.usage}".rstrip()
    return f"  {usage:<26}{command.help}"


def _command_text(command: Command) -> str:
    filters = " [filters]" if command.filters else ""
    usage = f"%replicate {command.name} {command.usage}".rstrip()
    lines = [f"{usage}{filters} [options]" if command.options else f"{usage}{filters}", ""]
    lines += [f"{command.help[0].upper()}{command.help[1:]}.", ""]
    if command.filters:
        lines += ["Filters", *map(_filter_line, FILTERS), ""]
    if command.more:
        lines += [command.more]
    if command.options:
        lines += ["Options", *map(_option_line, command.options), ""]
    return "\n".join(lines)


def _filter_line(name: str) -> str:
    told = FILTER_HELP[name]
    return f"  {f'{name}={told.value}':<26}{told.help}"


def _option_line(option: Option) -> str:
    names = f"-{option.short}, --{option.name}" if option.short else f"    --{option.name}"
    gap = "" if option.value.startswith("[") else " "
    usage = f"{names}{gap}{option.value}".rstrip()
    if len(usage) > 26:
        return f"  {usage}\n  {'':<26}{option.help}"
    return f"  {usage:<26}{option.help}"
