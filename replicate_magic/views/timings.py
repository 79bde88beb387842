"""Owns a small picture of when the requests of a batch waited and ran, as SVG; pure.

A few are drawn as bars over time; of many, how long they ran is counted, model by model. The
colours stand on a light page and on a dark one. It holds no script and no style sheet, and is meant
to be shown as an image: as such nothing in it acts, and sites that refuse bare SVG still show it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from statistics import median
from typing import TYPE_CHECKING

from replicate_magic.plain import one_line
from replicate_magic.views.entries import kind, parameter, ran_s
from replicate_magic.views.small_picture import AXIS, EDGE, Axis, legend, named, room, svg
from replicate_magic.views.status import duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from replicate_magic.tally import Entry
    from replicate_magic.views.entries import Kind

MOST_BARS = 60
"""Of more requests it is counted how long they ran."""
_BARS, _THICKEST, _THINNEST = 130, 14, 2.6
_NAMED_BARS = 12
_STRIP, _BINS, _MOST_STRIPS = 36, 80, 6
_WAITED = "#86868680"
_BAD, _WARN = "#e05252", "#e08a1e"
_HUES = ("#3b8fe0", "#2aa198", "#a06cd5", "#c9962b", "#d0669d", "#6a9f3a")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """When a request waited and ran, in seconds since the first of them was created.

    Attributes:
        model: whose it is.
        label: by what it is told from the others.
        kind: how it ended.
        created_s: when Replicate had it.
        started_s: when it began to run.
        ended_s: when it ended.
    """

    model: str
    label: str
    kind: Kind
    created_s: float
    started_s: float
    ended_s: float


def timings_svg(entries: Sequence[Entry]) -> str:
    """The picture; an empty string where there are fewer than two whose times are known."""
    few = list(islice(filter(_times, entries), MOST_BARS + 1))
    if 2 <= len(few) <= MOST_BARS:
        return _bars_svg(bars_of(few))
    ran = [(entry, seconds) for entry in entries if (seconds := _ran_here_s(entry)) is not None]
    return _strips_svg(ran) if len(ran) > MOST_BARS else ""


def bars_of(entries: Iterable[Entry]) -> list[Bar]:
    """Those whose times are known, in the order asked, by Replicate's clock."""
    known = [(entry, times) for entry in entries if (times := _times(entry))]
    zero = min((created for _, (created, _, _) in known), default=None)
    if zero is None:
        return []
    return [
        Bar(
            model=one_line(entry.model, limit=60),
            label=", ".join(map(parameter, entry.params.values())) or str(entry.number + 1),
            kind=kind(entry),
            created_s=(created - zero).total_seconds(),
            started_s=(started - zero).total_seconds(),
            ended_s=(completed - zero).total_seconds(),
        )
        for entry, (created, started, completed) in known
    ]


def _times(entry: Entry) -> tuple[datetime, datetime, datetime] | None:
    """When it was created, began, and ended; an answer from history is of another time."""
    one = entry.prediction
    created, started, completed = one.created_at, one.started_at, one.completed_at
    if created is None or completed is None or one.age_s is not None:
        return None
    started = started or (created if entry.ok else completed)  # what never began has waited
    return (created, started, completed) if created <= started <= completed else None


def _ran_here_s(entry: Entry) -> float | None:
    return None if entry.prediction.age_s is not None else ran_s(entry)


# -- bars over time ---------------------------------------------------------------------------


def _bars_svg(bars: Sequence[Bar]) -> str:
    hues = _hues([bar.model for bar in bars])
    pitch = min(max(_BARS / len(bars), _THINNEST), _THICKEST + 4)
    thick = min(pitch * 0.8, _THICKEST)
    names = _bar_names(bars) if len(bars) <= _NAMED_BARS else []
    axis = Axis(room(names), max(bar.ended_s for bar in bars))
    height = EDGE + pitch * len(bars)
    drawn = [axis.grid(height)]
    for place, bar in enumerate(bars):
        y, hue = EDGE + place * pitch, _ENDED.get(bar.kind, hues[bar.model])
        if bar.started_s > bar.created_s:
            drawn.append(axis.bar(bar.created_s, bar.started_s, (y, thick), _WAITED))
        drawn.append(axis.bar(bar.started_s, bar.ended_s, (y, thick), hue))
        drawn += [named(names[place], axis, y + thick / 2 + 4)] if names else []
    below = legend(_meanings(bars, hues), height + AXIS)
    return svg("When each request waited and ran", height + AXIS, below, drawn)


def _bar_names(bars: Sequence[Bar]) -> list[str]:
    """What differs between them: the model, the inputs, or their places."""
    models, labels = [bar.model for bar in bars], [bar.label for bar in bars]
    if len(set(models)) == 1:
        return labels
    if len(set(labels)) == 1:
        return models
    return [f"{model} {label}" for model, label in zip(models, labels, strict=True)]


_ENDED: dict[Kind, str] = {"failed": _BAD, "canceled": _WARN}


def _meanings(bars: Sequence[Bar], hues: dict[str, str]) -> list[tuple[str, str]]:
    waited = any(bar.started_s - bar.created_s > 0.01 * bar.ended_s for bar in bars)
    kinds = {bar.kind for bar in bars}
    ran = (
        list(hues.items()) if len(hues) > 1 else [("ran", _HUES[0])] if "succeeded" in kinds else []
    )
    ended = [(word, colour) for word, colour in _ENDED.items() if word in kinds]
    return [*([("queued", _WAITED)] if waited else []), *ran, *ended]


# -- how long many ran ------------------------------------------------------------------------


def _strips_svg(ran: Sequence[tuple[Entry, float]]) -> str:
    by_model: dict[str, list[tuple[Entry, float]]] = {}
    for entry, seconds in ran:
        by_model.setdefault(entry.model, []).append((entry, seconds))
    shown = sorted(by_model, key=lambda model: -len(by_model[model]))[:_MOST_STRIPS]
    hues = _hues(shown)
    lasted = sorted(seconds for _, seconds in ran)
    names = {model: _strip_names(model, by_model[model]) for model in shown}
    axis = Axis(
        room([line for lines in names.values() for line in lines]),
        lasted[int(0.99 * len(lasted))],
    )
    height = float(EDGE + _STRIP * len(shown))
    drawn = [axis.grid(height)]
    for place, model in enumerate(shown):
        drawn += _strip(by_model[model], axis, EDGE + place * _STRIP, hues[model])
        for line, name in enumerate(names[model]):
            drawn.append(named(name, axis, EDGE + place * _STRIP + 15 + 13 * line))
    kinds = {kind(entry) for entry, _ in ran}
    meanings = [(word, colour) for word, colour in _ENDED.items() if word in kinds]
    beyond = sum(one > axis.most_s for one in lasted)
    notes = ["how many ran how long", *([f"{beyond:,} ran longer"] if beyond else [])]
    notes += [f"{len(by_model) - len(shown)} more models"] if len(by_model) > len(shown) else []
    below = legend(meanings, height + AXIS, notes)
    return svg("How long the requests ran", height + AXIS, below, drawn)


def _strip(ran: Sequence[tuple[Entry, float]], axis: Axis, top: float, hue: str) -> list[str]:
    """How many ran how long; those that went wrong stand on those that did not."""
    bins: list[dict[str, int]] = [{} for _ in range(_BINS)]
    for entry, seconds in ran:
        if seconds <= axis.most_s:
            place = min(int(seconds / axis.most_s * _BINS), _BINS - 1)
            colour = _ENDED.get(kind(entry), hue)
            bins[place][colour] = bins[place].get(colour, 0) + 1
    tallest = max(sum(each.values()) for each in bins) or 1
    width, most = axis.width / _BINS, _STRIP - 8
    drawn = []
    for place, each in enumerate(bins):
        base = top + _STRIP - 2.0
        for colour in sorted(each, key=lambda colour: colour != hue):
            high = max(each[colour] / tallest * most, 0.8)
            base -= high
            x = axis.left + place * width
            drawn.append(
                f'<rect x="{x:.1f}" y="{base:.1f}" width="{width - 0.6:.1f}" height="{high:.1f}" '
                f'fill="{colour}"/>'
            )
    return drawn


def _strip_names(model: str, ran: Sequence[tuple[Entry, float]]) -> tuple[str, str]:
    usual = duration(median(seconds for _, seconds in ran))
    return one_line(model, limit=60), f"{len(ran):,} · median {usual}"


def _hues(models: Iterable[str]) -> dict[str, str]:
    return {model: _HUES[n % len(_HUES)] for n, model in enumerate(dict.fromkeys(models))}
