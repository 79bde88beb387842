"""How lists of the API, what a search found, and single answers show themselves."""

from __future__ import annotations

import json

import pytest
from IPython.core.formatters import DisplayFormatter
from pages import HOSTILE, Page, assert_nothing_acts

from replicate_magic.replies import Data, JSONArray, JSONObject, Text
from replicate_magic.runs.frame import made, values_frame
from replicate_magic.views.table import table_bundle

MODEL = {
    "model": "black-forest-labs/flux-schnell", "description": "Fast. " * 60, "runs": 423_871_003,
    "official": True, "tags": "text-to-image", "url": "https://replicate.com/x",
}  # fmt: skip


def found(*rows, kind="models", **counts):
    frame = values_frame(rows) if rows else made({name: [] for name in MODEL})
    frame.attrs["found"] = {"kind": kind, "query": "flux <b>", "models": len(rows), **counts}
    return frame


def listed(*rows, what="GET /things"):
    frame = values_frame(rows)
    frame.attrs["listed"] = what
    return frame


def plain(frame, monkeypatch, columns=100):
    monkeypatch.setenv("COLUMNS", str(columns))
    return table_bundle(frame)["text/plain"]


# -- what a search found ------------------------------------------------------------------------


def test_a_model_is_whole_and_its_page_a_link(monkeypatch):
    bundle = table_bundle(found(MODEL, collections=2, docs=1))
    narrow = plain(found(MODEL), monkeypatch, 80)

    assert "user-select: all" in bundle["text/html"]
    assert '<a href="https://replicate.com/x"' in bundle["text/html"]
    assert "1 model · also 2 collections (--collections), 1 page (--docs)" in bundle["text/html"]
    assert "black-forest-labs/flux-schnell  yes" in narrow
    assert "423,871,003" in narrow
    assert max(map(len, narrow.splitlines())) <= 80


def test_nothing_found_is_told_in_words():
    bundle = table_bundle(found(docs=1))

    assert bundle["text/plain"] == "No model matches flux <b>. · also 1 page (--docs)"
    assert "flux &lt;b&gt;" in bundle["text/html"]


def test_collections_and_docs_have_their_columns(monkeypatch):
    collection = {"collection": "flux", "name": "FLUX", "models": "a/b", "url": None}
    page = {"name": "Guide", "url": "https://replicate.com/docs/guide"}

    assert "flux        FLUX" in plain(found(collection, kind="collections"), monkeypatch)
    assert "replicate.com/docs/guide" in plain(found(page, kind="docs"), monkeypatch)


def test_a_part_of_what_was_found_looks_like_it_and_so_does_one_without_columns(monkeypatch):
    frame = found(MODEL, MODEL)

    assert "1 model" in plain(frame.head(1), monkeypatch)
    assert "2 models" in plain(frame[["model"]], monkeypatch)
    assert plain(frame[["runs", "url"]], monkeypatch)


# -- what was listed ----------------------------------------------------------------------------


def test_names_come_first_and_what_holds_more_is_counted(monkeypatch):
    frame = listed({
        "size": 1_234_567, "urls": {"get": "x"}, "created_at": "2025-11-20T10:00:00.123Z",
        "id": "cneqzikepnug6xezperrr4z55o", "empty": None, "odd_at": "later",
    })  # fmt: skip
    head, _, row, _, caption = plain(frame, monkeypatch).splitlines()

    assert head.split() == ["id", "size", "created_at", "odd_at"]
    assert row.startswith("cneqzikepnug6xezperrr4z55o  1,234,567")
    assert caption == "1 row · 2 more columns: df.columns"


def test_a_list_of_models_looks_as_a_search_does(monkeypatch):
    model = {"owner": "a", "name": "b", "run_count": 5, "description": "x", "is_official": False}

    assert plain(listed(model), monkeypatch).splitlines()[2].split() == ["a/b", "5", "x"]


@pytest.mark.parametrize("row", [{"a": {"b": 1}}, {"a": None}, 5])
def test_a_list_without_any_short_value_is_shown_all_the_same(row, monkeypatch):
    assert "1 row" in plain(listed(row), monkeypatch)


def test_an_empty_list_is_told():
    assert table_bundle(listed())["text/plain"] == "GET /things: an empty list."


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_the_api_lists_acts(text):
    rows = [{**MODEL, "model": text, "description": text, "url": f"https://x/{text}"}]
    for frame in (found(*rows), found(), listed({"id": text, "x": text, text: text})):
        frame.attrs.get("found", {})["query"] = text
        markup = Page(table_bundle(frame)["text/html"])
        assert not {"script", "img", "svg", "iframe", "style"} & {tag for tag, _ in markup.elements}
        assert not any(key.startswith("on") for _, attrs in markup.elements for key in attrs)


# -- single answers -----------------------------------------------------------------------------


def shown(value):
    return DisplayFormatter().format(value)[0]


def test_an_object_is_indented_text_and_a_tree():
    value = {"a": {"b": [1, {"c": None}]}, "d": "x" * 2_000}
    bundle = shown(JSONObject(value))

    assert json.loads(bundle["text/plain"]) == value
    assert "<details" in bundle["text/html"]
    assert shown(JSONArray([1, 2]))["text/plain"] == "[\n  1,\n  2\n]"


def test_a_secret_is_not_drawn_and_is_still_the_value():
    value = JSONObject(key="whsec_1234", other=1)
    value.hidden = frozenset({"key"})
    bundle = shown(value)

    assert "whsec" not in json.dumps(bundle)
    assert '_["key"] is the value itself.' in bundle["text/plain"]
    assert value["key"] == "whsec_1234"


def test_a_long_value_is_cut_in_the_text_alone():
    value = JSONObject({str(number): "x" * 100 for number in range(500)})

    assert len(shown(value)["text/plain"]) < 9_000
    assert "has all of it" in shown(value)["text/plain"]


def test_a_readme_is_markdown():
    bundle = shown(Text("# Poet\n\n**bold**"))

    assert bundle["text/plain"] == "# Poet\n\n**bold**"
    assert "<strong>bold</strong>" in bundle["text/html"]


def test_bytes_are_told_by_number_and_kind():
    value = Data(b"x" * 1_500)
    value.media_type = "image/png"

    assert shown(value)["text/plain"] == "2 kB of image/png; --save PATH keeps them"


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_is_answered_acts(text):
    for value in (JSONObject({text: text}), JSONArray([text, {text: [text]}]), Text(text)):
        assert_nothing_acts(shown(value)["text/html"])
