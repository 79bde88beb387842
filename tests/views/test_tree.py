"""JSON as a tree: what is seen of it, that it is safe, and that it has bounds."""

from __future__ import annotations

import json
import time

import pytest
from pages import HOSTILE, Page, assert_nothing_acts, final, prediction

from replicate_magic.views import Answer
from replicate_magic.views.answer import CUT
from replicate_magic.views.tree import tree

LARGE = {f"key {n}": {"name": f"value {n}", "inner": {"more": [n] * 20}} for n in range(5)}


def page_of(value):
    markup = tree(value)
    assert_nothing_acts(markup)
    return Page(markup)


def nested(depth, leaf=1):
    value = leaf
    for _ in range(depth):
        value = {"a": [value]}
    return value


def folded(page):
    """How many parts there are to open, and how many of them are open."""
    parts = [attrs for tag, attrs in page.elements if tag == "details"]
    return len(parts), sum("open" in attrs for attrs in parts)


# -- where it is drawn ------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["auto", "json", "markdown", "html", "image"])
def test_a_large_value_is_a_tree_and_its_text_is_json(form):
    bundle = final(prediction(LARGE, shape="json"), format=form, status=False)

    assert bundle["text/plain"] == json.dumps(LARGE, indent=2)
    assert folded(Page(bundle["text/html"]))[0] > 5
    assert "value 4" in Page(bundle["text/html"]).text


def test_as_text_it_stands_as_it_is_written():
    bundle = final(prediction(LARGE, shape="json"), format="text", status=False)

    assert Page(bundle["text/html"]).text == bundle["text/plain"] == json.dumps(LARGE, indent=2)


def test_a_models_text_is_read_as_json_where_that_is_asked_for():
    found = prediction(json.dumps(LARGE), shape="text")

    assert folded(Page(final(found, format="json")["text/html"]))[0] > 5
    assert folded(Page(final(found)["text/html"])) == (0, 0)


def test_what_jq_made_is_a_tree_too():
    bundle = final(prediction("x"), Answer(outputs=(LARGE, LARGE)))

    assert folded(Page(bundle["text/html"]))[0] > 5


@pytest.mark.parametrize("value", [{"a": [1, {"b": "<x>"}]}, [], {}, 5, None, "x" * 900])
def test_a_small_value_stays_as_it_is_written(value):
    markup = final(prediction("x"), Answer(outputs=(value,)), format="json")["text/html"]

    assert folded(Page(markup)) == (0, 0)


def test_a_list_of_text_that_is_no_file_is_shown_as_json():
    found = prediction([f"line {n}" for n in range(30)], shape="json")

    assert "29:" not in Page(final(found)["text/html"]).text.split("more")[0]
    assert '"line 29"' in Page(final(found)["text/html"]).text


# -- what is seen -----------------------------------------------------------------------------


def test_keys_values_and_counts_are_seen():
    page = page_of({"a": 1, "b": [None, True, 0.5, {"c": "d" * 99}], "e": {}, "": "f", **LARGE})

    for part in ("{9 keys}", "a: 1", "b: [4 items]", "0: null", "1: true", "2: 0.5", "e: {}"):
        assert part in page.text
    assert '"": "f"' in page.text


def test_short_lists_and_objects_stand_on_one_line():
    page = page_of([{"label": "cat", "score": 0.5}, [1, 2, 3]] * 9)

    assert '{"label": "cat", "score": 0.5}' in page.text
    assert "[1, 2, 3]" in page.text
    assert folded(page)[0] == 2  # the list, and what is behind its first items


def test_the_first_levels_are_open_and_large_ones_are_not():
    parts, opened = folded(page_of([[[[n] * 9] * 9] * 9 for n in range(9)]))

    assert 3 <= opened <= 9 < parts


def test_a_long_list_is_cut_with_a_count():
    page = page_of(list(range(1_000)))

    assert "[1,000 items]" in page.text
    assert "… 990 more" in page.text
    assert page.text.endswith("… 950 more")
    assert "49: 49" in page.text
    assert "50: 50" not in page.text


def test_a_long_text_is_folded_and_a_very_long_one_cut_with_a_count():
    page = page_of({"a": "first line\nsecond line\n" * 20, "b": "x" * 50_000})

    assert "460 characters" in page.text
    assert "first line\nsecond line\nfirst" in page.text
    assert "50,000 characters" in page.text
    assert "… 45,000 more characters" in page.text


def test_addresses_are_links_and_nothing_else_is():
    link = "https://replicate.delivery/x/mask.png?a=1&b=" + "c" * 300
    values = [
        link,
        "javascript:alert(1)",
        "https://x y",
        'https://x/"onclick="',
        "data:text/html,x",
    ]
    page = page_of({str(n): value for n, value in enumerate(values)})

    assert [attrs["href"] for tag, attrs in page.elements if tag == "a"] == [link]


# -- safe and bounded -------------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_key_and_no_value_acts_in_the_page(text):
    page_of({text: text, f"{text}2": [text] * 60, "long": text * 300, "deep": {text: {text: text}}})


def million():
    return list(range(1_000_000))


SIZES = {
    "a_million_items": million,
    "a_million_keys": lambda: dict.fromkeys(map(str, range(1_000_000)), "x"),
    "wide_and_deep": lambda: [[[["'" * 900] * 60] * 60] * 60] * 60,
    "deep_lists": lambda: json.loads("[" * 400 + "]" * 400),
    "deeper_than_python_goes": lambda: nested(50_000),
    "one_text": lambda: {"a": "'" * 10_000_000},
    "one_key": lambda: {"'" * 10_000_000: 1, "b": [1] * 99},
    "long_texts": lambda: ["'\"" * 5_000] * 1_000,
    "numbers": lambda: [1 << 1_000_000] * 100 + [float("nan"), 1e300],
}


@pytest.mark.parametrize("name", SIZES)
def test_whatever_the_value_the_tree_is_small_and_quick(name):
    value = SIZES[name]()
    began_s = time.monotonic()
    markup = tree(value)

    assert time.monotonic() - began_s < 0.5
    assert len(markup) < 1_000_000
    assert_nothing_acts(markup)


@pytest.mark.parametrize("name", ["a_million_items", "deeper_than_python_goes", "one_text"])
@pytest.mark.parametrize("form", ["auto", "text", "json"])
def test_so_is_all_that_stays(name, form):
    found = prediction(SIZES[name](), shape="json")
    began_s = time.monotonic()
    bundle = final(found, format=form)

    assert time.monotonic() - began_s < 3
    assert len(bundle["text/html"]) < 2_000_000
    assert len(bundle["text/plain"]) < 250_000
    assert CUT in bundle["text/plain"]
