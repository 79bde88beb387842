"""Owns the DataFrame of runs: its columns and their types; the only user of pandas.

It is built by columns from what history keeps apart from the documents, and parses none of them.
"""

from __future__ import annotations

import json
import warnings
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import pandas as pd

from replicate_magic.cell.rows import rows_in
from replicate_magic.errors import CellError
from replicate_magic.plain import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

RUN_COLUMNS = (
    "id", "model", "version", "status", "prompt", "output", "error", "created_at", "started_at",
    "completed_at", "tag",
)  # fmt: skip
"""The columns of every frame of runs; then come `metrics.NAME…` and `local.NAME…`."""
TEXT = "str" if int(pd.__version__.split(".")[0]) >= 3 else "string"
"""The type of text columns: pandas 3 has `str`; before it there is `string`."""
_CATEGORIES = ("model", "version", "status")
_TIMES = ("created", "started", "completed")
_COMMON = {
    # models count tokens under two schemes of names: https://replicate.com/docs/reference/http
    "input_token_count": "token_input_count",
    "output_token_count": "token_output_count",
}
_LARGEST = 2**63


class RunsFrame(pd.DataFrame):
    """A DataFrame that a notebook shows as a short table; all else is pandas' own.

    What is selected from it is one too. Pickled it is a plain `DataFrame`, which others can load.
    """

    @property
    def _constructor(self) -> type[RunsFrame]:
        return RunsFrame

    def __reduce_ex__(self, _protocol: Any) -> Any:
        return pd.DataFrame, (), pd.DataFrame(self).__getstate__()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str] | None:
        # A value shows itself; None leaves it to pandas.
        from replicate_magic.views.table import table_bundle

        return table_bundle(self)

    def _repr_html_(self) -> str | None:
        # Pages typeset what stands between two `$`, and these are a model's words.
        with pd.option_context("display.html.use_mathjax", False):  # noqa: FBT003  (pandas' protocol)
            html: str | None = super()._repr_html_()  # type: ignore[misc]  # not in its stubs
        return html

    def __repr__(self) -> str:
        return printable(super().__repr__())  # a terminal obeys them


def made(columns: Mapping[str, Sequence[Any]]) -> RunsFrame:
    """A frame of plain columns, their types as pandas finds them."""
    return RunsFrame(dict(columns))


def is_runs(frame: pd.DataFrame) -> bool:
    """Whether a frame has the columns that tell a prediction: then its rows stand for runs.

    What jq made of runs may have their names too, and then has the times as text.
    """
    names = frame.columns.tolist()
    if not all(names.count(name) == 1 for name in ("id", "model", "version", "status")):
        return False
    return names.count("created_at") == 1 and isinstance(
        frame["created_at"].dtype, pd.DatetimeTZDtype
    )


def pairs_of(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """The id and the origin of each run of a frame; an empty text where there is none."""
    origins = frame["local.origin"] if "local.origin" in frame.columns else [None] * len(frame)
    return [
        (name if isinstance(name, str) else "", origin if isinstance(origin, str) else "")
        for name, origin in zip(frame["id"], origins, strict=True)
    ]


def runs_frame(columns: Mapping[str, Sequence[Any]]) -> RunsFrame:
    """One row a prediction, in the order of the columns' values.

    Args:
        columns: `id, origin, model, version, status, prompt, output, error, tag` as text or `None`;
            `created_us, started_us, completed_us` in microseconds since 1970 (UTC) or `None`;
            `metrics` and `local` as the JSON texts of flat objects.

    Returns:
        The columns `id, model, version, status, prompt, output, error, created_at, started_at,
        completed_at, tag, metrics.NAME…, local.NAME…`. Model, version and status are categories;
        times are `datetime64[us, UTC]`; numbers `Int64` or `Float64` in the units of the API
        (seconds, tokens); text is `str` (`string` before pandas 3). Both schemes of token counts
        are also under `metrics.input_token_count` and `metrics.output_token_count`.
    """
    series: dict[str, Any] = {"id": _text(columns["id"])}
    series |= {name: pd.Categorical(columns[name]) for name in _CATEGORIES}
    series |= {name: _text(columns[name]) for name in ("prompt", "output", "error")}
    series |= {f"{name}_at": _times(columns[f"{name}_us"]) for name in _TIMES}
    series["tag"] = _text(columns["tag"])
    series |= _measures("metrics", columns["metrics"], common=_COMMON)
    series |= _measures("local", columns["local"], common={})
    series["local.origin"] = _text(columns["origin"])
    return RunsFrame(series)


def batch_frame(
    columns: Mapping[str, Sequence[Any]],
    *,
    inputs: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
) -> RunsFrame:
    """The frame of a batch: as `runs_frame`, with what was sent and the rows it came from.

    Args:
        columns: as `runs_frame` takes them; an id may be `None`.
        inputs: what was sent of each request: the columns `input.NAME…`, behind `tag`.
        rows: the rows that the requests came from: the columns `row.NAME…`, at the end.
    """
    frame = runs_frame(columns)
    of_runs = len(RUN_COLUMNS)
    return RunsFrame(
        {
            **{name: frame[name] for name in frame.columns[:of_runs]},
            **_named("input", inputs),
            **{name: frame[name] for name in frame.columns[of_runs:]},
            **_named("row", rows),
        }
    )


def _named(prefix: str, objects: Sequence[Mapping[str, Any]]) -> dict[str, pd.Series[Any]]:
    found: dict[str, list[Any]] = {}
    for number, one in enumerate(objects):
        for name, value in one.items():
            if name not in found:
                found[name] = [None] * len(objects)
            found[name][number] = value
    return {f"{prefix}.{name}": _numbers_text_or_objects(values) for name, values in found.items()}


# -- frames of what jq gives ------------------------------------------------------------------


def values_frame(values: Sequence[Any]) -> RunsFrame:
    """One row a JSON value.

    The names of objects are columns, in the order in which they are first seen; other values stand
    in the column `value`. Numbers are `Int64` or `Float64`, truth values `boolean`, text is `str`;
    arrays and objects stay Python's.
    """
    found: dict[str, list[Any]] = {}
    for number, value in enumerate(values):
        for name, inner in (value if isinstance(value, dict) else {"value": value}).items():
            if name not in found:
                found[name] = [None] * len(values)
            found[name][number] = inner
    if not found and not any(isinstance(value, dict) for value in values):
        found["value"] = []
    series = {name: _numbers_text_or_objects(column) for name, column in found.items()}
    return RunsFrame(series, index=range(len(values)))


def _numbers_text_or_objects(values: list[Any]) -> pd.Series[Any]:
    if any(isinstance(value, list | dict) for value in values):
        return pd.Series(values, dtype=object)
    return _numbers_or_text(values)


# -- the rows of a table ----------------------------------------------------------------------

_AT_ONCE = 1_000


def rows_from(given: Any, name: str = "rows") -> Iterable[Any]:
    """What is given for rows, as something that gives one after the other.

    Args:
        given: a DataFrame, of whose rows each is a dict; a Series, of which each value is one; a
            list, a generator or any other iterable.
        name: what it is called in messages.

    Raises:
        CellError: it is none of these, or is known to be empty.
    """
    if isinstance(given, pd.DataFrame):
        return rows_of(given, name)
    return rows_in(_values(given) if isinstance(given, pd.Series) else given, name)


def rows_of(frame: pd.DataFrame, name: str = "rows") -> Rows:
    """The rows of a frame as dicts; its index is not among the columns.

    Args:
        frame: the frame.
        name: what it is called in messages.

    Raises:
        CellError: it has no rows, two columns have one name, or a column's name has levels.
    """
    twice = frame.columns[frame.columns.duplicated()].unique().tolist()
    if frame.columns.nlevels > 1:
        raise CellError(
            f"{name}: its columns have {frame.columns.nlevels} levels, so that {{{{row.column}}}} "
            'names none. df.columns = ["_".join(map(str, c)) for c in df.columns] joins them.'
        )
    if twice:
        raise CellError(f"{name}: more than one column is named {', '.join(map(str, twice))}.")
    if frame.empty:
        raise CellError(f"{name} has no {'rows' if len(frame.columns) else 'columns'}.")
    return Rows(frame)


class Rows:
    """The rows of a frame, made as they are needed, any number of times.

    Each is a dict by column of Python's own values, `None` where one is missing.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame.copy(deep=False)  # what is set later is not seen, with copy-on-write

    def __len__(self) -> int:
        return len(self._frame)

    def __iter__(self) -> Iterator[dict[Any, Any]]:
        names = self._frame.columns.tolist()
        for start in range(0, len(self), _AT_ONCE):
            part = self._frame.iloc[start : start + _AT_ONCE]
            columns = [_values(part.iloc[:, number]) for number in range(len(names))]
            for row in zip(*columns, strict=True):
                yield dict(zip(names, row, strict=True))


def _values(series: pd.Series[Any]) -> list[Any]:
    values = series.astype(object).tolist()
    return [
        None if missing else value.item() if isinstance(value, np.generic) else value
        for value, missing in zip(values, series.isna().tolist(), strict=True)
    ]


# -- any frame, as jq sees it -----------------------------------------------------------------


def is_frame(data: object) -> TypeGuard[pd.DataFrame]:
    """Whether it is a DataFrame."""
    return isinstance(data, pd.DataFrame)


def records_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """One JSON object a row; the column `a.b` is `b` within `a`, times are ISO 8601 text.

    Missing values are null. A column `a` beside `a.b` keeps both as they are named.
    """
    names = [str(name) for name in frame.columns]
    flat = set(names)
    columns = [_plain_values(frame.iloc[:, number]) for number in range(len(names))]
    paths = [name.split(".") for name in names]
    ways = [
        (path[:-1], path[-1]) if flat.isdisjoint(_above(path)) else ([], name)
        for name, path in zip(names, paths, strict=True)
    ]
    records = []
    for row in zip(*columns, strict=True):
        record: dict[str, Any] = {}
        for (above, name), value in zip(ways, row, strict=True):
            inner = record
            for step in above:
                inner = inner.setdefault(step, {})
            inner[name] = value
        records.append(record)
    return records


def _above(path: list[str]) -> list[str]:
    return [".".join(path[:length]) for length in range(1, len(path))]


def _plain_values(series: pd.Series[Any]) -> list[Any]:
    """Values that JSON can hold, or that are written as their text."""
    if isinstance(series.dtype, pd.DatetimeTZDtype) or series.dtype.kind == "M":
        return [None if pd.isna(time) else _iso(time) for time in series]
    return [_plain(value) for value in series.astype(object).tolist()]


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, datetime) and not pd.isna(value):
        return _iso(value)
    return None if pd.api.types.is_scalar(value) and pd.isna(value) else value


def _iso(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def register(name: str, accessor: type[Any]) -> None:
    """Have `frame.NAME` be what the accessor makes of the frame."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # there is one already: a reload of ours
        pd.api.extensions.register_dataframe_accessor(name)(accessor)


def _text(values: Sequence[str | None]) -> pd.Series[Any]:
    return pd.Series(values, dtype=TEXT)


def _times(values: Sequence[int | None]) -> pd.Series[Any]:
    micros = pd.array(values, dtype="Int64").to_numpy("int64", na_value=pd.NaT.value)
    return pd.Series(micros.view("datetime64[us]")).dt.tz_localize("UTC")


def _measures(
    prefix: str, texts: Sequence[str], *, common: Mapping[str, str]
) -> dict[str, pd.Series[Any]]:
    """Columns from flat JSON objects, one a name, in the order the names are first seen."""
    found: dict[str, list[Any]] = {}
    for number, text in enumerate(texts):
        if text in {"{}", "", None}:
            continue
        for name, value in json.loads(text).items():
            values = found.get(name)
            if values is None:
                values = found[name] = [None] * len(texts)
            values[number] = value
    for name, other in common.items():
        if other in found:
            ours = found.get(name) or [None] * len(texts)
            pairs = zip(ours, found[other], strict=True)
            found[name] = [ours if ours is not None else theirs for ours, theirs in pairs]
    return {f"{prefix}.{name}": _numbers_or_text(values) for name, values in found.items()}


def _numbers_or_text(values: list[Any]) -> pd.Series[Any]:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return pd.Series(values, dtype="boolean")
    if kinds == {int} and all(abs(value) < _LARGEST for value in values if value is not None):
        return pd.Series(values, dtype="Int64")
    if kinds <= {int, float}:
        with suppress(OverflowError):  # an integer beyond any float stays as it was written
            return pd.Series(_as_floats(values), dtype="Float64")
    return _text([value if value is None else _word(value) for value in values])


def _as_floats(values: Iterable[Any]) -> list[float | None]:
    return [None if value is None else float(value) for value in values]


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
