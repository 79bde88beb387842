"""Owns how one value of a table reads; must not know the table.

A cell holds the value twice: as text that is safe to print and as safe HTML.
"""

from __future__ import annotations

import html
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from replicate_magic.plain import one_line
from replicate_magic.views.status import duration, money

if TYPE_CHECKING:
    from collections.abc import Callable

QUIET = "color: var(--jp-ui-font-color2, #888)"
BAD = "color: var(--jp-error-color1, #c62828)"
_WARN = "color: var(--jp-warn-color1, #e65100)"
_DOTS = {  # as the card's
    "succeeded": "color: var(--jp-success-color1, #2e7d32)",
    "failed": BAD,
    "canceled": _WARN,
    "aborted": _WARN,
    "processing": "color: var(--jp-brand-color1, #1976d2)",
}
_MOST_CHARS = 80
_ABSURD = 1e12  # of seconds, tokens or dollars


class Cell(NamedTuple):
    """A value as text that is safe to print, and as safe HTML."""

    text: str
    markup: str


def plain(text: str) -> Cell:
    """A cell of text that is safe to print."""
    return Cell(text, html.escape(text))


def whole(text: str) -> Cell:
    """A cell of text that is safe to print and is not broken at its blanks."""
    return Cell(text, html.escape(text).replace(" ", "&nbsp;"))


EMPTY = plain("")


def text(value: Any, *, limit: int = _MOST_CHARS) -> Cell:
    """The beginning of a text, on one line; of a long one only the beginning is read."""
    if value is None:
        return EMPTY
    words = (value if isinstance(value, str) else str(value)).lstrip()
    read = words[: 10 * limit]
    line = one_line(read, limit=limit)
    is_cut = len(read) < len(words) and not line.endswith("…")
    return plain(f"{line}…" if is_cut else line)


def styled(cell: Cell, style: str) -> Cell:
    """The cell in another colour."""
    return Cell(cell.text, f'<span style="{style}">{cell.markup}</span>') if cell.text else cell


def dotted(status: Any) -> Cell:
    """A status with its dot."""
    word = text(status, limit=20)
    dot = f'<span style="{_DOTS.get(word.text, QUIET)}">●</span>'
    return Cell(word.text, f"{dot}&nbsp;{word.markup}")


def model(name: Any, digits: str) -> Cell:
    """A model with the first digits of its version, where that is a hash."""
    named = text(name)
    if not digits:
        return named
    return Cell(
        f"{named.text} ({digits})".lstrip(),
        f'{named.markup} <span style="{QUIET}">{digits}</span>',
    )


def identity(value: Any, page: Any) -> Cell:
    """The first characters of an id, by which a run can be asked for, linked to its page."""
    full = text(value)
    short = plain(full.text[:8])
    if not (short.text and isinstance(page, str) and page.startswith("https://")):
        return Cell(short.text, f'<span title="{full.markup}">{short.markup}</span>')
    href = html.escape(one_line(page, limit=2_000), quote=True)
    attributes = f'href="{href}" title="{full.markup}" target="_blank" rel="noopener noreferrer"'
    return Cell(short.text, f"<a {attributes}>{short.markup}</a>")


def time(value: Any) -> Cell:
    """Such as `Nov 25 17:12`, in this machine's zone; without a zone as it stands."""
    if not isinstance(value, datetime):
        return text(value)
    try:
        local = datetime.fromtimestamp(value.timestamp()) if value.tzinfo else value  # noqa: DTZ006  (it is to be local)
        now = datetime.now()  # noqa: DTZ005  (so is this)
    except (ValueError, OverflowError, OSError):  # years that the platform does not have
        return text(value)
    year = "" if local.year == now.year else f" {local.year}"
    shown = f"{local:%b} {local.day}{year} {local:%H:%M}"
    return Cell(shown, f'<span title="{html.escape(str(value))}">{whole(shown).markup}</span>')


def anything(value: Any) -> Cell:
    """A value of a column that we do not know."""
    return time(value) if isinstance(value, datetime) else text(value)


# -- numbers ----------------------------------------------------------------------------------


def is_number(value: Any) -> bool:
    """Whether it is one; what is true or false is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def sensible(value: Any) -> float | None:
    """A number as it can be meant: recorded ones may be negative, infinite or text."""
    return value if is_number(value) and 0 <= value <= _ABSURD else None


def measure(words: Callable[[float], str]) -> Callable[[Any], Cell]:
    """A function that shows what was measured by its words, and nothing where it is odd."""

    def shown(value: Any) -> Cell:
        number = sensible(value)
        return EMPTY if number is None else whole(words(number))

    return shown


def number(name: str) -> Callable[[Any], Cell]:
    """A function that shows the numbers of a column by the unit at the end of its name."""
    units = {"_s": duration, "_usd": money}
    words = next((words for unit, words in units.items() if name.endswith(unit)), None)

    def shown(value: Any) -> Cell:
        known = sensible(value)
        return whole(words(known) if words and known is not None else _digits(value))

    return shown


def _digits(value: float) -> str:
    if isinstance(value, int):  # Python writes only so many digits
        return f"{value:,}" if abs(value) <= _ABSURD else f"beyond {count(_ABSURD)}"
    return f"{value:,.0f}" if 1_000 <= abs(value) <= _ABSURD else f"{value:.4g}"


def count(value: float) -> str:
    """Such as `1,234`."""
    return f"{value:,.0f}"


def speed(value: float) -> str:
    """Such as `42.1` or `310`."""
    return f"{value:.1f}" if value < 99.95 else f"{value:,.0f}"


def share(rate: float) -> str:
    """Such as `87 %`; what is not all, or not nothing, does not look so."""
    percent = 100 * rate
    if rate in {0, 1} or 1 <= percent <= 99:
        return f"{percent:.0f} %"
    return f"{min(max(percent, 0.1), 99.9):.1f} %" if rate < 1 else ""


def tokens(given: float | None, made: float | None) -> str:
    """Such as `12 → 345`: those of the input and of the output."""
    if given is None and made is None:
        return ""
    counts = ("" if known is None else count(known) for known in (given, made))
    return " → ".join(counts).strip()
