"""The small languages of the API's headers and query strings: times, durations, waits, cursors.

Pure: no clock, no request objects.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

PAGE_SIZE = 100
WAIT_DEFAULT_S = 60
LIFETIME_MIN_S = 5
LIFETIME_MAX_S = 24 * 60 * 60

_WAIT = re.compile(r"wait(?:\s*=\s*\"?(\d+)\"?)?", re.IGNORECASE | re.ASCII)
_DURATION = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s?)?", re.IGNORECASE | re.ASCII)
_CURSOR = re.compile(r"(r=1&)?p=(\d{1,12})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """A part of a list, with the cursors of its neighbours or None at the ends."""

    results: Sequence[T]
    next: str | None
    previous: str | None


def timestamp(at: datetime) -> str:
    """*at* as the API writes it: UTC with six digits and `Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_timestamp(text: str) -> datetime:
    """An ISO 8601 time, UTC where it names no zone.

    Raises:
        ValueError: If it is none.
    """
    # An unquoted "+" of a query string arrives as a blank.
    at = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text.strip())
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def parse_wait(prefer: str) -> tuple[str, int] | None:
    """The preference of a `Prefer` header that is honoured, e.g. `("wait=5", 5)`, seconds last.

    Zero and what cannot be read is no preference, as RFC 7240 has it; more than 60 s is 60.
    """
    for preference in prefer.split(","):
        if match := _WAIT.fullmatch(preference.strip()):
            if match[1] is None:
                return "wait", WAIT_DEFAULT_S
            wait_s = min(int(match[1]), WAIT_DEFAULT_S)
            return (f"wait={wait_s}", wait_s) if wait_s else None
    return None


def parse_duration(text: str) -> int:
    """The seconds of a `Cancel-After` header, e.g. 30 of `30` or 5445 of `1h30m45s`.

    Raises:
        ValueError: If it cannot be read, or is not within 5 s and 24 h.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        raise ValueError(f"{text!r} is not a duration such as 30, 90s, 5m or 1h30m45s")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    total_s = hours * 3600 + minutes * 60 + seconds
    if not LIFETIME_MIN_S <= total_s <= LIFETIME_MAX_S:
        raise ValueError(f"{text!r} is not between 5 seconds and 24 hours")
    return total_s


def paginate(
    items: Sequence[T],
    *,
    key: Callable[[T], int],
    cursor: str | None,
    size: int = PAGE_SIZE,
) -> Page[T]:
    """The page at *cursor*, the first one for None.

    Args:
        items: All of the list.
        key: An item's number, falling from one to the next.
        cursor: One that another page carries.
        size: The most results of a page.

    Raises:
        ValueError: If the cursor cannot be read.
    """
    start, stop = 0, size
    if cursor is not None:
        backwards, position = _decode_cursor(cursor)
        newer = sum(key(item) >= position for item in items)
        if backwards:
            stop = sum(key(item) > position for item in items)
            start = max(0, stop - size)
        else:
            start, stop = newer, newer + size
    results = items[start:stop]
    return Page(
        results=results,
        next=_encode_cursor(f"p={key(results[-1])}") if results and stop < len(items) else None,
        previous=_encode_cursor(f"r=1&p={key(results[0])}") if results and start > 0 else None,
    )


def _encode_cursor(position: str) -> str:
    return base64.urlsafe_b64encode(position.encode()).decode()


def _decode_cursor(cursor: str) -> tuple[bool, int]:
    try:
        match = _CURSOR.fullmatch(base64.urlsafe_b64decode(cursor.encode()).decode())
    except (binascii.Error, UnicodeError) as error:
        raise ValueError("Invalid cursor") from error
    if match is None:
        raise ValueError("Invalid cursor")
    return match[1] is not None, int(match[2])
