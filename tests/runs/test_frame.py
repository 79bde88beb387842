"""The DataFrame of runs: its columns, their types, and odd metrics."""

from __future__ import annotations

import json
import math

import pandas as pd
import pytest

from replicate_magic.runs.frame import TEXT, runs_frame, values_frame

PLAIN = ["id", "origin", "model", "version", "status", "prompt", "output", "error", "tag"]


def frame(*rows):
    """A frame of rows that name only what matters."""
    columns = {name: [row.get(name) for row in rows] for name in PLAIN}
    columns |= {f"{when}_us": [row.get(f"{when}_us") for row in rows]
                for when in ("created", "started", "completed")}  # fmt: skip
    for name in ("metrics", "local"):
        columns[name] = [json.dumps(row.get(name, {})) for row in rows]
    return runs_frame(columns)


def test_the_columns_stand_in_their_order_with_their_types():
    found = frame({
        "id": "abc", "model": "a/b", "version": "hidden", "status": "succeeded", "prompt": "hi",
        "output": "Hello", "created_us": 1_767_225_600_123_456, "metrics": {"predict_time": 0.5},
        "local": {"retries": 1},
    })  # fmt: skip

    assert {name: str(kind) for name, kind in found.dtypes.items()} == {
        "id": TEXT, "model": "category", "version": "category", "status": "category",
        "prompt": TEXT, "output": TEXT, "error": TEXT, "created_at": "datetime64[us, UTC]",
        "started_at": "datetime64[us, UTC]", "completed_at": "datetime64[us, UTC]", "tag": TEXT,
        "metrics.predict_time": "Float64", "local.retries": "Int64", "local.origin": TEXT,
    }  # fmt: skip
    assert found.loc[0, "created_at"] == pd.Timestamp("2026-01-01T00:00:00.123456Z")
    assert found.loc[0, "started_at"] is pd.NaT


def test_no_runs_are_a_frame_with_its_columns():
    empty = frame()

    assert len(empty) == 0
    assert list(empty.columns[:3]) == ["id", "model", "version"]
    assert str(empty["created_at"].dtype) == "datetime64[us, UTC]"


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, None, 3], "Int64"),
        ([1, 2.5], "Float64"),
        ([-0.5, None], "Float64"),
        ([2**63, 1], "Float64"),
        ([True, None], "boolean"),
        ([True, 1], TEXT),
        (["hd", None], TEXT),
        ([[1, 2], 3], TEXT),
    ],
)
def test_a_metric_has_the_type_of_its_values(values, kind):
    rows = [{"metrics": {} if value is None else {"m": value}} for value in values]

    assert str(frame(*rows)["metrics.m"].dtype) == kind


def test_what_a_run_lacks_is_missing_and_not_nan():
    found = frame({"metrics": {"predict_time": 1.0}}, {"metrics": {}})

    assert found["metrics.predict_time"].isna().tolist() == [False, True]
    assert not (found["metrics.predict_time"] < 2).fillna(value=False)[1]


def test_a_number_that_is_none_does_not_break_the_frame():
    found = frame({"metrics": {"speed": math.nan}}, {"metrics": {"speed": math.inf}})

    assert str(found["metrics.speed"].dtype) == "Float64"


def test_both_schemes_of_token_counts_share_one_name():
    found = frame(
        {"metrics": {"input_token_count": 3}},
        {"metrics": {"token_input_count": 5}},
        {"metrics": {"input_token_count": 7, "token_input_count": 8}},
        {"metrics": {"token_output_count": 9}},
    )

    assert found["metrics.input_token_count"].tolist()[:3] == [3, 5, 7]
    assert found["metrics.token_input_count"].tolist()[1:3] == [5, 8]
    assert found["metrics.output_token_count"].tolist()[3] == 9


def test_the_rows_keep_their_order():
    assert frame(*({"id": name} for name in "cab"))["id"].tolist() == ["c", "a", "b"]


def test_words_of_a_model_are_no_formula_and_steer_no_terminal_where_pandas_shows_them():
    frame = values_frame([{"a": r"$\unicode[x]{1}$ \x1b]52;c;eA==\x07 \x9b2J \u202e"}])

    assert "tex2jax_ignore" in frame._repr_html_()
    for shown in (repr(frame), str(frame), f"{frame[['a']]}"):
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(shown)
    assert frame["a"][0].startswith(r"$\unicode")
