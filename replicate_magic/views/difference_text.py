"""Owns two predictions beside each other as text for a terminal; must not compare them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicate_magic.plain import one_line, printable
from replicate_magic.views.answer import file_line
from replicate_magic.views.differing import (
    ABSENT,
    MOST_CHARS,
    MOST_FILES,
    VALUE_CHARS,
    beginning,
    facts,
    files_of,
    led,
    notes,
    numbers,
    output_note,
    run_line,
    shortened,
    shown_inputs,
    sides,
    value_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from replicate_magic.difference import Change, Difference, Measure, Part


def as_text(found: Difference) -> str:
    """Both runs, and what differs."""
    if found.is_same_run:
        return "\n".join([run_line(found.before), *notes(found)])
    blocks = [f"before  {run_line(found.before)}\nafter   {run_line(found.after)}"]
    rows = [(label, f"{one or 'none'} → {other or 'none'}") for label, one, other in facts(found)]
    rows += [(one_line(one.name, limit=40), _change_text(one)) for one in shown_inputs(found)]
    blocks += [_columns(rows), "\n".join(notes(found)), _output_text(found)]
    blocks.append(_columns([(m.name, _measure_text(m)) for m in found.metrics]))
    return "\n\n".join(filter(None, blocks))


def _columns(rows: list[tuple[str, str]]) -> str:
    width = max((len(label) for label, _ in rows), default=0)
    gap = f"\n{'':{width + 2}}"
    return "\n".join(f"{label:<{width}}  {text.replace(chr(10), gap)}" for label, text in rows)


def _change_text(change: Change) -> str:
    if change.kind == "added":
        return f"{ABSENT} → {beginning(value_text(change.after))}"
    if change.kind == "removed":
        return f"{beginning(value_text(change.before))} → {ABSENT}"
    before, after = value_text(change.before), value_text(change.after)
    if max(len(before), len(after)) <= 40 and "\n" not in before + after:
        return f"{before} → {after}"
    return _wdiff(shortened(sides(change), VALUE_CHARS))


def _wdiff(parts: Iterable[Part]) -> str:
    """As GNU wdiff marks it: `the [-cat-]{+dog+} sat`."""
    marks = {"same": ("", ""), "removed": ("[-", "-]"), "added": ("{+", "+}")}
    written = []
    for part in parts:
        blank, text = led(part.text)
        begin, end = marks[part.kind]
        written.append(f"{blank}{begin}{text}{end}")
    return "".join(written)


def _output_text(found: Difference) -> str:
    if note := output_note(found):
        return note
    if files := files_of(found):
        lines = [
            f"{side}  {file_line(file)}"
            for side, several in zip(("before", "after "), files, strict=True)
            for file in several[:MOST_FILES]
        ]
        return "\n".join(lines)
    return printable(_wdiff(shortened(found.output_parts(), MOST_CHARS)))


def _measure_text(measure: Measure) -> str:
    before, after, more = numbers(measure)
    told = f"{before or 'none'} → {after or 'none'}"
    return f"{before} in both" if more == "the same" else f"{told}  {more}".rstrip()
