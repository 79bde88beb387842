"""The options that ask for many requests."""

from __future__ import annotations

import pytest

from replicate_magic.cell.grammar import Given, parse_line
from replicate_magic.cell.options import OPTIONS, whole_number
from replicate_magic.errors import CellError
from replicate_magic.notebook.help import help_text


def options_of(text):
    return parse_line(text).options


@pytest.mark.parametrize(
    ("text", "grid"),
    [
        ("--grid t=0.1,0.9", {"t": Given(text="0.1,0.9")}),
        ("--grid=t=0.1,0.9", {"t": Given(text="0.1,0.9")}),
        ("--grid t=1", {"t": Given(text="1")}),
        ("--grid 'style=in oil, in ink'", {"style": Given(text="in oil, in ink")}),
        ('--grid style="in oil","in ink"', {"style": Given(text="in oil,in ink")}),
        ('--grid stop:=["a, b", "c"]', {"stop": Given(text='["a, b", "c"]', kind="json")}),
        ("--grid n={{range(1, 5)}}", {"n": Given(text="{{range(1, 5)}}")}),
        ("--grid image=@a.png,@b.png", {"image": Given(text="a.png,@b.png", kind="file")}),
        ("--grid url=https://x/?a=b,c", {"url": Given(text="https://x/?a=b,c")}),
    ],
)
def test_a_grid_is_kept_as_an_input_is_written(text, grid):
    assert options_of(text).grid == grid


def test_several_grids_keep_their_order():
    line = parse_line("a/b --grid t=1,2 x=5 --grid s=a,b")

    assert list(line.options.grid) == ["t", "s"]
    assert (line.words, list(line.inputs)) == (("a/b",), ["x"])


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("--rows df", "df"),
        ("--rows=df", "df"),
        ("--rows größe", "größe"),
        ("--rows data.train", "data.train"),
        ("--rows {{df[:10]}}", "df[:10]"),
        ('--rows {{df[df["lang"] == "en"]}}', 'df[df["lang"] == "en"]'),
        ("--rows '{{ [1, 2] }}'", "[1, 2]"),
    ],
)
def test_rows_are_a_variable_or_an_expression(text, source):
    assert options_of(text).rows == source


def test_the_numbers_and_flags_are_read():
    options = options_of("--repeat 3 --concurrency=16 --keep_going --cached -y")

    assert (options.repeat, options.concurrency) == (3, 16)
    assert (options.keep_going, options.cached, options.yes) == (True, True, True)


def test_nothing_is_many_unless_it_is_asked_for():
    assert not options_of("--concurrency 3 --cached --keep-going -y").is_many
    assert all(options_of(text).is_many for text in ("--grid t=1", "--rows df", "--repeat 1"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--grid", "--grid needs a value: --grid KEY=A,B,C"),
        ("--grid 0.1,0.9", r"--grid 0\.1,0\.9: write --grid key=a,b,c"),
        ("--grid t --repeat 2", "--grid t: write --grid key=a,b,c"),
        ("--grid t=1 --grid t=2", "--grid t is given twice"),
        ("--grid t=1 --grid t:=[2]", "--grid t is given twice"),
        ("--rows df --rows df", "--rows is given twice"),
        ("--rows", "--rows needs a value: --rows DF"),
        ("--rows df[:10]", r"--rows df\[:10\]: that is not a variable's name.*\{\{df\[:10\]\}\}"),
        ("--rows data/x.csv", "--rows data/x.csv: that is not a variable's name"),
        ("--rows ''", "that is not a variable's name"),
        ("--rows {{df}}{{df}}", "that is not a variable's name"),
        ("--repeat 0", r"--repeat 0: that is no whole number from 1 to 10,000\."),
        ("--repeat -1", "--repeat -1: that is no whole number"),
        ("--repeat 10001", "--repeat 10001: that is no whole number"),
        ("--repeat 2.0", r"--repeat 2\.0: that is no whole number"),
        ("--repeat ten", "--repeat ten: that is no whole number"),
        ("--repeat=" + "9" * 5000, "that is no whole number"),
        ("--concurrency 257", "--concurrency 257: that is no whole number from 1 to 256"),
        ("--concurrency ''", "--concurrency : that is no whole number"),
        ("--keep-going=yes", "--keep-going takes no value"),
        ("--gird t=1", r"Did you mean --grid\?"),
    ],
)
def test_what_makes_no_sense_says_so(text, message):
    with pytest.raises(CellError, match=message):
        parse_line(text)


@pytest.mark.parametrize("value", [0, -1, 2.5, "2x", True, None, float("inf")])
def test_a_number_from_python_is_whole_too(value):
    with pytest.raises(CellError, match=r"repeat .*: that is no whole number from 1 to 5\."):
        whole_number("repeat", value, most=5)


def test_help_tells_of_every_option_and_of_none_that_is_not_there():
    text = help_text()

    assert [option.name for option in OPTIONS if f"--{option.name}" not in text] == []
    assert [option.help for option in OPTIONS if option.help not in text] == []
    assert "Not part of this version" not in text


@pytest.mark.parametrize(
    ("text", "usd"),
    [("0.05", 0.05), ("$0.05", 0.05), ("=5", 5.0), ("0", 0.0), ("1e-3", 0.001)],
)
def test_a_limit_is_an_amount_of_dollars(text, usd):
    gap = "" if text.startswith("=") else " "

    assert options_of(f"--max-cost{gap}{text}").max_cost == usd


@pytest.mark.parametrize("text", ["-1", "much", "nan", "inf", "5€", "''"])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(CellError, match=r"--max-cost .*no amount of US dollars; write 0\.05 or 5"):
        options_of(f"--max-cost {text}")
