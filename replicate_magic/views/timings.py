"""Owns a small picture of when the requests of a batch waited and ran, as SVG; pure.

It is drawn in greys and colours that stand on a light page and on a dark one, holds no script and
no style sheet, and is shown as an image, which front ends let do nothing.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replicate_magic.plain import one_line
from replicate_magic.views.status import duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replicate_magic.tally import Entry

_WIDTH, _LEFT, _RIGHT, _TOP = 640, 8, 8, 6
_MOST_BARS = 60
_BAR_PX, _GAP_PX = 6, 2
_WAITED, _RAN = "#9e9e9e", "#1e88e5"
_COLOURS = {"failed": "#e53935", "canceled": "#fb8c00", "aborted": "#fb8c00"}
_TEXT = 'font-family="sans-serif" font-size="11" fill="#808080"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """When a request waited and ran, in seconds since the first was created."""

    created_s: float
    started_s: float
    ended_s: float
    outcome: str
    title: str


def bars_of(entries: Sequence[Entry]) -> list[Bar]:
    """The bars of those whose times are known, in the order asked, by Replicate's clock."""
    known = [
        (entry, one.created_at, one.started_at or one.created_at, one.completed_at)
        for entry in entries
        if (one := entry.prediction).created_at and one.completed_at and not entry.reused
    ]
    begins = [created for _, created, _, _ in known if created]
    if not begins:
        return []
    zero = min(begins)
    return [
        Bar(
            created_s=(created - zero).total_seconds(),
            started_s=(started - zero).total_seconds(),
            ended_s=(completed - zero).total_seconds(),
            outcome=entry.outcome,
            title=f"{entry.number + 1}: {one_line(entry.model, limit=60)}",
        )
        for entry, created, started, completed in known
        if created and started and completed and created <= started <= completed
    ]


def timings_svg(entries: Sequence[Entry]) -> str:
    """The picture; an empty string where nothing is known, or more than it has room for."""
    bars = bars_of(entries)
    if not 2 <= len(bars) <= _MOST_BARS:
        return ""
    whole_s = max(bar.ended_s for bar in bars) or 1.0
    scale = (_WIDTH - _LEFT - _RIGHT) / whole_s
    height = _TOP + len(bars) * (_BAR_PX + _GAP_PX) + 18
    drawn = "".join(_drawn(bar, place, scale) for place, bar in enumerate(bars))
    base = height - 5
    ends = (
        f'<text x="{_LEFT}" y="{base}" {_TEXT}>0 s</text>'
        f'<text x="{_WIDTH - _RIGHT}" y="{base}" text-anchor="end" {_TEXT}>'
        f"{duration(whole_s)}</text>"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" role="img">'
        f"<title>When each request waited and ran</title>{drawn}{ends}</svg>"
    )


def _drawn(bar: Bar, place: int, scale: float) -> str:
    y = _TOP + place * (_BAR_PX + _GAP_PX)
    waited = _rect(bar.created_s, bar.started_s, y, scale, _WAITED)
    ran = _rect(bar.started_s, bar.ended_s, y, scale, _COLOURS.get(bar.outcome, _RAN))
    return f"<g><title>{html.escape(bar.title)}</title>{waited}{ran}</g>"


def _rect(begin_s: float, end_s: float, y: int, scale: float, colour: str) -> str:
    x, width = _LEFT + begin_s * scale, max((end_s - begin_s) * scale, 1.0)
    return (
        f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_BAR_PX}" rx="1" fill="{colour}"/>'
    )
