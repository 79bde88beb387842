"""Owns pictures of a metric: its spread by group, and its course; the only user of matplotlib.

Figures are made without pyplot, which would keep each one open and show it a second time.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

from replicate_magic.errors import CellError, ReplicateMagicError
from replicate_magic.plain import did_you_mean, one_line
from replicate_magic.runs.frame import RUN_COLUMNS, is_frame, made
from replicate_magic.runs.measures import by_position, epoch_s, numbers

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PREFIXES = ("", "metrics.", "local.")
_MOST_GROUPS = 8
_FEW = 200
"""Up to so many points a group are drawn one by one beside its box."""
_WIDE = 50
"""From this ratio between the largest and the smallest value on the scale is logarithmic."""
_PARTS = (0.05, 0.25, 0.5, 0.75, 0.95)
_COLOURS = (  # told apart by colour-blind people too (Okabe and Ito), all dark enough on white
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5B4B8A", "#8C6D31",
)  # fmt: skip
_GREY = "#888888"
_MINUTE_DAYS = 1 / 1_440
_LAST_S = 1e11  # of what is a time, about the year 5000


def plot(frame: pd.DataFrame, metric: str = "metrics.predict_time", by: str = "model") -> Figure:
    """A picture of a metric in two panels: how it spreads in each group, and how it went.

    A box is the middle half of a group's values, with the median in it; the line reaches from the
    5th to the 95th percentile. The second panel has them by when the run was created, local time.

    Args:
        frame: of runs, or any with such a column.
        metric: a column of numbers; `predict_time` means `metrics.predict_time`, and
            `first_output_after_s` means `local.first_output_after_s`.
        by: the column whose values are the groups. Of many the largest are kept, the others are
            one.

    Returns:
        A matplotlib figure, which a notebook shows as it is; `.savefig("runs.png")` writes it.

    Raises:
        CellError: there is no such column, or no number in it; it says which there are.
        ReplicateMagicError: matplotlib is not installed.
    """
    make = _figure_class()
    if not is_frame(frame):
        raise CellError(f"A plot takes a frame of runs, not a {type(frame).__name__}: rm.runs().")
    if not len(frame):
        raise CellError("There are no runs to plot.")
    runs = by_position(frame)
    name, by = _metric(runs, metric), _column(runs, by)
    groups = _groups(runs, name, by)
    figure = make(figsize=(10, max(3.2, 2.0 + 0.45 * len(groups))), layout="constrained")
    spread, course = figure.subplots(1, 2, width_ratios=(1, 1.1))
    scale = _Scale.of(name, groups)
    _draw_spread(spread, groups, scale)
    _draw_course(course, groups, scale)
    spread.set_title(_label(f"{scale.words} by {_words(by)}"))
    return figure


@cache
def _figure_class() -> type[Figure]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ReplicateMagicError(
            'A plot needs matplotlib, which is not installed: pip install "replicate-magic[plot]"'
        ) from error

    class RunsFigure(Figure):
        """A figure that shows itself; matplotlib's own leave that to pyplot."""

        def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
            buffer = BytesIO()
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Glyph .* missing from")  # a box tells as much
                self.savefig(buffer, format="png", dpi=2 * self.dpi)  # sharp on dense screens
            return buffer.getvalue(), {"width": round(self.get_figwidth() * self.dpi)}

    return RunsFigure


# -- which columns ----------------------------------------------------------------------------


def _metric(runs: pd.DataFrame, metric: str) -> str:
    named = _found(runs, metric)
    if named is not None and _values(runs, named).notna().any():
        return named
    others = [name for name in runs.columns if name not in RUN_COLUMNS]
    known = [str(name) for name in others if numbers(runs, name).notna().any()]
    what = f"The runs have no metric {metric}" if named is None else f"No number is in {named}"
    raise CellError(_unknown(what, metric, known))


def _column(runs: pd.DataFrame, by: str) -> str:
    named = _found(runs, by)
    if named is not None:
        return named
    raise CellError(_unknown(f"The runs have no column {by}", by, map(str, runs.columns)))


def _found(runs: pd.DataFrame, name: str) -> str | None:
    names = (f"{prefix}{name}" for prefix in _PREFIXES)
    return next((full for full in names if full in runs.columns), None)


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    names = list(known)
    nearest = did_you_mean(name, [*names, *(full.partition(".")[2] for full in names)])
    return f"{one_line(what)}.{nearest} There are: {', '.join(names) or 'none'}."


def _values(runs: pd.DataFrame, name: str) -> pd.Series[float]:
    """The numbers of a column; of what is counted or timed, those that are not negative."""
    found = numbers(runs, name)
    return found.where(found >= 0) if _unit(name) else found


def _unit(name: str) -> str:
    """The unit in which Replicate, or we, give a metric of this name."""
    last = name.rpartition(".")[2]
    if last.endswith("tokens_per_second"):
        return "tokens per second"
    if last.endswith(("_s", "_time")) or last.startswith("time_to_"):
        return "seconds"
    if last.endswith("token_count"):
        return "tokens"
    return f"{last.removesuffix('_count')}s" if last.endswith("_count") else ""


def _words(name: str) -> str:
    return name.removeprefix("metrics.").removeprefix("local.").removesuffix("_s").replace("_", " ")


# -- groups -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """The runs of one group that have the metric.

    Attributes:
        label: its name.
        colour: its own.
        measured: its values of the metric.
        created_s: seconds since 1970, NaN where that is unknown.
    """

    label: str
    colour: str
    measured: pd.Series[float]
    created_s: pd.Series[float]


def _groups(runs: pd.DataFrame, name: str, by: str) -> list[_Group]:
    """The largest groups, then the rest as one."""
    values, created_s = _values(runs, name), epoch_s(runs, "created_at")
    missing = runs[by].isna().tolist()
    texts = [
        f"no {_words(by)}" if none else str(value)
        for none, value in zip(missing, runs[by].tolist(), strict=True)
    ]
    columns: dict[str, list[Any]] = {
        "group": texts, "value": values.to_list(), "created_s": created_s.to_list(),
    }  # fmt: skip
    table = made(columns).dropna(subset="value")
    sizes = table["group"].value_counts()
    kept = list(sizes.index[: _MOST_GROUPS if len(sizes) <= _MOST_GROUPS else _MOST_GROUPS - 1])
    parts = [(str(label), table[table["group"] == label]) for label in kept]
    colours = list(_COLOURS[: len(kept)])
    if len(sizes) > len(kept):
        parts.append((f"{len(sizes) - len(kept)} others", table[~table["group"].isin(kept)]))
        colours.append(_GREY)
    return [
        _Group(label=label, colour=colour, measured=part["value"], created_s=part["created_s"])
        for (label, part), colour in zip(parts, colours, strict=True)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """What the values are, and how their axis is divided.

    Attributes:
        words: the metric's name as people say it.
        unit: of the values; empty where it is not known.
        ratio: how many times the smallest value the largest is; 1 where the axis is linear.
        from_zero: whether the axis begins there.
    """

    words: str
    unit: str
    ratio: float
    from_zero: bool

    @classmethod
    def of(cls, name: str, groups: list[_Group]) -> _Scale:
        low = min(group.measured.min() for group in groups)
        high = max(group.measured.max() for group in groups)
        ratio = high / low if low > 0 and high / low >= _WIDE else 1.0
        unit, from_zero = _unit(name), low >= 0 and high > 0 and ratio == 1
        return cls(words=_words(name), unit=unit, ratio=ratio, from_zero=from_zero)

    def label(self) -> str:
        """What stands beside the axis."""
        unit = self.unit if self.unit != self.words else ""
        parts = [unit, "log scale" if self.ratio > 1 else ""]
        told = ", ".join(filter(None, parts))
        return _label(f"{self.words} ({told})" if told else self.words)


# -- the panels -------------------------------------------------------------------------------


def _draw_spread(axes: Axes, groups: list[_Group], scale: _Scale) -> None:
    if scale.ratio > 1:
        axes.set_xscale("log")
    for place, group in enumerate(groups):
        low, lower, middle, upper, high = group.measured.quantile(list(_PARTS))
        axes.hlines(place, low, high, color=group.colour, linewidth=1.2)
        axes.barh(place, upper - lower, left=lower, height=0.5, color=group.colour, alpha=0.3)
        axes.vlines(middle, place - 0.25, place + 0.25, color=group.colour, linewidth=2.5)
        points = (
            group.measured if len(group.measured) <= _FEW else group.measured.agg(["min", "max"])
        )
        heights = [place + offset for offset in _offsets(len(points))]
        axes.plot(points, heights, "o", color=group.colour, markersize=3, alpha=0.7)
    axes.set_yticks(range(len(groups)), [_name_and_count(group) for group in groups])
    axes.set_ylim(len(groups) - 0.5, -0.5)  # the largest at the top
    axes.set_xlabel(scale.label())
    _dress(axes, "x", scale)


def _draw_course(axes: Axes, groups: list[_Group], scale: _Scale) -> None:
    if scale.ratio > 1:
        axes.set_yscale("log")
    total = sum(len(group.measured) for group in groups)
    size, alpha = (5.0, 0.75) if total <= 300 else (3.0, 0.5) if total <= 5_000 else (1.5, 0.25)
    days: list[float] = []
    for group in groups:
        known = group.created_s.between(0, _LAST_S)
        course = [_day(at_s) for at_s in group.created_s[known]]
        days += course
        axes.plot(
            course, group.measured[known].to_list(), "o", color=group.colour, markersize=size,
            alpha=alpha, markeredgewidth=0, rasterized=total > 5_000,
        )  # fmt: skip
    axes.set_title("by time of creation (local)")
    axes.set_ylabel(scale.label())
    _dress(axes, "y", scale)
    _divide_time(axes, days)


def _divide_time(axes: Axes, days: list[float]) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    if not days:
        axes.set_xticks([])
        axes.set_xlabel("no time is known")
        return
    margin = max((max(days) - min(days)) * 0.03, _MINUTE_DAYS)
    axes.set_xlim(min(days) - margin, max(days) + margin)
    locator = AutoDateLocator(minticks=3, maxticks=7)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def _day(at_s: float) -> float:
    """Days since 1970 in local time, as matplotlib counts them."""
    local = datetime.fromtimestamp(at_s)  # noqa: DTZ006  (as the table has it)
    return (local - datetime(1970, 1, 1)) / timedelta(days=1)  # noqa: DTZ001  (local too)


def _dress(axes: Axes, which: Literal["x", "y"], scale: _Scale) -> None:
    """Plain numbers and a quiet grid along the axis of the values."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis = axes.xaxis if which == "x" else axes.yaxis
    if scale.ratio > 1:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if scale.ratio < 2_000 else (1,)))
        axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(FuncFormatter(_tick))
    if scale.from_zero:
        high = axis.get_view_interval()[1]
        (axes.set_xlim if which == "x" else axes.set_ylim)(-0.02 * high, 1.03 * high)
    axes.grid(visible=True, axis=which, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _tick(value: float, _: int | None = None) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:g}"


def _name_and_count(group: _Group) -> str:
    count = len(group.measured)
    return f"{_label(one_line(group.label, limit=36))}\n{count:,} run{'s' * (count != 1)}"


def _offsets(count: int) -> list[float]:
    """How far points stand from the middle of their row: evenly strewn, the same every time."""
    golden = 0.618034
    return [((place * golden) % 1 - 0.5) * 0.4 if count > 2 else 0.0 for place in range(count)]


def _label(text: Any) -> str:
    """Text that matplotlib draws as it stands: between two `$` it would read a formula."""
    return one_line(str(text)).replace("$", r"\$")
