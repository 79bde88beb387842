"""Owns the help text; it is made from the parser's own table, so that the two agree."""

from __future__ import annotations

from replicate_magic.cell.options import OPTIONS, Option

_HEAD = """\
%%replicate MODEL [key=value …] [options]     the cell's body is the prompt
x = %replicate run MODEL [key=value …] [options] [PROMPT]
                                              a PROMPT that ends in ? goes in double quotes

MODEL is owner/name, owner/name:version, deployment:owner/name, or local/NAME, which runs on this
machine without an account (local/smollm2-135m-instruct).

Inputs
  key=value       typed by the model's schema; quotes as in a shell: key="two words"
  key:=JSON       taken as JSON: stop:=["a", "b"]
  key=@path       a file
  key={{expr}}    any Python object
A header block at the top of the body holds inputs too: lines `key: value` between two lines `---`.

In the body {{expr}} is a Python expression: {{name}}, {{df.shape[0]}}. Single braces are text, and
so is {{…}} around anything that is no expression. To send {{name}} itself, write {{"{{name}}"}},
or switch expansion off with --raw.
"""

_TAIL = """\
Afterwards `_` holds the Prediction: _.text, _.output, _.metrics, _.jq(".metrics.predict_time").

Examples
  %%replicate local/smollm2-135m-instruct temperature=0.7 max_tokens=100
  Name three fruits that begin with {{letter}}.

  %%replicate meta/meta-llama-3-8b-instruct -o answer --timeout 2m
  Explain the bias-variance trade-off in two sentences.

  %%replicate black-forest-labs/flux-schnell aspect_ratio=16:9
  a lighthouse in a storm, oil on canvas

  p = %replicate run local/smollm2-135m-instruct "Say hello."
"""


def help_text() -> str:
    """What `-h`, `%replicate help` and `%%replicate?` show."""
    here = [option for option in OPTIONS if option.kind != "later"]
    later = ", ".join(f"--{option.name}" for option in OPTIONS if option.kind == "later")
    options = "\n".join(_option_line(option) for option in here)
    return f"{_HEAD}\nOptions\n{options}\nNot part of this version, and refused: {later}\n\n{_TAIL}"


def _option_line(option: Option) -> str:
    names = f"-{option.short}, --{option.name}" if option.short else f"    --{option.name}"
    gap = "" if option.value.startswith("[") else " "
    usage = f"{names}{gap}{option.value}".rstrip()
    if len(usage) > 26:
        return f"  {usage}\n  {'':<26}{option.help}"
    return f"  {usage:<26}{option.help}"
