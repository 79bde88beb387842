"""What is being written where the cursor is; in the texts here it stands at `‸`."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicate_magic.cell.cursor import Cursor, cursor_at
from replicate_magic.cell.options import Option

COMMANDS = {
    "runs": (
        Option(name="map", kind="text", help=""),
        Option(name="yes", short="y", kind="flag", help=""),
    ),
    "attach": (),
}


def at(marked):
    before, _, after = marked.partition("‸")
    line = before.count("\n")
    return cursor_at(before + after, line, len(before.rpartition("\n")[2]), COMMANDS)


def brief(marked):
    """What it is, and what is typed."""
    found = at(marked)
    return (found.at, found.typed) if found else None


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ("%replicate ‸", ("command", "")),
        ("%replicate ru‸", ("command", "ru")),
        ("    %replicate ru‸", ("command", "ru")),
        ("x = %replicate ru‸", ("command", "ru")),
        ("a, b['c'] = 1, 2; %replicate ru‸", None),
        ("%time %replicate ru‸", ("command", "ru")),
        ("print(1)\n%replicate ru‸", ("command", "ru")),
        ("%replicate run ‸", ("word", "")),
        ("%replicate help pl‸", ("word", "pl")),
        ("%replicate runs st‸", ("word", "st")),
        ("%replicate runs \\\n  st‸", ("word", "st")),
        ("%replicate nothing x‸", ("word", "x")),
        ("%%replicate ‸", ("word", "")),
        ("%%replicate\tacme/po‸", ("word", "acme/po")),
        ("\n%%time\n  %%replicate acme/po‸", ("word", "acme/po")),
    ],
)
def test_commands_and_words(marked, expected):
    assert brief(marked) == expected


@pytest.mark.parametrize(
    "marked",
    [
        "‸",
        "%repl‸",
        "%replicate‸",
        "%%replicate‸",
        "%%repl‸icate acme/poet",
        "%replicates ‸",
        "x == %replicate ‸",
        "print('%replicate ‸')",
        "# %replicate ‸",
        "x = 1‸\n%%replicate acme/poet",
        "%%bash\necho ‸",
        "‸\n%%replicate acme/poet",
    ],
)
def test_what_is_not_ours(marked):
    assert at(marked) is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a/b temp‸", ("word", "temp")),
        ("a/b temperature=‸", ("value", "")),
        ("a/b temperature=0.‸", ("value", "0.")),
        ("a/b k=@pa‸", ("value", "pa")),
        ("a/b k=@'my pa‸", ("value", "my pa")),
        ("a/b k=my\\ pa‸", ("value", "my\\ pa")),
        ('a/b k="two w‸', ("value", "two w")),
        ("a/b k='two w‸", ("value", "two w")),
        ("a/b k:=tr‸", ("value", "tr")),
        ('a/b k:="a‸', ("value", "a")),
        ('a/b k:=["a", ‸', ("prose", "")),
        ('a/b k:=["a"] ‸', ("word", "")),
        ("a/b k=a'b‸", ("prose", "")),
        ("a/b -‸", ("option", "-")),
        ("a/b --‸", ("option", "--")),
        ("a/b --for‸", ("option", "--for")),
        ("a/b -o‸", ("option", "-o")),
        ("a/b -o ‸", ("option value", "")),
        ("a/b -o an‸", ("option value", "an")),
        ("a/b --format=ma‸", ("option value", "ma")),
        ("a/b --no_stream=‸", ("option value", "")),
        ("a/b --unknown=x‸", ("prose", "")),
        ("a/b --quiet ‸", ("word", "")),
        ("a/b --wait ‸", ("word", "")),
        ("a/b --jq '.a | ‸", ("option value", ".a | ")),
        ("a/b --grid te‸", ("option value", "te")),
        ("a/b --grid k=a,b‸", ("value", "a,b")),
        ("a/b -5‸", ("prose", "")),
        ("a/b -- -x‸", ("word", "-x")),
        ("a/b -- k=‸", ("word", "k=")),
        ("a/b k={{x‸", ("expression", "x")),
        ("a/b k={{f(a, x‸", ("expression", "f(a, x")),
        ("a/b k='text {{x‸", ("expression", "x")),
        ("a/b k={{x}} ‸", ("word", "")),
        ("a/b k={{x y}} {{z‸", ("expression", "z")),
        ("a/b --rows {{df[‸", ("expression", "df[")),
        ("{{mod‸", ("expression", "mod")),
    ],
)
def test_the_line(line, expected):
    assert brief(f"%%replicate {line}") == expected
    assert brief(f"x = %replicate run {line}") == expected


def test_raw_switches_expressions_off():
    assert brief("%%replicate a/b --raw k={{x‸") == ("value", "{{x")
    assert brief("%%replicate a/b --raw\nHello {{x‸") == ("prose", "")
    assert brief("%%replicate a/b --raw\n---\nx‸") == ("prose", "")


def test_a_value_says_of_what_it_is_and_how_it_is_written():
    found = at("%%replicate a/b k=@my\\ pa‸")
    assert (found.key, found.kind, found.text, found.quote) == ("k", "file", "my pa", "")
    found = at('%%replicate a/b k="a \\" b‸')
    assert (found.key, found.kind, found.text, found.quote) == ("k", "text", 'a " b', '"')
    found = at("%%replicate a/b k:='‸")
    assert (found.key, found.kind, found.quote) == ("k", "json", "'")
    found = at("%%replicate a/b --grid k:=‸")
    assert (found.key, found.kind, found.option.name) == ("k", "json", "grid")
    assert at("%%replicate a/b -o an‸").option.name == "output"
    assert at("%replicate runs --map ‸").option.name == "map"


def test_what_else_the_line_says_on_both_sides_of_the_cursor():
    found = at("%%replicate a/b x=1 -o out --rows {{df[:3]}} c/d te‸mp --quiet y=2 e/f")
    assert found.others.words == ("a/b", "c/d", "e/f")
    assert found.others.keys == {"x", "y"}
    assert found.others.options == {"output": "out", "rows": "{{df[:3]}}", "quiet": ""}
    assert found.place == 2


def test_what_stands_behind_an_open_quote_is_no_harm():
    found = at("%%replicate a/b x='two wo‸rds' y=2")
    assert found.typed == "two wo"
    assert "y" in found.others.keys


def test_the_header_counts_for_the_line():
    found = at("%%replicate a/b ‸\n---\nx: 1\ny:= 2\n---\nz: 3")
    assert found.others.keys == {"x", "y"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("Hello wor‸", ("prose", "")),
        ("Hello {{na‸", ("expression", "na")),
        ("Hello {{na‸me}} there", ("expression", "na")),
        ("Hello {{name}} ‸", ("prose", "")),
        ("{{#each}} and {{na‸", ("expression", "na")),
        ("Hello {{\n  na‸", ("expression", "\n  na")),
        ("%replicate ru‸", ("prose", "")),
        ("---\n‸", ("key", "")),
        ("---\nte‸", ("key", "te")),
        ("\n---\nte‸\n---\nHello", ("key", "te")),
        ("---\nx: 1\nte‸\n---\nHello", ("key", "te")),
        ("---\nx: ‸", ("value", "")),
        ("---\nx: two wo‸", ("value", "two wo")),
        ("---\nx: 'two wo‸", ("value", "two wo")),
        ("---\nx:= tr‸", ("value", "tr")),
        ("---\nx: @pa‸", ("value", "pa")),
        ("---\nx: {{na‸", ("expression", "na")),
        ("---\nx: 1\n  and mo‸", ("prose", "")),
        ("---\n# te‸", ("prose", "")),
        ("---\ntwo words‸", ("prose", "")),
        ("---\nx: 1\n--‸", ("prose", "")),
        ("---\nx: 1\n---\nte‸", ("prose", "")),
        ("Hello\n---\nte‸", ("prose", "")),
    ],
)
def test_the_body(body, expected):
    assert brief(f"%%replicate a/b\n{body}") == expected
    assert at(f"%%replicate a/b\n{body}").form == "cell"


def test_a_header_line_knows_the_others_and_the_line_above():
    found = at("%%replicate a/b z=1\n---\nx: 1\nt‸\ny: 2\n---\nHello")
    assert found.others.keys == {"x", "y", "z"}
    assert found.others.words == ("a/b",)
    assert found.in_header
    found = at("%%replicate a/b\n---\nx: @‸")
    assert (found.key, found.kind, found.in_header) == ("x", "file", True)


def test_a_word_that_began_on_the_line_above_is_left_alone():
    assert cursor_at('%replicate run "a\\\nb', 1, 1, COMMANDS) is None
    assert cursor_at('%replicate run "a" \\\nb', 1, 1, COMMANDS).typed == "b"


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["%%replicate ", "%replicate run ", "%replicate runs ", "%%replicate a/b\n"]),
    st.text(alphabet="ab/=:@'\"\\{}[](),.- \t\n%#é", max_size=40),
    st.integers(0, 40),
)
def test_whatever_is_written_something_is_said_and_it_ends_at_the_cursor(magic, text, place):
    before, after = f"{magic}{text[:place]}", text[place:]
    line = before.count("\n")
    found = cursor_at(before + after, line, len(before.rpartition("\n")[2]), COMMANDS)
    if isinstance(found, Cursor):
        assert before.endswith(found.typed)
