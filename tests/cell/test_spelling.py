"""How a text is written in a cell so that the cell means it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicate_magic.cell import spelling
from replicate_magic.cell.grammar import Given, parse_line, split_header

TEXTS = st.text(alphabet="ab é\"'\\{}=@:,-#\n\t\x1b\u202e", max_size=12)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("two words", '"two words"'),
        ("it's", '"it\'s"'),
        ('say "a b"', '"say \\"a b\\""'),
        ("@home", '"@home"'),
        ("a\\b", "a\\b"),
        ("two\nlines", None),
        ("{{name}}", None),
        ("\x1b[31mred", None),
        ("a" * 201, None),
    ],
)
def test_a_value_has_quotes_where_it_needs_them(text, expected):
    assert spelling.value(text) == expected


def test_a_value_completes_the_quote_that_is_open():
    assert spelling.value("two words", '"') == 'two words"'
    assert spelling.value("two words", "'") == "two words'"
    assert spelling.value("it's", "'") is None


@given(TEXTS, st.sampled_from(["", "'", '"']))
def test_a_value_is_read_back(text, quote):
    spelled = spelling.value(text, quote)
    if spelled is not None:
        line = parse_line(f"a/b key={quote}{spelled} other=1")
        assert line.inputs == {"key": Given(text=text), "other": Given(text="1")}
        assert line.words == ("a/b",)


@given(TEXTS, st.sampled_from(["", "'", '"']))
def test_a_path_is_read_back(text, quote):
    spelled = spelling.path(text, quote)
    if spelled is not None:
        line = parse_line(f"a/b key=@{quote}{spelled} other=1")
        assert line.inputs["key"] == Given(text=text, kind="file")
        assert line.words == ("a/b",)


def test_a_path_that_goes_on_stays_open():
    assert spelling.path("my pictures/", goes_on=True) == "my\\ pictures/"
    assert spelling.path("my pictures/", '"', goes_on=True) == "my pictures/"
    assert spelling.path("my picture.png", '"') == 'my picture.png"'


@given(TEXTS)
def test_a_value_of_the_header_is_read_back(text):
    spelled = spelling.in_header(text)
    if spelled is not None:
        inputs, body = split_header(f"---\nkey: {spelled}\nother: 1\n---\nHello")
        assert inputs == {"key": Given(text=text), "other": Given(text="1")}
        assert body == "Hello"


def test_a_header_takes_blanks_and_quotes_within():
    assert spelling.in_header("it's two words") == "it's two words"
    assert spelling.in_header("'quoted'") is None
    assert spelling.in_header("{{name}}") is None
    assert spelling.in_header("my file.png", is_file=True) == "my file.png"


def test_json_goes_on_behind_its_quote():
    assert spelling.as_json("a b") == '"a b"'
    assert spelling.as_json("a b", '"') == 'a b"'
    assert spelling.as_json(2) == "2"
    assert spelling.as_json(2, '"') is None
    assert spelling.as_json("\x1b") == '"\\u001b"'


@pytest.mark.parametrize("name", ["prompt", "top_p", "a.b-c"])
def test_a_name_that_can_stand_before_the_sign(name):
    assert spelling.is_key(name)


@pytest.mark.parametrize("name", ["", "two words", "1st", "größe\n", "a=b", "a:", "x" * 201])
def test_a_name_that_cannot(name):
    assert not spelling.is_key(name)
