"""jq over frames of runs, over any other frame, and over lists: the real engine, a real history."""

from __future__ import annotations

import json
import pickle
import time
import warnings

import numpy as np
import pandas as pd
import pytest

import replicate_magic as rm
from replicate_magic.errors import JqError
from replicate_magic.runs.frame import TEXT, RunsFrame, records_of, values_frame
from replicate_magic.runs.history import the_history
from replicate_magic.runs.record import Record

pytestmark = pytest.mark.usefixtures("home")


def keep(name, *, status="succeeded", model="acme/poet", day=1, local=(), **raw):
    """A run of the history."""
    whole = {
        "id": name, "model": model, "version": "v1", "status": status,
        "created_at": f"2026-01-{day:02}T00:00:00Z", "input": {"prompt": f"about {name}"},
        "output": ["a", "b"], "metrics": {"predict_time": day / 2}, **raw,
    }  # fmt: skip
    the_history().save(
        Record(raw=whole, model=model, origin="https://x/v1", prompt=f"about {name}", output="ab",
               local=dict(local))
    )  # fmt: skip


@pytest.fixture
def runs():
    """Six runs, newest first: f e d c b a; predict_time 3 to 0.5, c has failed without any."""
    for day, name in enumerate("abcdef", 1):
        failed = name == "c"
        keep(
            name, day=day, status="failed" if failed else "succeeded",
            model="acme/poet" if day % 2 else "acme/painter",
            metrics={} if failed else {"predict_time": day / 2}, local={"tag": name.upper()},
        )  # fmt: skip
    return rm.runs()


# -- filter -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "program",
    [
        ".metrics.predict_time > 2",
        "select(.metrics.predict_time > 2)",
        ".metrics | .predict_time>2",
    ],
)
def test_a_filter_keeps_the_rows_by_a_predicate_or_by_select(runs, program):
    kept = runs.jq.filter(program)

    assert kept["id"].tolist() == ["f", "e"]
    pd.testing.assert_frame_equal(kept, runs.iloc[:2])


def test_null_is_less_than_any_number(runs):
    assert runs.jq.filter(".metrics.predict_time < 1")["id"].tolist() == ["c", "a"]


def test_the_document_is_the_predictions_own_json_with_ours_as_local(runs):
    assert runs.jq.filter('.input.prompt == "about d" and .local.tag == "D"')["id"].tolist() == [
        "d"
    ]
    assert runs.jq.map(".output")["value"].tolist() == [["a", "b"]] * 6


def test_documents_are_found_however_the_frame_was_changed(runs):
    changed = runs.sort_values("id").reset_index(drop=True)
    changed["mine"] = range(6)
    changed = pd.concat([changed[changed["status"] == "succeeded"], changed.iloc[:1]])
    program = '.input.prompt == "about a"'

    assert changed.jq.filter(program)["id"].tolist() == ["a", "a"]
    assert changed.drop(columns=["prompt"]).jq.map(".input.prompt")["value"].iloc[1] == "about b"
    assert pickle.loads(pickle.dumps(runs)).jq.filter(program)["id"].tolist() == ["a"]


def test_integers_beyond_a_float_survive_a_filter():
    keep("big", metrics={"predict_time": 2**53 + 1})

    assert rm.runs().jq.filter(".metrics.predict_time > 1")["metrics.predict_time"].tolist() == [
        2**53 + 1
    ]


def test_a_row_on_which_the_program_fails_is_named(runs):
    with pytest.raises(JqError, match=r"run f\); 4 more of the first 6 fail"):
        runs.jq.filter('if .metrics.predict_time then error("no") else true end')


def test_rows_on_which_it_fails_can_be_left_out(runs):
    program = 'if .id == "c" then error("no") else true end'
    with pytest.warns(UserWarning, match=r"failed on 1 of 6 rows.*run c"):
        kept = runs.jq.filter(program, skip_errors=True)

    assert kept["id"].tolist() == list("fedba")


def test_a_filter_that_looks_like_a_map_says_so(runs):
    with pytest.warns(UserWarning, match=r"use \.jq\.map"):
        assert len(runs.jq.filter("{id}")) == 6


def test_a_program_that_does_not_compile_shows_where(runs):
    with pytest.raises(JqError, match=r"(?s)syntax error.*\^"):
        runs.jq.filter(".a ==")


def test_values_are_bound_by_name(runs):
    assert runs.jq.filter(".id == $x", args={"x": "b"})["id"].tolist() == ["b"]
    assert runs.jq.all("map(.id) - $gone", args={"gone": ["a", "b"]})["value"].tolist() == [*"fedc"]


def test_the_environment_is_not_seen(runs, monkeypatch):
    monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_secret")
    for program in ("env", "$ENV", "input", 'import "a" as a; .', "halt"):
        with pytest.raises(JqError, match="not available"):
            runs.jq.map(program)


# -- map and all ------------------------------------------------------------------------------


def test_objects_become_columns_with_types(runs):
    made = runs.jq.map('{id, t: .metrics.predict_time, ok: (.status == "succeeded")}')

    assert made["id"].tolist() == list("fedcba")
    assert {name: str(kind) for name, kind in made.dtypes.items()} == {
        "id": TEXT, "t": "Float64", "ok": "boolean",
    }  # fmt: skip
    assert made["t"].isna().tolist() == [False, False, False, True, False, False]


def test_no_output_is_no_row_and_several_are_several(runs):
    assert runs.jq.map('select(.id > "d") | .id, 1')["value"].tolist() == ["f", "1", "e", "1"]
    assert len(runs.jq.map("empty")) == 0


def test_all_takes_the_whole_list(runs):
    made = runs.jq.all("group_by(.model) | map({model: .[0].model, n: length})")

    assert made.to_dict("records") == [
        {"model": "acme/painter", "n": 3}, {"model": "acme/poet", "n": 3},
    ]  # fmt: skip
    assert runs.jq.all("length") == 6
    assert runs.jq.all("map(.metrics.predict_time) | add") == 9


# -- what is no frame of runs -----------------------------------------------------------------


def test_any_other_frame_is_filtered_by_what_it_holds():
    frame = pd.DataFrame({"a": [1, 2, None], "b.c": ["x", "y", "z"], "t": pd.to_datetime("2026")})

    assert rm.jq(frame).filter(".a > 1")["b.c"].tolist() == ["y"]
    assert frame.jq.map(".b.c")["value"].tolist() == ["x", "y", "z"]
    assert frame.jq.map("[.a, .t]")["value"].tolist()[2] == [None, "2026-01-01T00:00:00"]


def test_what_a_map_gave_is_filtered_by_what_it_holds_though_it_has_ids(runs):
    made = runs.jq.map("{id, twice: (.metrics.predict_time // 0) * 2}")

    assert made.jq.filter(".twice > 4")["id"].tolist() == ["f", "e"]


def test_what_a_map_gave_is_no_run_though_it_has_a_runs_columns(runs):
    made = runs.jq.map("{id, model, version, status, created_at, cost: 1}")

    assert len(made.jq.filter(".cost == 1")) == 6


def test_two_columns_of_one_name_are_seen_as_they_stand(runs):
    twice = pd.concat([runs, runs["id"]], axis=1)

    assert len(twice.jq.filter('.status == "failed"')) == 1


def test_one_id_of_two_origins_is_two_runs(runs):
    whole = {"id": "f", "status": "failed", "created_at": "2026-02-01T00:00:00Z"}
    other = Record(raw=whole, model="o/n", origin="http://y/v1")
    the_history().save(other)
    both = rm.runs()

    assert both.jq.map(".status")["value"].tolist()[:2] == ["failed", "succeeded"]
    assert both.jq.filter('.status == "succeeded"')["id"].tolist() == list("fedba")


def test_many_rows_without_a_document_are_as_quick_as_plain_ones(runs):
    frame = pd.concat([runs] * 300, ignore_index=True)
    frame["id"] = [f"gone{number}" for number in range(len(frame))]
    began_s = time.monotonic()
    with pytest.warns(UserWarning, match="not in the history any more"):
        assert len(frame.jq.filter('.status == "failed"')) == 300

    assert time.monotonic() - began_s < 5


def test_numbers_beyond_a_float_are_kept_as_they_were_written():
    keep("odd", metrics={"n": 10**400, "m": float("inf")})

    assert rm.runs()["metrics.n"].tolist() == [str(10**400)]
    assert rm.jq([{"a": 10**400}]).filter(".a > 1") == [{"a": 10**400}]


def test_a_history_without_runs_is_filtered_to_none():
    empty = rm.runs().jq.filter(".id")

    assert list(empty.columns) == list(rm.runs().columns)


def test_lists_keep_their_items_as_they_are():
    items = [{"a": 1}, {"a": 2}]

    assert rm.jq(items).filter(".a > 1") == [items[1]]
    assert rm.jq(['{"a": 1}', '{"a": 2}']).filter(".a > 1") == ['{"a": 2}']
    assert rm.jq(items).map(".a")["value"].tolist() == [1, 2]
    assert rm.jq([]).all("length") == 0


def test_what_is_neither_is_refused():
    with pytest.raises(JqError, match=r"a DataFrame, or .* list of dicts .* this is int"):
        rm.jq(5)


def test_a_text_that_is_no_json_is_named():
    with pytest.raises(JqError, match="row 1"):
        rm.jq(['{"a": 1}', "{"]).map(".")


def test_runs_that_were_deleted_since_are_seen_as_the_frame_has_them(runs):
    the_history().delete([("a", "https://x/v1")])
    with pytest.warns(UserWarning, match="1 of 6 rows are not in the history any more"):
        kept = runs.jq.filter('.prompt == "about a" and .metrics.predict_time == 0.5')

    assert kept["id"].tolist() == ["a"]


def test_rows_that_never_got_an_id_warn_of_nothing(runs):
    frame = runs.copy()
    frame.loc[0, "id"] = None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert frame.jq.map(".status")["value"].tolist().count("succeeded") == 5


# -- frames -----------------------------------------------------------------------------------


def test_what_is_selected_shows_itself_as_a_table_and_what_is_pickled_is_plain(runs):
    assert isinstance(runs[runs["status"] == "failed"], RunsFrame)
    assert type(pickle.loads(pickle.dumps(runs))) is pd.DataFrame
    assert "about f" in runs._repr_mimebundle_()["text/plain"]
    assert values_frame([1])._repr_mimebundle_() is None


def test_a_frame_can_be_saved_as_others_are(runs, tmp_path):
    runs.to_csv(tmp_path / "runs.csv")
    runs.to_json(tmp_path / "runs.json", date_format="iso")

    assert pd.read_csv(tmp_path / "runs.csv")["id"].tolist() == list("fedcba")


def test_values_of_any_kind_make_a_frame():
    made = values_frame([{"a": 1, "b": [1]}, {"b": {"c": 2}}, 5, None])

    assert list(made.columns) == ["a", "b", "value"]
    assert made["b"].tolist()[:2] == [[1], {"c": 2}]
    assert made["value"].tolist()[2] == 5
    assert list(values_frame([]).columns) == ["value"]
    assert len(values_frame([{}, {}])) == 2


def test_records_hold_json_values():
    frame = pd.DataFrame({
        "i": np.array([1], "int64"), "f": [float("nan")], "b": pd.array([True], "boolean"),
        "t": pd.to_datetime(["2026-01-01T00:00:00.5Z"]), "l": [[1]], "n": [np.array([1, 2])],
        "x": ["flat"], "x.y": ["also flat"], 3: ["three"],
        "o": pd.Series([pd.Timestamp("2026-01-01T00:00Z")], dtype=object),
    })  # fmt: skip
    [record] = records_of(frame)

    assert json.loads(json.dumps(record)) == {
        "i": 1, "f": None, "b": True, "t": "2026-01-01T00:00:00.500000Z", "l": [1], "n": [1, 2],
        "x": "flat", "x.y": "also flat", "3": "three", "o": "2026-01-01T00:00:00Z",
    }  # fmt: skip
