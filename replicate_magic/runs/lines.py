"""Owns a row of history as a line of an export; must not read or write the file."""

from __future__ import annotations

import json

from replicate_magic.plain import one_line
from replicate_magic.runs.record import Record, to_json

_NAMES = ("origin", "model", "prompt", "output", "local", "raw")


def line_of(record: Record) -> str:
    """A row as one line of JSON."""
    return to_json({name: getattr(record, name) for name in _NAMES})


def read_lines(texts: list[str], before: int) -> tuple[list[Record], ValueError | None]:
    """The rows up to the first line that is none, and what is wrong with that.

    Args:
        texts: lines.
        before: how many came before them.
    """
    records: list[Record] = []
    for number, text in enumerate(texts, before + 1):
        try:
            records.append(_read_line(text))
        except ValueError as error:
            return records, ValueError(f"line {number:,}: {error}")
    return records, None


def _read_line(text: str) -> Record:
    try:
        line = json.loads(text)
        record = Record(**{**line, "raw": {**line["raw"]}, "local": {**line["local"]}})
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"this is not a line of an export of runs: {one_line(text)}") from error
    status = record.raw.get("status")
    texts = (record.origin, record.model, record.prompt, record.output)
    has_status = status is None or isinstance(status, str)
    if not (record.id and has_status and all(isinstance(found, str) for found in texts)):
        raise ValueError(f"this is not a line of an export of runs: {one_line(text)}")
    return record
