"""Server-sent events as Replicate sends them.

Pure: events to text, ids to text and back. The format is that of WHATWG HTML, section 9.2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

GREETING = ": hi\n\n"
KEEP_ALIVE = ": keep-alive\n\n"

_LINE_END = re.compile(r"\r\n|\r|\n")
_ID = re.compile(r"(\d{1,12}):(\d{1,12})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEvent:
    """One event.

    Attributes:
        id: Unix second, and the event's number within that second.
        event: `output`, `logs`, `error` or `done`.
        data: Its text as it is; may have several lines.
    """

    id: tuple[int, int]
    event: str
    data: str


def next_id(last: tuple[int, int] | None, second: int) -> tuple[int, int]:
    """The id that follows *last*, never smaller even if the clock was set back."""
    if last is None or second > last[0]:
        return second, 0
    return last[0], last[1] + 1


def parse_id(text: str | None) -> tuple[int, int] | None:
    """The id of a `Last-Event-ID` header, None where there is none to be read."""
    match = _ID.fullmatch(text.strip()) if text else None
    return (int(match[1]), int(match[2])) if match else None


def encode(event: StreamEvent) -> str:
    """The event on the wire, a `data:` line for each line of its data."""
    second, number = event.id
    lines = [f"event: {event.event}", f"id: {second}:{number}"]
    lines += [f"data: {line}" for line in _LINE_END.split(event.data)]
    return "\n".join(lines) + "\n\n"
