"""Owns numbers read from columns that may hold anything; must not know what they are for.

A frame may have any index and columns of any kind, and two columns of one name: the first counts.
"""

from __future__ import annotations

from datetime import UTC, datetime
from math import nan
from numbers import Real
from typing import TYPE_CHECKING, Any

from replicate_magic.runs.frame import made

if TYPE_CHECKING:
    import pandas as pd

MOST = 1e12
"""What is beyond this many seconds or tokens was not measured."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def by_position(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with each name once, its rows counted from 0."""
    return frame.loc[:, ~frame.columns.duplicated()].reset_index(drop=True)


def numbers(frame: pd.DataFrame, name: str) -> pd.Series[float]:
    """A column as `float64`, NaN for what is no number, infinite, or beyond 1e12 either way.

    Args:
        frame: as `by_position` gives it.
        name: of a column; where there is none, all is NaN.
    """
    if name not in frame.columns:
        return _unknown(frame)
    column = frame[name]
    if column.dtype.kind in "iuf":
        found = column.astype("float64")
    else:
        found = made({name: [_number(value) for value in column.tolist()]})[name].astype("float64")
    return found.where(found.abs() <= MOST)


def measured(frame: pd.DataFrame, name: str) -> pd.Series[float]:
    """As `numbers`, NaN also for what is negative: time and tokens are not."""
    found = numbers(frame, name)
    return found.where(found >= 0)


def epoch_s(frame: pd.DataFrame, name: str) -> pd.Series[float]:
    """A column of times as seconds since 1970, UTC, NaN for what is none.

    Args:
        frame: as `by_position` gives it.
        name: of a column; where it is missing, or not of times, all is NaN.
    """
    if name not in frame.columns or frame[name].dtype.kind != "M":
        return _unknown(frame)
    times: Any = frame[name].dt
    aware = times.tz_localize("UTC") if times.tz is None else frame[name]
    return (aware - _EPOCH).dt.total_seconds()


def _unknown(frame: pd.DataFrame) -> pd.Series[float]:
    return made({"unknown": [nan] * len(frame)})["unknown"].astype("float64")


def _number(value: Any) -> float:
    """Where a column has values of several kinds, its numbers may be text."""
    if isinstance(value, bool) or not isinstance(value, Real | str):
        return nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return nan
