"""A short list of facts, as text and as HTML."""

from __future__ import annotations

from replicate_magic.views.facts import facts_bundle

HOSTILE = "<img src=x onerror=alert(1)>\x1b[31m"


def test_the_names_stand_in_a_column_and_long_facts_go_on_below():
    told = facts_bundle({"API": "https://x/v1", "history": "one\ntwo"}, ["And so on."])

    assert told["text/plain"] == ("API      https://x/v1\nhistory  one\n         two\nAnd so on.")
    assert told["text/html"].count("<tr>") == 2


def test_what_is_shown_is_escaped_and_obeyed_by_nobody():
    told = facts_bundle({HOSTILE: HOSTILE}, [HOSTILE])

    assert "<img" not in told["text/html"]
    assert "\x1b" not in told["text/plain"] + told["text/html"]


def test_notes_stand_alone_where_there_are_no_facts():
    told = facts_bundle({}, ["Nothing."])

    assert told["text/plain"] == "Nothing."
    assert "<table" not in told["text/html"]
