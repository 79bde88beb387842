"""Owns what is told of two predictions beside each other, in words; must not lay it out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from replicate_magic.cell.hiding import hidden_names
from replicate_magic.difference import text_parts
from replicate_magic.plain import dollars, one_line, printable
from replicate_magic.views import cells
from replicate_magic.views.status import duration, name, state

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from replicate_magic.difference import Change, Difference, Measure, Part
    from replicate_magic.prediction import OutputFile, Prediction

MOST_CHARS = 20_000
"""Of an output."""
VALUE_CHARS = 600
"""Of an input's value."""
MOST_FILES = 6
ABSENT = "not given"

_MOST_CHANGES = 60
_SECONDS = {"predict_time", "total_time", "time_to_first_token"}
_AROUND_CHARS = 160  # of what is the same, beside what is not


def run_line(prediction: Prediction) -> str:
    """A prediction in a few words."""
    return " · ".join([name(prediction), state(prediction), one_line(prediction.id)])


def facts(found: Difference) -> list[tuple[str, str, str]]:
    """What is not the same besides what `run_line` tells, inputs, metrics and output."""
    before, after = found.before, found.after
    pairs = {
        "version": (before.version or "", after.version or ""),
        "error": (before.error or "", after.error or ""),
    }
    return [
        (label, one_line(one, limit=300), one_line(other, limit=300))
        for label, (one, other) in pairs.items()
        if one != other
    ]


def notes(found: Difference) -> list[str]:
    """What is to be said of both, in sentences."""
    if found.is_same_run:
        return [f"Both are the same run, {one_line(found.before.id)}: there is no difference."]
    notes = []
    if not found.inputs and found.before.input:
        notes.append("The inputs are the same.")
    if secret := hidden_names(found.before.input) | hidden_names(found.after.input):
        listed = ", ".join(one_line(one, limit=60) for one in sorted(secret))
        notes.append(f"Secret, and not compared: {listed}.")
    if (more := len(found.inputs) - _MOST_CHANGES) > 0:
        notes.append(f"{more:,} more inputs differ: _.inputs has all.")
    gone = [one for one in (found.before, found.after) if one.data_removed and not one.input]
    notes += [f"Replicate has deleted the input and output of {one.id}." for one in gone]
    return notes


def output_note(found: Difference) -> str:
    """What is said in place of the outputs; an empty string where they are shown."""
    if found.same_output and found.before.output is not None:
        return "The outputs are the same."
    if found.before.output is None and found.after.output is None:
        return "Neither has an output."
    return ""


def value_text(value: Any) -> str:
    """An input's value as text that is safe to print."""
    if not isinstance(value, str):
        try:
            return printable(json.dumps(value, ensure_ascii=False)[: 4 * VALUE_CHARS])
        except (TypeError, ValueError, RecursionError):
            return one_line(str(type(value)))
    if value.startswith("data:"):
        return f"{one_line(value, limit=48)} ({len(value):,} characters)"
    return printable(value[: 20 * VALUE_CHARS])


def sides(change: Change) -> list[Part]:
    """What is the same, removed and added in a changed input."""
    return text_parts(value_text(change.before), value_text(change.after))


def numbers(measure: Measure) -> tuple[str, str, str]:
    """A number of both as people write it, and what it is more: `+0.25 s (+50 %)`."""
    before, after = (_number(measure.name, one) for one in (measure.before, measure.after))
    more = measure.more
    if not more:
        return before, after, "" if more is None else "the same"
    sign = "+" if more > 0 else "-"
    told = f"{sign}{_amount(measure.name, abs(more))}"
    if measure.before:
        percent = 100 * abs(more / measure.before)
        told += f" ({sign}{percent:,.0f} %)" if percent >= 1 else f" ({sign}{percent:.1f} %)"
    return before, after, told


def _amount(label: str, more: float) -> str:
    """How much more or less, also where that is little."""
    if label.endswith("_usd"):
        return dollars(more)
    if label in _SECONDS and more < 0.0095:
        return f"{1_000 * more:.1f} ms"
    return _number(label, more)


def _number(label: str, value: float | None) -> str:
    if value is None:
        return ""
    if label in _SECONDS and 0 <= value < 1e9:
        return duration(value)
    return cells.number(label)(value).text


def files_of(found: Difference) -> tuple[Sequence[OutputFile], Sequence[OutputFile]] | None:
    """The files of both, where either gave files."""
    before, after = found.before.files, found.after.files
    return (before, after) if before or after else None


def shortened(parts: Iterable[Part], most: int) -> Iterator[Part]:
    """Long stretches that are the same without their middle, and no more than so much in all."""
    left = most
    known = list(parts)
    for place, part in enumerate(known):
        text = part.text
        if part.kind == "same":
            text = _around(text, is_first=place == 0, is_last=place == len(known) - 1)
        if len(text) > left:
            yield part._replace(text=f"{text[:left]}…")
            return
        left -= len(text)
        yield part._replace(text=text)


def _around(text: str, *, is_first: bool, is_last: bool) -> str:
    """What is the same, where it touches what is not."""
    if len(text) <= 3 * _AROUND_CHARS:
        return text
    head = "" if is_first else text[:_AROUND_CHARS]
    tail = "" if is_last and not is_first else text[-_AROUND_CHARS:]
    if is_first and is_last:
        return f"{text[: 3 * _AROUND_CHARS]}…"
    return f"{head} … {tail}"


def shown_inputs(found: Difference) -> list[Change]:
    """The inputs that differ, as many as are shown."""
    return found.inputs[:_MOST_CHANGES]


def beginning(text: str) -> str:
    """The beginning of a long value."""
    return text if len(text) <= VALUE_CHARS else f"{text[:VALUE_CHARS]}…"


def led(text: str) -> tuple[str, str]:
    """The blanks before a text, and the rest; blanks alone are text."""
    rest = text.lstrip()
    return (text[: len(text) - len(rest)], rest) if rest else ("", text)
