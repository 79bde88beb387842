"""Owns what a small picture is drawn of, as SVG: an axis of seconds, names, a legend; pure.

Its greys stand on a light page and on a dark one. It holds no script and no style sheet.
"""

from __future__ import annotations

import html
from math import floor, log10
from typing import TYPE_CHECKING

from replicate_magic.views.status import duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

EDGE = 6
AXIS = 17
"""How many pixels the marks below it take."""
_WIDTH, _LEGEND = 640, 16
_NAMES = 150  # what names take at the left
_CHAR = 6.2  # about how wide one is
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400)
_QUIET, _FAINT = "#868686", "#86868638"
_FONT = 'font-family="system-ui, sans-serif" font-size="11"'
_NO_XML = {0xFFFE: None, 0xFFFF: None}  # https://www.w3.org/TR/xml/#charsets


class Axis:
    """Seconds along the picture.

    Args:
        left: where 0 is, in pixels.
        most_s: what is at the right end.
    """

    def __init__(self, left: float, most_s: float) -> None:
        self.left = float(left)
        self.most_s = most_s or 1.0
        self.width = _WIDTH - EDGE - self.left

    def x(self, seconds: float) -> float:
        """Where a time is, in pixels."""
        return self.left + seconds / self.most_s * self.width

    def bar(self, begin_s: float, end_s: float, place: tuple[float, float], colour: str) -> str:
        """A bar from one time to another; its place is how far down it is, and how thick."""
        x, width = self.x(begin_s), max(self.x(end_s) - self.x(begin_s), 1.0)
        (y, thick), rounding = place, 2 if place[1] > 6 else 0.5
        return (
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{thick:.1f}" '
            f'rx="{rounding}" fill="{colour}"/>'
        )

    def grid(self, height: float) -> str:
        """Lines at round times, with the times below them."""
        drawn = []
        for seconds in self._ticks():
            x, anchor = self.x(seconds), "start" if not seconds else "middle"
            if x > _WIDTH - 20:
                anchor = "end"
            drawn.append(
                f'<path d="M{x:.1f} {EDGE - 2}V{height:.1f}" stroke="{_FAINT}"/>'
                f'<text x="{x:.1f}" y="{height + 12:.1f}" text-anchor="{anchor}" fill="{_QUIET}" '
                f"{_FONT}>{_time(seconds)}</text>"
            )
        return "".join(drawn)

    def _ticks(self) -> Iterator[float]:
        step = _step(self.most_s / 5)
        return (place * step for place in range(int(self.most_s / step) + 1))


def _step(least_s: float) -> float:
    """A round step of at least so many seconds."""
    if least_s > 1:
        whole = next((step for step in _STEPS if step >= least_s), None)
        return float(whole) if whole else 86_400.0 * (floor(least_s / 86_400) + 1)
    power = 10.0 ** floor(log10(least_s))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least_s)


def _time(seconds: float) -> str:
    """As short as a round time can be told."""
    if seconds < 60:
        return f"{seconds:.10g} s" if seconds >= 1 or not seconds else f"{seconds:.3g} s"
    return duration(seconds).replace(" 0 s", "").replace(" 0 min", "")


def room(names: Iterable[str]) -> float:
    """What names take at the left, in pixels."""
    longest = max(map(len, names), default=0)
    return min(longest * _CHAR + 14, _NAMES) if longest else EDGE


def named(name: str, axis: Axis, y: float) -> str:
    """A name at the left of the axis."""
    text = _escaped(_short(name, _NAMES - 14))
    return (
        f'<text x="{axis.left - 8:.1f}" y="{y:.1f}" text-anchor="end" fill="{_QUIET}" {_FONT}>'
        f"{text}</text>"
    )


def _escaped(text: str) -> str:
    return html.escape(text.translate(_NO_XML))


def _short(name: str, room: float) -> str:
    """The end of a name tells the most: it is the beginning that is cut."""
    most = int(room / _CHAR)
    return name if len(name) <= most else f"…{name[-most + 1 :]}"


def legend(meanings: Iterable[tuple[str, str]], y: float, notes: Iterable[str] = ()) -> str:
    """What colours mean, in a line, as far as there is room for it."""
    drawn, x = [], float(EDGE)
    for word, colour in [*meanings, *((note, "") for note in notes)]:
        text = _short(word, 180)
        if x + len(text) * _CHAR + 26 > _WIDTH:
            break
        if colour:
            drawn.append(
                f'<rect x="{x:.0f}" y="{y + 3:.1f}" width="9" height="9" rx="2" fill="{colour}"/>'
            )
            x += 14
        drawn.append(
            f'<text x="{x:.0f}" y="{y + 11:.1f}" fill="{_QUIET}" {_FONT}>{_escaped(text)}</text>'
        )
        x += len(text) * _CHAR + 16
    return "".join(drawn)


def svg(title: str, height: float, below: str, drawn: Sequence[str]) -> str:
    """The picture; `below` is its legend."""
    whole = height + _LEGEND
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{whole:.0f}" '
        f'viewBox="0 0 {_WIDTH} {whole:.0f}" role="img"><title>{title}</title>'
        f"{''.join(drawn)}{below}</svg>"
    )
