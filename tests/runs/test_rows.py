"""The rows of a DataFrame, as a cell of many requests sees them."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from replicate_magic.cell.many import call_items, call_many
from replicate_magic.cell.plan import read_target
from replicate_magic.errors import CellError
from replicate_magic.runs.frame import rows_from, rows_of, runs_frame

NOON = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)


def kinds(row):
    return {name: type(value) for name, value in row.items()}


def test_a_row_is_a_dict_of_pythons_own_values():
    frame = pd.DataFrame({
        "i": [1, 2], "f": [0.5, np.nan], "s": ["a", None], "b": [True, False],
        "small": np.array([1, 2], dtype="uint8"),
        "object": pd.Series([np.int64(3), np.float32(0.5)], dtype=object),
        "I": pd.array([1, None], dtype="Int64"), "c": pd.Categorical(["x", None]),
        "when": pd.to_datetime([NOON, None]), "list": [[1, None], {"a": 1}],
    })  # fmt: skip
    first, second = rows_of(frame)

    assert first == {
        "i": 1, "f": 0.5, "s": "a", "b": True, "small": 1, "object": 3, "I": 1, "c": "x",
        "when": NOON, "list": [1, None],
    }  # fmt: skip
    assert second == {
        "i": 2, "f": None, "s": None, "b": False, "small": 2, "object": 0.5, "I": None, "c": None,
        "when": None, "list": {"a": 1},
    }  # fmt: skip
    assert {type(first[name]) for name in ("i", "small", "object", "I")} == {int}
    assert (type(first["b"]), type(first["f"]), type(second["object"])) == (bool, float, float)
    assert isinstance(first["when"], dt.datetime)


def test_whole_numbers_beside_others_stay_whole():
    [row] = rows_of(pd.DataFrame({"n": [2**53 + 1], "x": [0.5]}))

    assert row == {"n": 2**53 + 1, "x": 0.5}


def test_rows_are_counted_and_may_be_taken_again():
    rows = rows_of(pd.DataFrame({"n": range(2_500)}))

    assert len(rows) == 2_500
    assert [row["n"] for row in rows] == [row["n"] for row in rows] == list(range(2_500))


def test_a_column_that_is_set_later_is_not_seen():
    frame = pd.DataFrame({"n": [1]})
    rows = rows_of(frame)
    frame["n"] = 2
    frame["m"] = 3

    assert list(rows) == [{"n": 1}]


def test_the_index_is_not_among_the_columns():
    assert list(rows_of(pd.DataFrame({"n": [1]}, index=["a"]))) == [{"n": 1}]


def test_a_series_is_its_values():
    assert rows_from(pd.Series([1, 2])) == [1, 2]
    assert [type(value) for value in rows_from(pd.Series([1, 2]))] == [int, int]
    assert rows_from(pd.Series(["a", None, np.nan], dtype=object)) == ["a", None, None]


def test_anything_else_that_gives_rows_is_taken_as_it_is():
    rows = ({"n": n} for n in range(2))

    assert rows_from(rows) is rows


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"a": []}), r"df has no rows\."),
        (pd.DataFrame(), "df has no columns"),
        (pd.DataFrame(index=[1, 2]), "df has no columns"),
        (pd.Series([], dtype=object), r"df has no rows\."),
        (
            pd.DataFrame([[1, 2, 3, 4]], columns=["a", "b", "a", "b"]),
            r"df: more than one column is named a, b\.",
        ),
        (
            pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")])),
            r"df: its columns have 2 levels.*join",
        ),
        ({"a": [1, 2]}, r"df is one dict: rows are a list of such\. pandas\.DataFrame"),
        ("abc", "df is a text: give a DataFrame"),
    ],
)
def test_what_gives_no_rows_is_refused(frame, message):
    with pytest.raises(CellError, match=message):
        rows_from(frame, "df")


def test_the_columns_of_several_levels_are_joined_as_the_message_says():
    frame = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", 1)]))
    frame.columns = ["_".join(map(str, c)) for c in frame.columns]

    assert list(rows_from(frame)) == [{"a_x": 1, "a_1": 2}]


def test_a_frame_of_runs_gives_rows_too():
    names = ("id", "origin", "model", "version", "status", "prompt", "output", "error", "tag")
    columns = {name: [name] for name in names}
    columns |= {f"{when}_us": [None] for when in ("created", "started", "completed")}
    frame = runs_frame({**columns, "metrics": ['{"predict_time": 0.5}'], "local": ["{}"]})
    [row] = rows_from(frame)

    assert (row["output"], row["metrics.predict_time"], row["created_at"]) == ("output", 0.5, None)


def test_a_frame_is_taken_apart_into_requests():
    frame = pd.DataFrame({"text": ["a", "b"], "n": [1, None], "items": ["x", "y"]})
    many = call_many((read_target("acme/a"),), rows=rows_from(frame))
    items = list(call_items(many, {"prompt": "{{row.text}} {{row.items}}", "n": "{{row.n}}"}))

    assert many.total == len(items) == 2
    assert [dict(item.draft.inputs) for item in items] == [
        {"prompt": "a x", "n": 1.0}, {"prompt": "b y"},
    ]  # fmt: skip
    assert items[1].row == {"text": "b", "n": None, "items": "y"}
