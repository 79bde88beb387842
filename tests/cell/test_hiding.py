"""What a schema calls a secret is hidden by its name, and wherever else it is quoted."""

from __future__ import annotations

import json
import traceback

import cog_schemas as cog
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicate_magic.cell.hiding import Secrets, hidden_names, is_hidden, secrets_of
from replicate_magic.cell.schema import read_schema
from replicate_magic.errors import CreateUnclear, InvalidInput, ServerError
from replicate_magic.plain import one_line
from replicate_magic.prediction import Created, Finished, Log, Output, Retry, Update

PASSWORD = {"type": "string", "format": "password", "x-cog-secret": True}
SPECS = {
    "prompt": {"type": "string"},
    "key": PASSWORD,
    "maybe": {"anyOf": [PASSWORD, {"type": "null"}]},
    "several": {"type": "array", "items": PASSWORD},
    "some": {"anyOf": [{"type": "array", "items": PASSWORD}, {"type": "null"}]},
    "either": {"anyOf": [{"type": "array", "items": PASSWORD}, PASSWORD]},
    "loose": {"x-cog-secret": True},
}
SCHEMA = read_schema(cog.openapi(SPECS))
PEM = '-----BEGIN KEY-----\nMIIEvQIBADANBg"kqh\\kiG9w0\nBAQEFAASCBKcwggSj\n-----END KEY-----\n'


def secrets(**inputs):
    return secrets_of(SCHEMA, inputs)


def test_all_kinds_of_secrets_are_known_by_their_names():
    assert secrets().names == set(SPECS) - {"prompt"}


def test_an_input_is_told_without_its_secrets():
    given = {
        "prompt": "hunter2",
        "key": "hunter2",
        "maybe": None,
        "several": ["hunter2", "", None],
        "some": {"a": 5},
        "unknown": "hunter2",
    }

    assert secrets(**given).input(given) == {
        "prompt": "hunter2",
        "key": "(secret)",
        "maybe": None,
        "several": ["(secret)", "", None],
        "some": {"a": "(secret)"},
        "unknown": "hunter2",
    }


def test_without_a_secret_all_stays_as_it_is():
    none = secrets_of(read_schema(cog.CHAT), {"prompt": "hunter2"})
    raw, error = {"input": {"prompt": "hunter2"}, "logs": "hunter2"}, InvalidInput("x", status=422)
    event = Update(raw=raw, at_s=1.0)
    none.hide_in(error)

    assert none.raw(raw) is raw
    assert none.event(event) is event
    assert str(error) == "x"


QUOTES = {
    "as it is": "hunter2-and-more",
    "short": "abcd",
    "quotes": 'a"b\'c\\d"e',
    "umlauts": "pässwörter",
    "no text": 12_345_678,
    "lines": PEM,
    "a line end": "hunter2-and-more\n",
}


@pytest.mark.parametrize("secret", QUOTES.values(), ids=QUOTES.keys())
def test_a_secret_that_is_quoted_is_hidden_however_it_is_written(secret):
    text = str(secret)
    quotes = [text, text.strip(), one_line(text), repr(text), json.dumps(text)]
    quotes += [json.dumps(text, ensure_ascii=False), *text.split("\n")]
    for quoted in quotes:
        told = secrets(key=secret).anywhere(f"before {quoted} after")
        assert told.startswith("before ")
        assert told.endswith(" after")
        assert not [line for line in text.split("\n") if line and line in told]


def test_a_secret_that_is_cut_short_is_hidden_as_far_as_it_goes():
    known = secrets(key="hunter2-and-more")

    assert known.anywhere("hunter2-and-mo…") == "(secret)…"
    assert known.anywhere("hunter2-x hunter2-and-more") == "(secret)x (secret)"
    assert known.anywhere("hunter2") == "hunter2"  # a word of its own may be as long


def test_what_is_too_short_to_be_told_from_other_words_stays_where_it_is_quoted():
    assert secrets(key="a").anywhere("a banana") == "a banana"
    assert secrets(key="a").input({"key": "a"}) == {"key": "(secret)"}


def test_secrets_are_hidden_within_json():
    value = {"msg": ["hunter2-x", {"hunter2-x": 5}], "input": None}

    assert secrets(key="hunter2-x").anywhere(value) == {
        "msg": ["(secret)", {"(secret)": 5}],
        "input": None,
    }


@given(
    st.text('abd123é\u2028 \n"\\\x1b', min_size=8).filter(lambda text: len(text.strip()) >= 8),
    st.text("ABC \n"),
    st.text("ABC \n"),
)
def test_whatever_the_secret_it_is_nowhere_in_what_is_told(secret, before, after):
    known = secrets(key=secret)

    assert secret not in known.anywhere(f"{before}{secret}{after}")
    assert json.dumps(secret)[1:-1] not in known.anywhere(f"{before}{json.dumps(secret)}{after}")


def test_many_secrets_in_long_logs_take_no_time():
    logs = "hunter2-and-more and so on\n" * 50_000

    assert secrets(key="hunter2-and-more").anywhere(logs) == "(secret) and so on\n" * 50_000


# -- events ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Created, Update, Finished])
def test_an_answer_is_told_without_secrets_but_for_its_output(kind):
    raw = {
        "id": "p1",
        "input": {"prompt": "x", "key": "hunter2-x"},
        "logs": "with hunter2-x",
        "error": {"msg": "hunter2-x"},
        "output": ["hunter2-x"],
    }
    told = secrets(key="hunter2-x").event(kind(raw=raw, at_s=1.0)).raw

    assert told == {
        "id": "p1",
        "input": {"prompt": "x", "key": "(secret)"},
        "logs": "with (secret)",
        "error": {"msg": "(secret)"},
        "output": ["hunter2-x"],
    }
    assert raw["input"]["key"] == "hunter2-x"


def test_logs_and_reasons_are_told_without_secrets_and_output_as_it_came():
    known = secrets(key="hunter2-x")

    assert known.event(Log(text="a hunter2-x", at_s=1.0)).text == "a (secret)"
    assert known.event(Retry(reason="hunter2-x", delay_s=0, at_s=1.0)).reason == "(secret)"
    assert known.event(Output(chunks=("hunter2-x",), at_s=1.0)).chunks == ("hunter2-x",)


def test_what_is_nested_more_deeply_than_can_be_read_is_hidden_as_a_whole():
    error = "hunter2-x"
    for _ in range(5_000):
        error = [error]

    assert secrets(key="hunter2-x").raw({"error": error}) == {"error": "(secret)"}
    assert secrets(key=error).input({"key": error}) == {"key": ["(secret)"]}
    assert secrets(key=error).anywhere("hunter2-x") == "(secret)"


@pytest.mark.parametrize("given", [None, [], "x", 5])
def test_an_answer_whose_input_is_none_is_told(given):
    assert secrets(key="hunter2-x").raw({"input": given}) == {"input": given}


def test_where_only_the_names_are_known_the_answers_own_input_tells_the_rest():
    known = Secrets(names=frozenset({"key"}))
    told = known.raw({"input": {"key": "hunter2-x"}, "logs": "hunter2-x"})

    assert told == {"input": {"key": "(secret)"}, "logs": "(secret)"}


# -- errors ---------------------------------------------------------------------------------------


def test_an_error_and_what_led_to_it_are_told_without_secrets():
    words = "hunter2-x"
    first = ValueError(words, {"key": words})
    second = ServerError(words, status=500, detail=words)
    third = InvalidInput(words, status=422, detail=words, invalid_fields=[{"description": words}])
    third.__cause__, second.__context__ = second, first
    secrets(key=words).hide_in(third)
    told = "".join(traceback.format_exception(third))

    assert "InvalidInput: (secret)" in told
    assert "ServerError: (secret)" in told
    assert "ValueError: ('(secret)', {'key': '(secret)'})" in told
    assert words not in told
    assert words not in repr([third.detail, third.invalid_fields, second.detail])


def test_candidates_are_told_without_secrets():
    error = CreateUnclear("x", candidates=[{"id": "p1", "input": {"key": "hunter2-x"}}])
    secrets(key="hunter2-x").hide_in(error)

    assert error.candidates == ({"id": "p1", "input": {"key": "(secret)"}},)


def test_an_error_that_leads_to_itself_is_no_endless_way():
    first, second = ValueError("hunter2-x"), ValueError("hunter2-x")
    first.__context__, second.__context__ = second, first
    secrets(key="hunter2-x").hide_in(first)

    assert first.args == second.args == ("(secret)",)


# -- rows -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "hidden"),
    [
        ("(secret)", True),
        (["(secret)"], True),
        ({"a": "(secret)"}, True),
        ("a (secret)", False),
        ([], False),
        (None, False),
        (5, False),
    ],
)
def test_what_stands_in_a_secrets_place_is_known_again(value, hidden):
    assert is_hidden(value) is hidden
    assert hidden_names({"key": value, "prompt": "x"}) == ({"key"} if hidden else set())


@pytest.mark.parametrize("given", [None, "x", ["(secret)"], 5])
def test_an_input_that_is_none_hides_nothing(given):
    assert hidden_names(given) == set()
